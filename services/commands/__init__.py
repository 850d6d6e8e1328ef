"""The commands of `chasqui` for the operator of the accounts."""
