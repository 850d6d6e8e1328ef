"""The value of the Server-Timing header and trailer."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from chasqui.v1 import chat_pb2
from services.telemetry.server_timing import server_timing
from tests.support import events


def test_server_timing_lists_the_phases_in_order_in_milliseconds() -> None:
    assert server_timing(events.timings()) == (
        "queue;dur=0.500, tokenize;dur=1.250, prefill;dur=20.000, decode;dur=1000.001, total;dur=61000.000"
    )


def test_server_timing_lists_phases_that_took_no_time() -> None:
    assert server_timing(chat_pb2.Timings(total=Duration(nanos=999))) == (
        "queue;dur=0.000, tokenize;dur=0.000, prefill;dur=0.000, decode;dur=0.000, total;dur=0.000"
    )
