"""`/v1/responses`: what reads its requests where responses are stored, and the endpoints of stored responses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from edge.endpoints.files import json_response, page_limit
from edge.http.body import discard_body
from edge.http.call_options import CallOptions
from edge.http.ignored import ignored_header
from edge.responses.asked import asked_response, decoded_response, stored, unstored
from edge.responses.item_schema import DeletedResponse
from edge.responses.items import page, used_items
from services.errors import InvalidValue, NotFound, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from edge.api.asked import Asked
    from edge.endpoints.gate import Gate
    from edge.responses.asked import Decoded
    from edge.upstream.client import Upstream
    from services.responses.api import Responses

# Query parameters: whether one is refused. Others are named in x-ignored-parameters.
_COMMON: Final = {"include": False, "include[]": False}
_OF_A_RESPONSE: Final = {**_COMMON, "stream": True, "starting_after": True, "include_obfuscation": False}
_OF_ITEMS: Final = {**_COMMON, "limit": False, "order": False, "after": False, "before": True}


@dataclass(frozen=True, slots=True)
class _Draft:
    """A request that is to be stored, or continues a response; `size` is that of its body."""

    decoded: Decoded
    size: int


def _read(data: bytes) -> Asked | _Draft:
    decoded = decoded_response(data)
    if decoded.body.store is False and decoded.body.previous_response_id is None:
        return unstored(decoded)
    return _Draft(decoded, len(data))


def _page(
    responses: Responses, account: str, response_id: str, after: str | None, limit: int, *, newest_first: bool
) -> bytes:
    """The JSON of a page; waits for the database."""
    listed = used_items(responses.conversation(account, response_id))
    return msgspec.json.encode(page(listed, after, limit, newest_first=newest_first))


def _checked_query(request: Request, known: Mapping[str, bool]) -> dict[str, str]:
    """The header that names unknown parameters; UnsupportedParameter for one that is refused and not false."""
    for name, value in request.query_params.items():
        if known.get(name) and value != "false":
            raise UnsupportedParameter(f"{name} is not supported for stored responses.", param=name)
    return ignored_header(sorted(set(request.query_params) - set(known)))


class Responding:
    """Reads the requests of `POST /v1/responses`."""

    def __init__(self, gate: Gate, upstream: Upstream, responses: Responses | None) -> None:
        """Without `responses` none is stored."""
        self._gate = gate
        self._upstream = upstream
        self._responses = responses

    async def asked(self, request: Request, options: CallOptions) -> Asked:
        """What a request asks for; raises the ChasquiError or HTTPException that refuses it, or ClientDisconnect.

        A request that demands to be stored is refused while that cannot be; any other is answered then, and not stored.
        """
        responses = self._responses
        if responses is None:
            return await self._gate.decoded(request, options, asked_response)
        draft = await self._gate.decoded(request, options, _read)
        if not isinstance(draft, _Draft):
            return draft
        body = draft.decoded.body
        account = await self._upstream.account(options)
        if body.store:
            responses.check()
        previous = body.previous_response_id
        conversation = await asyncio.to_thread(responses.continued, account, previous) if previous else ()
        if body.store is False:
            translate = partial(unstored, draft.decoded, conversation)
        else:
            translate = partial(stored, draft.decoded, conversation, responses, account)
        size = draft.size + sum(response.size for response in conversation)
        return await self._gate.translated(size, translate)


class StoredResponses:
    """The endpoints of responses that are stored, each for the key that made it alone."""

    def __init__(self, upstream: Upstream, responses: Responses | None) -> None:
        self._upstream = upstream
        self._responses = responses

    async def get(self, request: Request) -> Response:
        """A response, as it was answered."""
        headers = _checked_query(request, _OF_A_RESPONSE)
        responses, account, response_id = await self._opened(request)
        found = await asyncio.to_thread(responses.find, account, response_id)
        return Response(found.body, 200, headers, "application/json")

    async def delete(self, request: Request) -> Response:
        """Remove a response."""
        responses, account, response_id = await self._opened(request)
        await asyncio.to_thread(responses.delete, account, response_id)
        return json_response(DeletedResponse(response_id))

    async def input_items(self, request: Request) -> Response:
        """A page of the items that a response was made of, those of the conversation before it included."""
        headers = _checked_query(request, _OF_ITEMS)
        query = request.query_params
        order = query.get("order", "desc")
        if order not in {"asc", "desc"}:
            raise InvalidValue("order must be asc or desc.", param="order")
        limit = page_limit(query.get("limit"), 20, 100)
        responses, account, response_id = await self._opened(request)
        listed = partial(
            _page, responses, account, response_id, query.get("after"), limit, newest_first=order == "desc"
        )
        return Response(await asyncio.to_thread(listed), 200, headers, "application/json")

    async def cancel(self, request: Request) -> Response:
        """Refuse to cancel: as at OpenAI, that is for responses in the background, and there are none."""
        responses, account, response_id = await self._opened(request)
        await asyncio.to_thread(responses.find, account, response_id)
        raise InvalidValue(
            "Only a response that runs in the background can be cancelled, and there is none here. A response that is "
            "running ends when its connection is closed.",
            param="id",
        )

    async def missing(self, request: Request) -> Response:
        """404 and not 405 for what OpenAI has at paths like that of a response, and this service has not: compact."""
        await discard_body(request)
        raise HTTPException(404)

    async def _opened(self, request: Request) -> tuple[Responses, str, str]:
        """The responses, the account of the caller, and the id in the path; raises the chat server's refusal, too."""
        account = await self._upstream.account(CallOptions.from_headers(request.headers))
        if self._responses is None:
            raise NotFound("No responses are stored here: CHASQUI_RESPONSE_DAYS is not set.", param="id")
        return self._responses, account, str(request.path_params["id"])
