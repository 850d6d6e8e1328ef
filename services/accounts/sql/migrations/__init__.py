"""Alembic's environment of the accounts' database, and its revisions."""
