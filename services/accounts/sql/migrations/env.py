"""Runs the migrations over the connection that `services.accounts.sql.database` has opened, in its transaction."""

from alembic import context

from services.accounts.sql.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
context.run_migrations()
