"""The value of a `Server-Timing` field: where the time of a call went, as W3C's Server Timing defines it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.message import Message


def server_timing(timings: Message) -> str:
    """Milliseconds per phase; every field of `timings` is a google.protobuf.Duration, named for its phase."""
    return ", ".join(
        f"{phase.name};dur={getattr(timings, phase.name).ToTimedelta().total_seconds() * 1e3:.3f}"
        for phase in timings.DESCRIPTOR.fields
    )
