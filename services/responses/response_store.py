"""Stored responses of `CHASQUI_ACCOUNTS`: a thread writes them; reading waits for the database."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from services.accounts.sql.database import open_database, writing
from services.accounts.sql.tables import RESPONSES
from services.errors import InvalidValue, NotFound, PreviousResponseNotFound, quoted
from services.responses.record import StoredResponse
from services.responses.write_queue import WriteQueue, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from sqlalchemy import ColumnElement, Connection

    from services.settings import Settings

# Of responses that one request continues.
MAX_DEPTH: Final = 1024
MAX_CONVERSATION_CHARACTERS: Final = 8 * 1024 * 1024
# Removed in one transaction.
_SWEPT: Final = 1000
_COLUMNS: Final = tuple(StoredResponse.__dataclass_fields__)


class ResponseStore:
    """Implements `services.responses.api.Responses`. Responses older than `CHASQUI_RESPONSE_DAYS` are not there."""

    def __init__(self, settings: Settings) -> None:
        """SettingsError if the database cannot be used."""
        self._engine = open_database(settings.accounts)
        self._age = timedelta(days=settings.response_days)
        self._queue = WriteQueue(self._write, self.sweep)

    def check(self) -> None:
        """Unavailable if a response could not be stored now."""
        self._queue.check()

    def save(self, response: StoredResponse) -> Future[bool]:
        """Store a response, soon; never waits. Whether it is stored, once that is known; it can be cancelled before."""
        return self._queue.put(response)

    def continued(self, account: str, response_id: str) -> Sequence[StoredResponse]:
        """The whole conversation of a response that a request continues; errors as in the interface."""
        try:
            conversation = self.conversation(account, response_id)
        except NotFound:
            raise _not_stored(response_id) from None
        missing, last = conversation[0].previous, conversation[-1]
        if missing is not None:
            raise _not_stored(missing)
        if last.depth > MAX_DEPTH or last.conversation_characters > MAX_CONVERSATION_CHARACTERS:
            raise InvalidValue(
                f"previous_response_id: the conversation has {last.depth:,} responses and "
                f"{last.conversation_characters:,} characters, but a request may continue {MAX_DEPTH:,} and "
                f"{MAX_CONVERSATION_CHARACTERS:,}: begin a new one with what matters of it in input.",
                param="previous_response_id",
            )
        return conversation

    def conversation(self, account: str, response_id: str) -> Sequence[StoredResponse]:
        """A response of the account after those before it that are stored; NotFound if it is not."""
        with self._reading() as connection:
            last = self._row(connection, account, response_id)
            if last is None:
                raise _not_found(response_id)
            return [last] if last.previous is None else self._chain(connection, last)

    def find(self, account: str, response_id: str) -> StoredResponse:
        """A response of the account; NotFound if there is none."""
        with self._reading() as connection:
            found = self._row(connection, account, response_id)
        if found is None:
            raise _not_found(response_id)
        return found

    def delete(self, account: str, response_id: str) -> None:
        """Remove a response of the account; NotFound if there is none."""
        same = (RESPONSES.c.id == response_id) & self._visible(account)
        try:
            with writing(self._engine) as connection:
                deleted = connection.execute(delete(RESPONSES).where(same))
        except SQLAlchemyError as error:
            raise unavailable() from error
        if not deleted.rowcount:
            raise _not_found(response_id)

    def sweep(self) -> bool:
        """Remove responses that are too old, up to a number; whether there may be more."""
        old = select(RESPONSES.c.id).where(RESPONSES.c.created_at <= self._oldest()).limit(_SWEPT)
        with writing(self._engine) as connection:
            return bool(connection.execute(delete(RESPONSES).where(RESPONSES.c.id.in_(old))).rowcount == _SWEPT)

    def close(self) -> None:
        """Store what waits, and close the connections."""
        self._queue.close()
        self._engine.dispose()

    def _write(self, responses: Sequence[StoredResponse]) -> None:
        dialect: Any = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        rows = [{name: getattr(response, name) for name in _COLUMNS} for response in responses]
        with writing(self._engine) as connection:
            if rows:
                connection.execute(dialect.insert(RESPONSES).on_conflict_do_nothing(), rows)
            else:
                connection.execute(select(1))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise unavailable() from error

    def _row(self, connection: Connection, account: str, response_id: str) -> StoredResponse | None:
        same = (RESPONSES.c.id == response_id) & self._visible(account)
        row = connection.execute(select(RESPONSES).where(same)).mappings().one_or_none()
        return None if row is None else StoredResponse(**row)

    def _chain(self, connection: Connection, last: StoredResponse) -> list[StoredResponse]:
        newer = (
            select(RESPONSES.c.id, RESPONSES.c.previous, literal(0).label("back"))
            .where(RESPONSES.c.id == last.id)
            .cte("newer", recursive=True)
        )
        older = (
            select(RESPONSES.c.id, RESPONSES.c.previous, newer.c.back + 1)
            .join(newer, RESPONSES.c.id == newer.c.previous)
            .where(self._visible(last.account))
        )
        chain = newer.union_all(older)
        wanted = select(RESPONSES).join(chain, chain.c.id == RESPONSES.c.id).order_by(chain.c.back.desc())
        return [StoredResponse(**row) for row in connection.execute(wanted).mappings()]

    def _visible(self, account: str) -> ColumnElement[bool]:
        return (RESPONSES.c.account == account) & (RESPONSES.c.created_at > self._oldest())

    def _oldest(self) -> datetime:
        return datetime.now(UTC) - self._age


def _not_found(response_id: str) -> NotFound:
    return NotFound(f"There is no response {quoted(response_id)}.", param="id")


def _not_stored(response_id: str) -> PreviousResponseNotFound:
    return PreviousResponseNotFound(
        f"Previous response with id {quoted(response_id)} not found: it is not stored here, or not any more.",
        param="previous_response_id",
    )
