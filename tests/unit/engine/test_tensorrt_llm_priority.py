"""The priority of a generation reaches TensorRT-LLM where its release has priorities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.tensorrt_llm.modes import HOPPER, install, install_gpus
from tests.support.tensorrt_llm.release import Release
from tests.support.tensorrt_llm.running import StartedEngines, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("version", "priorities"), [("1.4.0", [1.0, 0.5]), ("1.2.1", [None, None])])
async def test_a_release_that_has_priorities_gets_them_and_one_that_has_none_does_not(
    version: str, priorities: list[float | None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    start = StartedEngines(install(monkeypatch, Release(version)), tmp_path)
    engine = await start()
    given = []
    for fields in ({"priority": 1.0}, {}):
        assert (await run(engine, **fields)).ends[0].error is None
        given.append(start.submitted.get("priority"))
    await start.close()
    assert given == priorities
