"""A short slice of the soak; `make soak` takes its time."""

from __future__ import annotations

from tests.bench.soak import soak


def test_mixed_traffic_with_kills_loses_nothing_and_answers_nothing_wrongly() -> None:
    slice_ = soak(seconds=8.0, round_seconds=2.0, seed=1, advance=lambda _: None)
    # How long a restart takes depends on what else the machine does.
    bad = [check for check in slice_.verdict() if not check.passed and check.name != "longest time to serve again"]
    assert not bad, slice_.traffic.failures
    assert {kill.part for kill in slice_.kills} == {"server", "edge", "envoy"}
    kinds = {"streamed", "whole", "tools", "n = 3", "structured", "bad input", "disconnect", "gRPC whole"}
    kinds |= {"responses streamed", "responses whole", "messages streamed", "messages whole", "conversation"}
    assert kinds < set(slice_.traffic.right)
