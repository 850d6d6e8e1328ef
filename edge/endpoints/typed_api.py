"""`POST /chasqui.v1.ChatService/…` and ModelService: calls of the typed API in a form in which it is not served.

Envoy brings gRPC, gRPC-Web and Connect with binary messages to the chat server. What arrives here is mostly a Connect
client with its default, messages in JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def refuse_form(_: Request) -> Response:
    """415 with an error in Connect's form."""
    words = "Messages must be binary protobuf: in Connect's clients, useBinaryFormat."
    return JSONResponse({"code": "unimplemented", "message": words}, 415)
