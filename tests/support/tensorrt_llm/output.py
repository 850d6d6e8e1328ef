"""The double's results: one mutable object per request, yielded again and again."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.tensorrt_llm.executor import Executor


class RequestError(RuntimeError):
    """A request was refused or failed alone."""


@dataclass(slots=True)
class CompletionOutput:
    """One sequence of a request. Ids are cumulative; the diff of a sequence that did not move repeats its last one."""

    index: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    cumulative_logprob: float | None = None
    logprobs: list[Any] = field(default_factory=list)
    prompt_logprobs: list[Any] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    generation_logits: Any = None
    additional_context_outputs: Any = None
    additional_generation_outputs: Any = None
    disaggregated_params: Any = None
    request_perf_metrics: Any = None
    _last_text_len: int = field(default=0, repr=False)
    _last_token_ids_len: int = field(default=0, repr=False)
    _last_logprobs_len: int = field(default=0, repr=False)
    _incremental_states: Any = field(default=None, repr=False)
    _postprocess_result: Any = field(default=None, repr=False)

    @property
    def token_ids_diff(self) -> list[int]:
        """Ids since the sequence's last step."""
        return self.token_ids[self._last_token_ids_len :]

    def take(self, response: Response, *, with_logprobs: bool) -> None:
        """Apply a step of the engine to this sequence alone."""
        self._last_token_ids_len = len(self.token_ids)
        self._last_logprobs_len = len(self.logprobs)
        self.token_ids.extend(response.ids)
        if with_logprobs:
            self.logprobs.extend(response.logprobs)
            if len(self.logprobs) != len(self.token_ids):
                raise AssertionError(f"{len(self.logprobs)} log probabilities for {len(self.token_ids)} tokens")
        if response.cut:
            # Stop words are cut off when they are complete: the list becomes shorter, and that of logprobs does not.
            del self.token_ids[-response.cut :]
        self.finish_reason = response.finish_reason
        self.stop_reason = response.stop_reason
        self.request_perf_metrics = response.metrics


@dataclass(slots=True)
class Response:
    """What the engine reports for one sequence after a step; `error` is for the whole request."""

    index: int
    ids: tuple[int, ...] = ()
    logprobs: tuple[Any, ...] = ()
    cut: int = 0
    finish_reason: str | None = None
    stop_reason: int | None = None
    metrics: RequestPerfMetrics | None = None
    cached_tokens: int = 0
    error: BaseException | None = None


@dataclass(slots=True)
class TimingMetrics:
    """Moments on a steady clock."""

    arrival_time: timedelta
    first_scheduled_time: timedelta
    first_token_time: timedelta
    last_token_time: timedelta


@dataclass(slots=True)
class RequestPerfMetrics:
    """As far as the adapter reads it."""

    timing_metrics: TimingMetrics


class RequestOutput:
    """The result of `generate_async`."""

    __slots__ = (
        *("request_id", "prompt", "prompt_token_ids", "sampling_params", "trace_headers", "cached_tokens"),
        *("metrics_dict", "_outputs", "_queue", "_loop", "_done", "_aborted", "_executor"),
    )

    def __init__(self, executor: Executor, request_id: int, prompt: list[int], params: Any) -> None:
        self.request_id = request_id
        self.prompt: str | None = None
        self.prompt_token_ids = prompt
        self.sampling_params = params
        self.trace_headers: dict[str, str] | None = None
        self.cached_tokens = 0
        self.metrics_dict: dict[Any, float] = {}
        self._outputs = [CompletionOutput(index) for index in range(params.n)]
        self._executor = executor
        self._done = self._aborted = False
        # The queue belongs to the loop that runs at this moment, or to none.
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._queue: asyncio.Queue[Response] = asyncio.Queue()

    @property
    def outputs(self) -> list[CompletionOutput]:
        """The sequences."""
        return self._outputs

    @property
    def finished(self) -> bool:
        """Whether no step follows."""
        return self._done

    def abort(self) -> None:
        """Ask the engine to stop; a later final step confirms it."""
        self._aborted = True
        self._executor.cancel(self.request_id)

    def aborted(self) -> bool:
        """Whether abort() was called."""
        return self._aborted

    def put(self, response: Response) -> None:
        """In the loop's thread: a step has happened."""
        self._queue.put_nowait(response)

    def __aiter__(self) -> RequestOutput:
        return self

    async def __anext__(self) -> RequestOutput:
        if self._done:
            raise StopAsyncIteration
        await self._step()
        return self

    async def aresult(self) -> RequestOutput:
        """Wait for the end."""
        while not self._done:
            await self._step()
        return self

    def result(self, timeout: float | None = None) -> RequestOutput:
        """The blocking way, which spoils the queue for the other one."""
        raise AssertionError("result() was called in a program that runs an event loop")

    def __await__(self) -> Generator[Any, Any, RequestOutput]:
        return self.aresult().__await__()

    async def _step(self) -> None:
        if self._loop is None:
            raise AssertionError("event loop was not present when the request was made")
        if self._loop is not asyncio.get_running_loop() or threading.get_ident() != self._executor.thread:
            raise AssertionError("a result is read in another loop or thread than the first request's")
        response = await self._queue.get()
        if response.error is not None:
            self._done = True
            raise response.error
        self.cached_tokens = response.cached_tokens
        self._outputs[response.index].take(response, with_logprobs=bool(self.sampling_params.logprobs))
        self._done = all(output.finish_reason is not None for output in self._outputs)
