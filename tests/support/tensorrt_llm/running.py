"""Starts TensorRT-LLM engines on the double, and runs generations on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.engine.api import Generation
from services.engine.tensorrt_llm.engine import TensorRtLlmEngine
from services.engine.tensorrt_llm.gpus import read_gpus
from services.engine.tensorrt_llm.model import loadable_model
from services.engine.tensorrt_llm.options import Options
from services.engine.tensorrt_llm.runtime import load_runtime
from tests.support.recording_sink import RecordingSink
from tests.support.tensorrt_llm.modes import compiled
from tests.support.tensorrt_llm.release import write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tensorrt_llm.llm import Llm
    from tests.support.tensorrt_llm.release import Release

PARALLEL = 4
# In which the double must shut down, or the tests' process would be ended.
_CLOSE_SECONDS = 60.0
# Special tokens: the double samples plain ones, and could otherwise end a choice by chance.
END_IDS = (3068, 3069)
STOP_ID = 3071


class StartedEngines:
    """The engines of one test, in a folder of its own; `close` closes them all."""

    def __init__(self, release: Release, folder: Path) -> None:
        self._release = release
        self._folder = folder
        self._engines: list[TensorRtLlmEngine] = []

    async def __call__(
        self, *, from_engine: bool = False, close_seconds: float = _CLOSE_SECONDS, **options: Any
    ) -> TensorRtLlmEngine:
        """Load a model with these options; with `from_engine` a compiled one."""
        path = write_checkpoint(self._folder / "model", end_ids=END_IDS)
        path = compiled(path, self._folder / "engine") if from_engine else path
        given: dict[str, Any] = {"context_length": 1024, "parallel": PARALLEL} | options
        runtime = load_runtime()
        model = loadable_model(path, runtime, Options(**given), read_gpus())
        engine = TensorRtLlmEngine(runtime, model, "demo", close_seconds)
        await engine.start()
        self._engines.append(engine)
        return engine

    async def close(self) -> None:
        """Close all of them."""
        for engine in self._engines:
            await engine.close()

    @property
    def llm(self) -> Llm:
        """The double's LLM that was made last."""
        return self._release.llms[-1]

    @property
    def submitted(self) -> dict[str, Any]:
        """The arguments of the last generate_async."""
        return self.llm.submitted[-1]


async def run(engine: TensorRtLlmEngine, **fields: Any) -> RecordingSink:
    """Generate, and return the events."""
    sink = RecordingSink()
    given: dict[str, Any] = {"prompt": engine.tokenizer.encode("Hello there"), "max_tokens": 20} | fields
    await engine.submit(Generation(**given), sink).released
    return sink
