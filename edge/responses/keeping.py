"""Stores a response when it has ended, before its caller has the end of it: then the next request can continue it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from edge.responses.response import Ids

if TYPE_CHECKING:
    from concurrent.futures import Future

    from edge.api.whole_answer import WholeAnswer
    from edge.responses.answer_schema import ResponseObject
    from edge.responses.response_writer import ResponseWriter
    from services.errors import ChasquiError
    from services.responses.api import Responses
    from services.responses.record import StoredResponse

# The end of an answer waits this long for the database. Then the response is not stored, and says so.
MOST_SECONDS: Final = 5.0


class KeptStream:
    """A `Keeping` of a streamed response, complete or not."""

    def __init__(
        self, responses: Responses, begun: StoredResponse, repeated: ResponseObject, writer: ResponseWriter
    ) -> None:
        """`begun` lacks what is known at the end; `repeated.store` becomes false if the response is not stored."""
        self._responses = responses
        self._begun = begun
        self._repeated = repeated
        self._writer = writer
        self._is_saved = False

    async def keep(self, error: ChasquiError | None = None) -> None:
        """Store the response, which is complete or has failed with an error."""
        if error is not None:
            self._writer.fail(error)
        self._repeated.store = await _done(self._save())

    def leave(self) -> None:
        """Store what there is: the caller has gone away."""
        if not self._is_saved and self._writer.response().id:  # else the call was not accepted
            self._writer.fail(None)
            self._save()

    def _save(self) -> Future[bool]:
        self._is_saved = True
        response = self._writer.response()
        return self._responses.save(ended(self._begun, response.id, msgspec.json.encode(response)))


class KeptAnswer:
    """A `Keeping` of an unstreamed response. One that fails is not kept: its caller does not know its id."""

    def __init__(
        self, responses: Responses, begun: StoredResponse, repeated: ResponseObject, answer: WholeAnswer
    ) -> None:
        """As above."""
        self._responses = responses
        self._begun = begun
        self._repeated = repeated
        self._answer = answer

    async def keep(self, error: ChasquiError | None = None) -> None:
        """Store the response."""
        response_id = Ids(self._answer.response.id).response
        saved = self._responses.save(ended(self._begun, response_id, b"".join(self._answer.json())))
        self._repeated.store = await _done(saved)

    def leave(self) -> None:
        """The caller has gone away."""


def ended(begun: StoredResponse, response_id: str, body: bytes) -> StoredResponse:
    """A response with what is known at its end."""
    response = replace(begun, id=response_id, body=body.decode())
    return replace(response, conversation_characters=begun.conversation_characters + response.size)


async def _done(saved: Future[bool]) -> bool:
    """Whether a response was stored in time. Its caller may go away meanwhile: it is stored all the same."""
    try:
        async with asyncio.timeout(MOST_SECONDS):
            return await asyncio.shield(asyncio.wrap_future(saved))
    except TimeoutError:
        saved.cancel()
        return False
