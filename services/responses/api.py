"""The interface of the stored responses; those who implement it need a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from services.responses.record import StoredResponse


class Responses(Protocol):
    """The stored responses of all keys.

    All but `check` and `save` wait for the database: Unavailable if it is away.
    """

    def check(self) -> None:
        """Unavailable if a response could not be stored now."""

    def save(self, response: StoredResponse) -> Future[bool]:
        """Store a response, soon; never waits. Whether it is stored, once that is known; it can be cancelled before."""

    def continued(self, account: str, response_id: str) -> Sequence[StoredResponse]:
        """The conversation that a request continues: a response of the account after those before it.

        PreviousResponseNotFound if one of them is not stored, InvalidValue if they are too many or too long.
        """

    def conversation(self, account: str, response_id: str) -> Sequence[StoredResponse]:
        """A response of the account after those before it that are stored; NotFound if it is not."""

    def find(self, account: str, response_id: str) -> StoredResponse:
        """A response of the account; NotFound if there is none."""

    def delete(self, account: str, response_id: str) -> None:
        """Remove a response of the account; NotFound if there is none."""

    def close(self) -> None:
        """Store what waits, and close the connections."""
