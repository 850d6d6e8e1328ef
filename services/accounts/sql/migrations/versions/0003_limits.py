"""Limits and priority of keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("keys", sa.Column("calls_per_minute", sa.BigInteger))
    op.add_column("keys", sa.Column("tokens_per_minute", sa.BigInteger))
    op.add_column("keys", sa.Column("concurrent_calls", sa.BigInteger))
    op.add_column("keys", sa.Column("usd_per_day", sa.BigInteger))
    op.add_column("keys", sa.Column("usd_per_month", sa.BigInteger))
    op.add_column("keys", sa.Column("priority", sa.String(16), nullable=False, server_default="normal"))
