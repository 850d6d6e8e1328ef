"""The scoped token that made a call."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; servers of the last release, which know no tokens, leave it empty."""
    op.add_column("calls", sa.Column("token", sa.String(64), nullable=False, server_default=""))
    has_token = sa.text("token != ''")
    op.create_index("ix_calls_token", "calls", ["token", "key"], sqlite_where=has_token, postgresql_where=has_token)
