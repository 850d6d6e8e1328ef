"""The prices in the database: what the operator's commands do with them, and what a running server has in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select, update

from services.accounts.keys.key import AccountsError
from services.accounts.prices.listed_price import ListedPrice
from services.accounts.prices.price import Price
from services.accounts.sql.changes import raise_revision
from services.accounts.sql.database import writing
from services.accounts.sql.tables import PRICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping

_SECOND: Final = timedelta(seconds=1)
_PREFIX: Final = "price-"
_AMOUNTS: Final = ("prompt", "cached_prompt", "completion")


class PriceBook:
    """The prices that a running server has in memory, which `read` reads again."""

    def __init__(self, engine: Engine) -> None:
        self.prices: Sequence[ListedPrice] = ()
        self._store = SqlPriceStore(engine)

    def read(self) -> None:
        """Read all prices that were not withdrawn; SQLAlchemyError if that cannot be."""
        self.prices = tuple(price for price in self._store.all() if price.withdrawn_at is None)


class SqlPriceStore:
    """Implements `services.accounts.api.PriceStore`. Nothing is deleted: rows of the ledger name their price."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, price: Price, model: str, valid_from: datetime | None) -> ListedPrice:
        """Store a price, valid from the next second on unless a time is given, and return it with its version.

        AccountsError if that time has passed.
        """
        next_second = datetime.now(UTC).replace(microsecond=0) + _SECOND
        if valid_from is not None and valid_from < next_second:
            raise AccountsError(
                "A price cannot be valid in the past: the calls of that time were billed by another one."
            )
        amounts = {name: getattr(price, name) for name in _AMOUNTS}
        with writing(self._engine) as connection:
            values = {"model": model, "valid_from": (valid_from or next_second).replace(microsecond=0), **amounts}
            number = connection.execute(insert(PRICES).values(**values).returning(PRICES.c.id)).scalar_one()
            raise_revision(connection)
            return _found(connection, f"{_PREFIX}{number}")

    def all(self) -> list[ListedPrice]:
        """All prices, by the time from which they are valid; of the same time, in the order of their versions."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(PRICES).order_by(PRICES.c.valid_from, PRICES.c.id)).mappings()
            return [_price_of(row) for row in rows]

    def withdraw(self, version: str) -> ListedPrice:
        """End a price before it is valid; AccountsError if there is none, or it is or was valid."""
        now = datetime.now(UTC)
        with writing(self._engine) as connection:
            price = _found(connection, version)
            if price.withdrawn_at is not None:
                raise AccountsError(f"The price {version!r} is withdrawn already.")
            if price.valid_from <= now:
                raise AccountsError(
                    f"The price {version!r} has been valid, and calls were billed by it: set another one."
                )
            connection.execute(update(PRICES).where(_is(version)).values(withdrawn_at=now))
            raise_revision(connection)
        return price


def _is(version: str) -> ColumnElement[bool]:
    number = version.removeprefix(_PREFIX)
    return PRICES.c.id == (int(number) if number.isascii() and number.isdigit() else -1)


def _found(connection: Connection, version: str) -> ListedPrice:
    row = connection.execute(select(PRICES).where(_is(version))).mappings().one_or_none()
    if row is None or f"{_PREFIX}{row['id']}" != version:
        raise AccountsError(f"There is no price {version!r}.")
    return _price_of(row)


def _price_of(row: RowMapping) -> ListedPrice:
    price = Price(row["prompt"], row["cached_prompt"], row["completion"], f"{_PREFIX}{row['id']}")
    return ListedPrice(price, row["model"], row["valid_from"], row["withdrawn_at"])
