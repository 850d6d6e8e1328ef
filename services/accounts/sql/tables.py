"""The tables of the accounts' database. The migrations make them; `tests/unit/accounts` compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    literal_column,
)

from services.accounts.prices.money import picodollars_of, usd_of

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored in UTC without a time zone: SQLite has none."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What is stored; `value` must have a time zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What was stored, in UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Usd(TypeDecorator[Decimal]):
    """An amount of USD as a whole number of picodollars (1e-12): sums are exact in every database.

    Up to 9 million USD, in one column and in the sum of SQLite; PostgreSQL's sums have no bound.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """What is stored."""
        return None if value is None else picodollars_of(value)

    def process_result_value(self, value: int | Decimal | None, dialect: Dialect) -> Decimal | None:
        """What was stored, or a sum of that."""
        return None if value is None else usd_of(int(value))


METADATA: Final = MetaData()

KEYS: Final = Table(
    "keys",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("models", JSON, nullable=False),
    Column("endpoints", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("calls_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("concurrent_calls", BigInteger),
    Column("usd_per_day", Usd),
    Column("usd_per_month", Usd),
    Column("priority", String(16), nullable=False, server_default="normal"),
    Column("tiers", JSON),
)

# A key has one secret, and for a while after its rotation the one before.
SECRETS: Final = Table(
    "secrets",
    METADATA,
    Column("prefix", String(16), primary_key=True),
    Column("key", String(64), ForeignKey("keys.name"), nullable=False, index=True),
    Column("hash", LargeBinary(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
)

# One row, whose number rises with every change of what servers keep in memory.
REVISION: Final = Table(
    "revision",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

# Of an empty model, that of all models without a price of their own. Amounts are for a million tokens.
PRICES: Final = Table(
    "prices",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("model", Text, nullable=False),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("withdrawn_at", UtcDateTime),
    Column("prompt", Usd, nullable=False),
    Column("cached_prompt", Usd, nullable=False),
    Column("completion", Usd, nullable=False),
)

CALLS: Final = Table(
    "calls",
    METADATA,
    Column("call_id", String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("key", String(64), nullable=False),
    Column("owner", String(128), nullable=False),
    Column("user", String(64), nullable=False),
    Column("model", Text, nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("price", Text, nullable=False),
    Column("cost", Usd, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("queue_seconds", Float, nullable=False),
    Column("token", String(64), nullable=False, server_default=""),
    Index("ix_calls_key_at", "key", "at"),
)
# Of the few calls that have a token; a query of one must say that it is not empty.
HAS_TOKEN: Final = CALLS.c.token != literal_column("''")
Index("ix_calls_token", CALLS.c.token, CALLS.c.key, sqlite_where=HAS_TOKEN, postgresql_where=HAS_TOKEN)

# Contents are files of the same name in a directory.
FILES: Final = Table(
    "files",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("account", String(64), nullable=False, index=True),
    Column("purpose", String(32), nullable=False),
    Column("filename", String(256), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

BATCHES: Final = Table(
    "batches",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("account", String(64), nullable=False, index=True),
    Column("endpoint", String(64), nullable=False),
    Column("input_file", String(64), nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("in_progress_at", UtcDateTime),
    Column("finalizing_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("failed_at", UtcDateTime),
    Column("expired_at", UtcDateTime),
    Column("cancelling_at", UtcDateTime),
    Column("cancelled_at", UtcDateTime),
    Column("output_file", String(64)),
    Column("error_file", String(64)),
    Column("errors", JSON, nullable=False),
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("lease_until", UtcDateTime),
)

# The lines of batches that have not ended. `succeeded` is null until a line has its result.
BATCH_LINES: Final = Table(
    "batch_lines",
    METADATA,
    Column("batch", String(64), ForeignKey("batches.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("custom_id", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker", String(64)),
    Column("lease_until", UtcDateTime),
    Column("succeeded", Boolean),
    Column("result", Text),
    Index("ix_batch_lines_open", "succeeded", "number"),
)

# What `input` and `body` hold is JSON. A conversation is a chain of responses, each after its `previous` one.
RESPONSES: Final = Table(
    "responses",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("input", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64)),
    Column("depth", Integer, nullable=False),
    Column("conversation_characters", BigInteger, nullable=False),
)
