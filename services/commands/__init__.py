"""The commands of `chasqui` beside those that serve: accounts, talking to a service, and its batches."""
