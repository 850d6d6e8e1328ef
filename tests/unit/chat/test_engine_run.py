"""The times of a call around its runs in the engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from services.chat.answer.engine_run import EngineRun
from services.engine.api import End, EngineTimings

if TYPE_CHECKING:
    import pytest


def test_the_time_of_the_submission_is_the_engine_s_and_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    run = EngineRun(lambda _: None)
    now = 12.0

    def submit() -> Any:
        nonlocal now
        now = 15.0
        return object()

    run.submit(submit)
    assert run.total(End(1, 0, 0, EngineTimings(queue=3.0))).timings.queue == 2.0 + 3.0
