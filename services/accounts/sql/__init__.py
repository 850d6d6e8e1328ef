"""The accounts in SQLite or PostgreSQL, with SQLAlchemy and Alembic."""
