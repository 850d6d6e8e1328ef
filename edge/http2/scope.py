"""Translates the header fields of an HTTP/2 request into the scope of ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.types import Scope

# An extension of ASGI: `write(data) -> bool` takes the next bytes of the body if they can leave at once. It is a call
# without a coroutine, for what is done per token.
WRITE: Final = "chasqui.write"
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}


def scope_of(fields: Iterable[tuple[bytes, bytes]], write: Callable[[bytes], bool]) -> Scope:
    """The scope of a request. A pseudo-header field that is missing is empty: Envoy has validated them."""
    pseudo: dict[bytes, bytes] = {}
    headers: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if name.startswith(b":"):
            pseudo[name] = value
        else:
            headers.append((name, value))
    if b":authority" in pseudo:
        headers.insert(0, (b"host", pseudo[b":authority"]))
    raw_path, _, query = pseudo.get(b":path", b"").partition(b"?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": _ASGI,
        "http_version": "2",
        "method": pseudo.get(b":method", b"").decode("latin-1"),
        "scheme": pseudo.get(b":scheme", b"").decode("latin-1"),
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
        "extensions": {WRITE: write},
    }
    return scope
