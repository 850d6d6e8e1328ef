"""The TensorRT-LLM engine, for NVIDIA GPUs, through the package's LLM class.

The package's async API requires one event loop and one thread: everything runs in the loop that `start` runs in. The
API wakes one task per submission and step.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from services.engine.api import Capabilities, EngineState, Generation, Heartbeat, ModelInfo, Sink
from services.engine.load_error import EngineLoadError
from services.engine.model.byte_level import tokenizer_from_checkpoint
from services.engine.tensorrt_llm.blocking import in_daemon_thread
from services.engine.tensorrt_llm.capability import EXCLUSIONS, PARAMETERS, REMEDIES
from services.engine.tensorrt_llm.driver import Driver
from services.engine.tensorrt_llm.shutdown import end_process_soon, shut_down
from services.engine.tensorrt_llm.silent_sink import SilentSink
from services.engine.tensorrt_llm.workers import Workers

if TYPE_CHECKING:
    from services.engine.tensorrt_llm.generation import TensorRtLlmHandle
    from services.engine.tensorrt_llm.model import LoadableModel
    from services.engine.tensorrt_llm.runtime import Runtime

# For each of the two steps of closing: the engine confirms the cancels, then shuts down.
_CLOSE_SECONDS = 20.0


class TensorRtLlmEngine:
    """A model on TensorRT-LLM, with slots for `model.options.parallel` sequences."""

    def __init__(
        self, runtime: Runtime, model: LoadableModel, name: str, close_seconds: float = _CLOSE_SECONDS
    ) -> None:
        checkpoint, options = model.checkpoint, model.options
        self.capabilities = Capabilities(
            options.context_length,
            checkpoint.vocabulary_size,
            PARAMETERS[model.sampler],
            options.parallel,
            guided=model.guided,
            remedies=REMEDIES[model.sampler],
            exclusions=EXCLUSIONS,
        )
        self.model = ModelInfo(
            name=name,
            quantization=model.quantization,
            fingerprint=f"tensorrt-llm-{runtime.version}-{checkpoint.digest}",
            chat_template=checkpoint.chat_template,
            bos_token=checkpoint.bos_token,
            eos_token=checkpoint.eos_token,
            tool_template=checkpoint.tool_template,
        )
        self.tokenizer = tokenizer_from_checkpoint(checkpoint)
        self._runtime = runtime
        self._loadable = model
        self._close_seconds = close_seconds
        self._workers = Workers()
        self._closed = False
        self._llm: Any = None
        self._driver: Driver

    async def start(self) -> None:
        """Load the model in a thread, which takes minutes, and generate a token; EngineLoadError if that fails.

        Cancelled while loading, it kills the workers and ends the process, because the constructor cannot be stopped.
        """
        try:
            self._llm = await in_daemon_thread(partial(self._loadable.load, self._runtime))
        except asyncio.CancelledError:
            self._workers.find()
            self._workers.kill()
            end_process_soon()
            raise
        except Exception as error:
            raise EngineLoadError(f"TensorRT-LLM cannot load {self._loadable.path}: {error}") from error
        self._workers.find()
        checkpoint, options = self._loadable.checkpoint, self._loadable.options
        self._driver = Driver(self._runtime, self._llm, checkpoint, self.tokenizer, options.parallel)
        sink = SilentSink()
        await self.submit(Generation(checkpoint.end_ids[:1], 1, ignore_eos=True), sink).released
        if sink.error is not None:
            await self.close()
            raise EngineLoadError(f"TensorRT-LLM cannot generate with {self._loadable.path}: {sink.error}")

    def submit(self, generation: Generation, sink: Sink) -> TensorRtLlmHandle:
        """Queue a generation."""
        return self._driver.submit(generation, sink)

    def heartbeat(self) -> Heartbeat:
        """The engine's state; `progress` counts engine iterations, prefills included, and steps of results."""
        driver = self._driver
        if not self._closed and not self._is_alive():
            driver.fail("The engine's worker process died.")
        slots = driver.slots
        state = EngineState.FAILED if driver.failure else EngineState.WORKING if slots else EngineState.IDLE
        # The engine reports it with its iterations, and has none while it is idle.
        use = 0.0 if driver.kv_cache_use is not None and not slots.running else driver.kv_cache_use
        return Heartbeat(state, driver.progress.count, len(slots.running), len(slots.waiting), use)

    async def close(self) -> None:
        """Cancel everything and free the GPU; past a deadline the workers are killed and the process ends."""
        if self._closed:
            return
        self._closed = True
        await self._driver.close(self._close_seconds)
        if not await shut_down(self._llm, self._workers, self._close_seconds):
            end_process_soon()

    def _is_alive(self) -> bool:
        """The package's own health flag. On releases without one, failures are detected by the errors they raise."""
        check = getattr(self._llm, "_check_health", None)
        return check is None or bool(check())
