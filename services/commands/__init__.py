"""The commands of `chasqui` beside those that serve: accounts, and talking to a service."""
