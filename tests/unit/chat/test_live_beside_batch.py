"""Live calls and a batch on one engine, in virtual time; `make bench-batches` has the figures for longer runs."""

from __future__ import annotations

from tests.bench.live_beside_batch import measured


def test_a_batch_delays_no_first_token_and_takes_what_live_calls_leave() -> None:
    found = measured(slots=64, seconds=8)
    assert len(found.beside) == len(found.alone) > 150
    assert found.delay <= 1.1
    assert found.share >= 0.9
    assert found.preempted > 0
