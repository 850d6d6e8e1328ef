"""What travels beside a request, from the caller's HTTP headers to the chat server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.datastructures import Headers

# The last one is Envoy's own, and it lets no caller send it.
_FORWARDED: Final = (
    *("authorization", "traceparent", "tracestate", "x-request-id", "x-request-timeout"),
    "x-client-address",
)
# gRPC takes 8 KiB of metadata in all.
_LONGEST_HEADER: Final = 2048


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What travels beside a request."""

    metadata: tuple[tuple[str, str], ...]

    @classmethod
    def from_headers(cls, headers: Headers) -> CallOptions:
        """Options of an HTTP request; the server judges what the headers say. HTTPException 431 if one is too long."""
        given = [(name, headers[name]) for name in _FORWARDED if name in headers]
        for name, value in given:
            if len(value) > _LONGEST_HEADER:
                raise HTTPException(431, f"The header {name} is longer than {_LONGEST_HEADER:,} bytes.")
        # gRPC's metadata is printable ASCII; nothing else is a key, an id or a number.
        return cls(tuple((name, value) for name, value in given if value.isascii() and value.isprintable()))
