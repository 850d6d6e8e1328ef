"""What a stream writes at once, and what it keeps for the write of its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from edge.endpoints.stream_sink import StreamSink
from edge.http.exchange import Exchange
from edge.openai.chunk_writer import ChunkWriter
from edge.openai.response import ChunkSequence
from tests.support.events import completed, delta, finish, started

if TYPE_CHECKING:
    from edge.http.event_stream import EventStream
    from services.telemetry.spans import RequestSpan


class FakeStream:
    """Keeps what is pushed."""

    def __init__(self) -> None:
        self.pushed = b""

    def push(self, data: bytes, *, counted: bool = True) -> None:
        self.pushed += data


async def unused_send(_: Any) -> None:
    """Is never called."""


def new_sink(stream: FakeStream, *, waits: bool) -> StreamSink:
    exchange = Exchange("id", "0" * 32, cast("RequestSpan", None), unused_send, lambda _: False)
    return StreamSink(ChunkWriter(ChunkSequence(n=1)), cast("EventStream", stream), exchange, waits=waits)


@pytest.mark.parametrize("waits", [False, True])
def test_the_last_text_is_in_the_write_of_the_end_unless_that_waits(waits: bool) -> None:
    stream = FakeStream()
    sink = new_sink(stream, waits=waits)
    sink.add_all([started()])
    sink.add_text(0, "Hel")
    sink.add_all([delta("lo!"), finish(), completed()])
    assert (b"lo!" in stream.pushed, b"lo!" in sink.last) == (waits, not waits)
    assert b'"finish_reason":"stop"' in sink.last


@pytest.mark.parametrize("waits", [False, True])
def test_an_answer_without_text_ends_in_one_write(waits: bool) -> None:
    stream = FakeStream()
    sink = new_sink(stream, waits=waits)
    sink.add_all([started()])
    pushed = stream.pushed
    sink.add_all([finish(), completed()])
    assert stream.pushed == pushed
    assert b'"finish_reason":"stop"' in sink.last
