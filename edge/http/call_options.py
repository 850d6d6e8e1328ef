"""The metadata of a call: what of the caller's HTTP headers is sent to the chat server."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from edge.http.exchange import current_exchange
from services.errors import DeadlineExceeded
from services.settings import MAX_METADATA_BYTES
from services.telemetry.tracing import trace_headers

if TYPE_CHECKING:
    from starlette.datastructures import Headers

# Envoy sets the last one and removes it from callers' requests.
_TIMEOUT: Final = "x-request-timeout"
_FORWARDED: Final = ("authorization", _TIMEOUT, "x-client-address")
_READ: Final = frozenset(name.encode() for name in (*_FORWARDED, "x-api-key"))
# gRPC counts 32 bytes for each entry beyond its text, and adds entries of its own.
_LONGEST_METADATA: Final = MAX_METADATA_BYTES - 4096


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The metadata, and when the request arrived by the monotonic clock."""

    given: tuple[tuple[str, str], ...]
    arrived: float = field(default_factory=time.monotonic)

    @classmethod
    def from_headers(cls, headers: Headers) -> CallOptions:
        """The options of the current HTTP request.

        Values are validated by the chat server. HTTPException 431 if they are longer than RPCs can carry.
        """
        # Of a header that is sent twice the first counts, as everywhere.
        sent = {name.decode(): value.decode("latin-1") for name, value in reversed(headers.raw) if name in _READ}
        given: list[tuple[str, str]] = [(name, sent[name]) for name in _FORWARDED if name in sent]
        if "x-api-key" in sent and "authorization" not in sent:
            given.append(("authorization", f"Bearer {sent['x-api-key']}"))
        exchange = current_exchange.get()
        if exchange.endpoint:
            given.append(("x-endpoint", exchange.endpoint))
        given += [*trace_headers(exchange.span.context).items(), ("x-request-id", exchange.request_id)]
        if sum(len(name) + len(value) for name, value in given) > _LONGEST_METADATA:
            raise HTTPException(431, f"The headers are longer than {_LONGEST_METADATA:,} bytes.")
        # gRPC metadata is printable ASCII, and so is every valid key, id and number.
        return cls(tuple((name, value) for name, value in given if value.isascii() and value.isprintable()))

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """For a call that is sent now: the timeout is what is left of it; DeadlineExceeded if nothing is."""
        left = self.remaining
        if left is None:
            return self.given
        if left <= 0:
            raise DeadlineExceeded("The deadline passed before the request had arrived.")
        return tuple((name, f"{left:.6f}" if name == _TIMEOUT else value) for name, value in self.given)

    @property
    def remaining(self) -> float | None:
        """The timeout less the time since arrival (a slow upload counts); None without one, or if it is no duration."""
        given = next((value for name, value in self.given if name == _TIMEOUT), "")
        try:
            seconds = float(given)
        except ValueError:
            return None
        return seconds - (time.monotonic() - self.arrived) if 0 < seconds < math.inf else None
