"""Runs generations on an LLM: slots, submissions, readers, aborts and failures, all in one loop and thread."""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

from services.engine.api import EndReason, Generation, Sink
from services.engine.slots import Slots
from services.engine.tensorrt_llm.generation import (
    EmptyCompletionError,
    Progress,
    TensorRtLlmHandle,
    UnexplainedEndError,
)
from services.engine.tensorrt_llm.logprobs import LogprobsError
from services.engine.tensorrt_llm.request import end_ids, sampling_params
from services.tasks import background_task

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from services.engine.model.checkpoint import Checkpoint
    from services.engine.model.tokenizer import Tokenizer
    from services.engine.tensorrt_llm.runtime import Runtime

log = logging.getLogger(__name__)

# The engine confirms an abort with a final step. It may never send one, for example during a prefill; the slot is
# released after this time.
_ABORT_SECONDS = 30.0
# An engine that has lost its KV-cache blocks returns empty completions until it is restarted. One is not yet proof.
_EMPTY_COMPLETIONS = 3
# Choices share the prompt's KV-cache blocks if the first choice's prefill is complete before the others start. Waiting
# for that pays off from about this prompt length, in tokens.
_SHARED_PROMPT = 256
_STATS_SECONDS = 1.0


class Driver:
    """`llm` with `parallel` sequences at a time; further generations wait here. Belongs to the running loop."""

    def __init__(self, runtime: Runtime, llm: Any, checkpoint: Checkpoint, tokenizer: Tokenizer, parallel: int) -> None:
        self.slots = Slots[TensorRtLlmHandle](parallel)
        self.failure: str | None = None
        self.progress = Progress()
        self._runtime = runtime
        self._llm = llm
        self._checkpoint = checkpoint
        self._token_bytes = tokenizer.token_bytes
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stats: asyncio.Task[None] | None = None
        self.kv_cache_use: float | None = None  # as last reported by the engine
        self._empty_completions = 0
        # From 0 to 1, with 0.5 as default; release 1.2 has none.
        self._has_priorities = "priority" in inspect.signature(llm.generate_async).parameters

    def submit(self, generation: Generation, sink: Sink) -> TensorRtLlmHandle:
        """Queue a generation; until it has slots it can be cancelled at once."""
        handle = TensorRtLlmHandle(
            generation,
            sink,
            self._loop.create_future(),
            end_ids(generation, self._checkpoint),
            self._cancel_soon,
            self.progress,
            self._token_bytes,
            copies=generation.n > 1 and generation.sampling.is_greedy,
        )
        self.slots.queue(handle)
        self._loop.call_soon(self._dispatch)
        return handle

    def fail(self, failure: str) -> None:
        """Mark the engine as failed: running, waiting and later generations end with this error."""
        if self.failure is not None:
            return
        self.failure = failure
        log.error("%s", failure)
        for handle in self.slots.running:
            handle.end(failure)
        self._dispatch()
        # In the next turn, because a task that is cancelled before its first step never runs its `finally`.
        self._loop.call_soon(self._cancel_tasks)

    async def close(self, deadline: float) -> None:
        """Cancel everything and wait up to `deadline` seconds for the engine to confirm."""
        handles = list(self.slots)
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
        """Start waiting generations while there are slots for all of their sequences."""
        if self.failure is not None:
            for handle in self.slots.waiting:
                handle.end(self.failure)
                self.slots.release(handle)
        while (started := self.slots.start_next()) is not None:
            self._start(started)
        if self.slots.running and (self._stats is None or self._stats.done()):
            self._stats = self._spawn(self._watch_iterations(), "engine statistics")

    def _start(self, handle: TensorRtLlmHandle) -> None:
        handle.started = time.monotonic()
        self._submit(handle, 0)
        if handle.slots > 1 and len(handle.generation.prompt) >= _SHARED_PROMPT:
            self._spawn(self._submit_others(handle), "submission of choices")
        else:
            for submission in range(1, handle.slots):
                self._submit(handle, submission)

    async def _submit_others(self, handle: TensorRtLlmHandle) -> None:
        submission = 1
        try:
            await handle.first_token.wait()
            while submission < handle.slots:
                self._submit(handle, submission)
                submission += 1
        finally:
            for _ in range(submission, handle.slots):
                self._release(handle)

    def _submit(self, handle: TensorRtLlmHandle, submission: int) -> None:
        if not handle.open_choices(submission):
            self._release(handle)  # cancelled before it began
            return
        generation = handle.generation
        try:
            result = self._llm.generate_async(
                {"prompt_token_ids": list(generation.context)},
                sampling_params(self._runtime, generation, _seed(generation, submission), self._checkpoint),
                streaming=True,
                trace_headers=generation.trace_headers or None,
                **({"priority": generation.priority} if self._has_priorities else {}),
            )
        except (self._runtime.llmapi.RequestError, ValueError, TypeError, AssertionError) as error:
            self._release(handle)
            self._end_with(handle, f"The engine rejected the request: {_sentence(error)}")
        except Exception as error:  # noqa: BLE001 - the package does not recover from other errors
            self._release(handle)
            self.fail(f"The engine accepts no more requests: {error}")
        else:
            handle.results[submission] = result
            self._spawn(self._read(handle, submission, result), "generation")

    async def _read(self, handle: TensorRtLlmHandle, submission: int, result: Any) -> None:
        try:
            await handle.read(submission, result)
            self._empty_completions = 0
        except EmptyCompletionError as error:
            self._empty_completions += 1
            self._end_with(handle, str(error))
            if self._empty_completions >= _EMPTY_COMPLETIONS:
                self.fail("The engine returns empty completions.")
        except (UnexplainedEndError, LogprobsError) as error:
            self._end_with(handle, str(error))
        except (self._runtime.llmapi.RequestError, AssertionError) as error:
            # The package asserts that a request's log probabilities go with its tokens: nothing else is affected.
            self._end_with(handle, f"The request failed in the engine: {_sentence(error)}")
        except Exception as error:  # noqa: BLE001 - the package shuts itself down before it raises anything else
            self.fail(f"The engine failed: {error}")
        finally:
            if handle.results.pop(submission, None) is not None:
                self._release(handle)

    def _cancel_soon(self, handle: TensorRtLlmHandle, choice: int | None) -> None:
        self._loop.call_soon(self._cancel, handle, choice)

    def _cancel(self, handle: TensorRtLlmHandle, choice: int | None) -> None:
        """End choices for the caller, and abort the submissions that have no open choice left."""
        for submission, result in handle.results.items():
            handle.take_cached_tokens(submission, result)
        for index in sorted(handle.choices) if choice is None else [choice]:
            if index in handle.choices:
                handle.end_choice(index, EndReason.CANCELLED)
        if not handle.choices and handle in self.slots.waiting:
            self.slots.release(handle)
        self._abort_unwanted(handle)

    def _end_with(self, handle: TensorRtLlmHandle, error: str) -> None:
        handle.end(error)
        self._abort_unwanted(handle)

    def _abort_unwanted(self, handle: TensorRtLlmHandle) -> None:
        for submission, result in handle.results.items():
            if handle.open_choices(submission) or result.finished or result.aborted():
                continue
            try:
                result.abort()
            except Exception as error:  # noqa: BLE001 - after a shutdown there is nothing to abort
                log.debug("abort failed: %s", error)
            self._loop.call_later(_ABORT_SECONDS, self._give_up, handle, submission)

    def _give_up(self, handle: TensorRtLlmHandle, submission: int) -> None:
        """Release the slot of a submission whose abort the engine has not confirmed in time."""
        if handle.results.pop(submission, None) is not None:
            log.warning("an abort was not confirmed within %.0f s; its slot is released", _ABORT_SECONDS)
            self._release(handle)

    def _release(self, handle: TensorRtLlmHandle) -> None:
        """Release the slot of one submission."""
        self.progress.count += 1
        self.slots.release(handle, 1)
        self._loop.call_soon(self._dispatch)

    async def _watch_iterations(self) -> None:
        """Count the engine's iterations while there is work; there is one queue of them, and this its only reader."""
        while self.slots.running:
            async for record in self._llm.get_stats_async(timeout=_STATS_SECONDS):
                self.progress.count += 1
                blocks = record.get("kvCacheStats")
                if blocks:
                    self.kv_cache_use = blocks["usedNumBlocks"] / blocks["maxNumBlocks"]
                if not self.slots.running:
                    return
            # After a silence the queue counts as finished until the next submission.
            await asyncio.sleep(_STATS_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = background_task(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _sentence(error: Exception) -> str:
    """The error's message, or its name, because the package's assertions often have none."""
    return str(error) or repr(error)


def _seed(generation: Generation, submission: int) -> int:
    """A seed of 64 bits for one choice: the caller's, shifted so that the choices differ, or a random one."""
    seed = generation.sampling.seed
    return secrets.randbits(63) if seed is None else (seed + submission) % 2**64
