"""What travels beside a request, from the caller's HTTP headers to the chat server."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from edge.http.exchange import current_exchange
from services.errors import DeadlineExceeded
from services.telemetry.tracing import trace_headers

if TYPE_CHECKING:
    from starlette.datastructures import Headers

# The last one is Envoy's own, and it lets no caller send it.
_FORWARDED: Final = ("authorization", "x-request-timeout", "x-client-address")
# gRPC takes 8 KiB of metadata in all.
_LONGEST_HEADER: Final = 2048


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What travels beside a request, and when that arrived, by the monotonic clock."""

    given: tuple[tuple[str, str], ...]
    arrived: float = field(default_factory=time.monotonic)

    @classmethod
    def from_headers(cls, headers: Headers) -> CallOptions:
        """Options of the HTTP request that is being answered, which is the current exchange.

        The server judges what the headers say. HTTPException 431 if one is too long.
        """
        given = [(name, headers[name]) for name in _FORWARDED if name in headers]
        exchange = current_exchange.get()
        given += [*trace_headers(exchange.span.context).items(), ("x-request-id", exchange.request_id)]
        for name, value in given:
            if len(value) > _LONGEST_HEADER:
                raise HTTPException(431, f"The header {name} is longer than {_LONGEST_HEADER:,} bytes.")
        # gRPC's metadata is printable ASCII; nothing else is a key, an id or a number.
        return cls(tuple((name, value) for name, value in given if value.isascii() and value.isprintable()))

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """For a call that is sent now: of the caller's time, what is left; DeadlineExceeded if that is nothing."""
        return tuple(
            (name, self._remaining(value) if name == "x-request-timeout" else value) for name, value in self.given
        )

    def _remaining(self, text: str) -> str:
        """The limit less the time since arrival, as a slow body takes it; what is no duration stays as it is."""
        try:
            seconds = float(text)
        except ValueError:
            return text
        if not 0 < seconds < math.inf:
            return text
        left = seconds - (time.monotonic() - self.arrived)
        if left <= 0:
            raise DeadlineExceeded("The call's time ran out before the request had arrived.")
        return f"{left:.6f}"
