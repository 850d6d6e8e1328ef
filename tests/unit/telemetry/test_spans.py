"""What identifies a request's span in its trace."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import TraceFlags

from services.telemetry.spans import Spans, untraced
from services.telemetry.tracing import remote_parent, trace_headers

TRACE = "0af7651916cd43dd8448eb211c80319c"


def _flags(header: str) -> int:
    return int(header.rpartition("-")[2], 16)


@pytest.mark.parametrize("spans", [untraced(), Spans(ALWAYS_ON, None)], ids=["off", "on"])
def test_a_trace_that_begins_here_says_that_its_id_is_random(spans: Spans) -> None:
    header = trace_headers(spans.begin("x", None).context)["traceparent"]
    assert _flags(header) & TraceFlags.RANDOM_TRACE_ID


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_a_trace_that_is_continued_keeps_what_its_caller_says_of_its_id(flags: str) -> None:
    spans = Spans(ALWAYS_ON, SpanProcessor())
    remote = remote_parent({"traceparent": f"00-{TRACE}-b7ad6b7169203331-{flags}"})
    header = trace_headers(spans.begin("x", remote).context)["traceparent"]
    assert header.startswith(f"00-{TRACE}-")
    assert _flags(header) & TraceFlags.RANDOM_TRACE_ID == int(flags, 16) & TraceFlags.RANDOM_TRACE_ID
