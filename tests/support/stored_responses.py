"""Stored responses in memory, as a database would have them."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from services.errors import NotFound, PreviousResponseNotFound
from services.responses.write_queue import unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.responses.record import StoredResponse


class FakeResponses:
    """Implements `services.responses.api.Responses`. It may be `away`; while it is `stuck`, nothing is ever stored."""

    def __init__(self) -> None:
        self.away = False
        self.stuck = False
        self.by_id: dict[str, StoredResponse] = {}
        self.begun: list[Future[bool]] = []

    def check(self) -> None:
        """Unavailable while it is away."""
        if self.away:
            raise unavailable()

    def save(self, response: StoredResponse) -> Future[bool]:
        """Store a response."""
        saved: Future[bool] = Future()
        self.begun.append(saved)
        if not self.stuck:
            saved.set_result(not self.away)
            if not self.away:
                self.by_id.setdefault(response.id, response)
        return saved

    def continued(self, account: str, response_id: str) -> Sequence[StoredResponse]:
        """The conversation of a response."""
        try:
            return self.conversation(account, response_id)
        except NotFound:
            raise PreviousResponseNotFound(f"{response_id} not found.", param="previous_response_id") from None

    def conversation(self, account: str, response_id: str) -> Sequence[StoredResponse]:
        """The conversation of a response."""
        last = self.find(account, response_id)
        return [*self.conversation(account, last.previous), last] if last.previous else [last]

    def find(self, account: str, response_id: str) -> StoredResponse:
        """A response of the account."""
        self.check()
        found = self.by_id.get(response_id)
        if found is None or found.account != account:
            raise NotFound(f"There is no response {response_id!r}.", param="id")
        return found

    def delete(self, account: str, response_id: str) -> None:
        """Remove a response of the account."""
        del self.by_id[self.find(account, response_id).id]

    def close(self) -> None:
        """Nothing to close."""
