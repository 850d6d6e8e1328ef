"""Runs generations on an LLM: places, submissions, readers, aborts and failures, all in one loop and thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from services.engine.api import EndReason, Generation, Sink
from services.engine.tensorrt_llm.generation import (
    EmptyAnswerError,
    Progress,
    TensorRtLlmHandle,
    UnexplainedEndError,
)
from services.engine.tensorrt_llm.request import end_ids, is_greedy, sampling_params

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from services.engine.model.checkpoint import Checkpoint
    from services.engine.tensorrt_llm.runtime import Runtime

log = logging.getLogger(__name__)

# The engine confirms an abort with a final step. One that never comes, as in the middle of a prefill, must not keep the
# place for ever.
_ABORT_SECONDS = 30.0
# An engine without KV-cache blocks answers nothing until it is restarted; one odd answer is no proof of that.
_EMPTY_ANSWERS = 3
# Choices share the prompt's KV-cache blocks if the first one's prefill is over before the others begin. Waiting for
# that is worth it from about this many tokens on.
_SHARED_PROMPT = 256
_STATS_SECONDS = 1.0


class Driver:
    """`llm` with `places` sequences at a time; further generations wait here. Belongs to the running loop."""

    def __init__(self, runtime: Runtime, llm: Any, checkpoint: Checkpoint, places: int) -> None:
        self.waiting: deque[TensorRtLlmHandle] = deque()
        self.running: set[TensorRtLlmHandle] = set()
        self.failure: str | None = None
        self.progress = Progress()
        self._runtime = runtime
        self._llm = llm
        self._checkpoint = checkpoint
        self._places = places
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stats: asyncio.Task[None] | None = None
        self.kv_cache_use: float | None = None  # as the engine last told
        self._empty_answers = 0

    def submit(self, generation: Generation, sink: Sink) -> TensorRtLlmHandle:
        """Queue a generation; until it has a place it can be cancelled at once."""
        handle = TensorRtLlmHandle(
            generation,
            sink,
            self._loop.create_future(),
            end_ids(generation, self._checkpoint),
            self._cancel_soon,
            self.progress,
            copies=generation.n > 1 and is_greedy(generation.sampling),
        )
        self.waiting.append(handle)
        self._loop.call_soon(self._dispatch)
        return handle

    def fail(self, failure: str) -> None:
        """The engine is gone: everything ends with an error, now and from now on."""
        if self.failure is not None:
            return
        self.failure = failure
        log.error("%s", failure)
        for handle in list(self.running):
            handle.end(failure)
        self._dispatch()
        # Later, because a task that is cancelled before its first step never gets to give its place back.
        self._loop.call_soon(self._cancel_tasks)

    async def close(self, deadline: float) -> None:
        """Cancel everything and wait up to `deadline` seconds for the engine to confirm."""
        handles = [*self.running, *self.waiting]
        for handle in handles:
            handle.cancel()
        if handles:
            await asyncio.wait([handle.released for handle in handles], timeout=deadline)
        tasks = list(self._tasks)
        self._cancel_tasks()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _dispatch(self) -> None:
        """Start waiting generations while there are places for all of their sequences."""
        while self.waiting and self.failure is not None:
            handle = self.waiting.popleft()
            handle.end(self.failure)
            handle.released.set_result(None)
        while self.waiting and self.waiting[0].submissions <= self._places:
            self._start(self.waiting.popleft())
        if self.running and (self._stats is None or self._stats.done()):
            self._stats = self._spawn(self._watch_iterations())

    def _start(self, handle: TensorRtLlmHandle) -> None:
        handle.started = time.monotonic()
        handle.held = handle.submissions
        self.running.add(handle)
        self._places -= handle.held
        self._submit(handle, 0)
        if handle.submissions > 1 and len(handle.generation.prompt) >= _SHARED_PROMPT:
            self._spawn(self._submit_others(handle))
        else:
            for submission in range(1, handle.submissions):
                self._submit(handle, submission)

    async def _submit_others(self, handle: TensorRtLlmHandle) -> None:
        submission = 1
        try:
            await handle.first_token.wait()
            while submission < handle.submissions:
                self._submit(handle, submission)
                submission += 1
        finally:
            for _ in range(submission, handle.submissions):
                self._give_back(handle)

    def _submit(self, handle: TensorRtLlmHandle, submission: int) -> None:
        if not handle.served_by(submission):
            self._give_back(handle)  # cancelled before it began
            return
        generation = handle.generation
        try:
            result = self._llm.generate_async(
                {"prompt_token_ids": list(generation.prompt)},
                sampling_params(self._runtime, generation, submission, self._checkpoint),
                streaming=True,
                trace_headers=generation.trace_headers or None,
            )
        except (self._runtime.llmapi.RequestError, ValueError, TypeError) as error:
            self._give_back(handle)
            self._end_with(handle, f"The engine refused the call: {error}")
        except Exception as error:  # noqa: BLE001 - from whatever else it raises it does not recover
            self._give_back(handle)
            self.fail(f"The engine takes no more calls: {error}")
        else:
            handle.results[submission] = result
            self._spawn(self._read(handle, submission, result))

    async def _read(self, handle: TensorRtLlmHandle, submission: int, result: Any) -> None:
        try:
            await handle.read(submission, result)
            self._empty_answers = 0
        except EmptyAnswerError as error:
            self._empty_answers += 1
            self._end_with(handle, str(error))
            if self._empty_answers >= _EMPTY_ANSWERS:
                self.fail("The engine gives empty answers.")
        except UnexplainedEndError as error:
            self._end_with(handle, str(error))
        except self._runtime.llmapi.RequestError as error:
            self._end_with(handle, f"The engine failed the call: {error}")
        except Exception as error:  # noqa: BLE001 - the package shuts itself down before it raises anything else
            self.fail(f"The engine broke: {error}")
        finally:
            if handle.results.pop(submission, None) is not None:
                self._give_back(handle)

    def _cancel_soon(self, handle: TensorRtLlmHandle, choice: int | None) -> None:
        self._loop.call_soon(self._cancel, handle, choice)

    def _cancel(self, handle: TensorRtLlmHandle, choice: int | None) -> None:
        """End choices for the caller, and abort submissions that nobody waits for."""
        for index in sorted(handle.choices) if choice is None else [choice]:
            if index in handle.choices:
                handle.end_choice(index, EndReason.CANCELLED)
        if not handle.choices and handle in self.waiting:
            self.waiting.remove(handle)
            handle.released.set_result(None)
        self._abort_unwanted(handle)

    def _end_with(self, handle: TensorRtLlmHandle, error: str) -> None:
        handle.end(error)
        self._abort_unwanted(handle)

    def _abort_unwanted(self, handle: TensorRtLlmHandle) -> None:
        for submission, result in handle.results.items():
            if handle.served_by(submission) or result.finished or result.aborted():
                continue
            try:
                result.abort()
            except Exception as error:  # noqa: BLE001 - after a shutdown there is nothing to abort
                log.debug("abort failed: %s", error)
            self._loop.call_later(_ABORT_SECONDS, self._give_up, handle, submission)

    def _give_up(self, handle: TensorRtLlmHandle, submission: int) -> None:
        """The engine has not confirmed an abort: let others have the place."""
        if handle.results.pop(submission, None) is not None:
            log.warning("the engine has not confirmed an abort for %.0f s", _ABORT_SECONDS)
            self._give_back(handle)

    def _give_back(self, handle: TensorRtLlmHandle) -> None:
        """A submission no longer occupies the engine."""
        self.progress.count += 1
        self._places += 1
        handle.held -= 1
        if handle.held == 0:
            self.running.discard(handle)
            handle.released.set_result(None)
        self._loop.call_soon(self._dispatch)

    async def _watch_iterations(self) -> None:
        """Count the engine's iterations while there is work; there is one queue of them, and this its only reader."""
        while self.running:
            async for record in self._llm.get_stats_async(timeout=_STATS_SECONDS):
                self.progress.count += 1
                blocks = record.get("kvCacheStats")
                if blocks:
                    self.kv_cache_use = blocks["usedNumBlocks"] / blocks["maxNumBlocks"]
                if not self.running:
                    return
            # After a silence the queue counts as finished until the next submission.
            await asyncio.sleep(_STATS_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
