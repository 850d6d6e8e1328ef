"""The service tiers that a key may use."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; null, as servers of the last release leave it, is all tiers."""
    op.add_column("keys", sa.Column("tiers", sa.JSON))
