"""The double's engine: a thread that steps all requests and hands their tokens to the event loop, as the real one does.

What the real engine ignores silently is ignored silently here.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.support.tensorrt_llm.output import RequestError, RequestOutput, RequestPerfMetrics, Response, TimingMetrics

if TYPE_CHECKING:
    from tests.support.tensorrt_llm.sampler import RequestSampler

_STEP_SECONDS = 0.0003
_BLOCK = 32


@dataclass(slots=True)
class Continuation:
    """One sequence of a request."""

    index: int
    source: random.Random
    ids: list[int] = field(default_factory=list)
    done: bool = False


@dataclass(slots=True)
class Request:
    """A request inside the engine."""

    result: RequestOutput
    params: Any
    max_tokens: int
    sequences: list[Continuation]
    arrival: float
    sampler: RequestSampler
    cached_tokens: int = 0
    scheduled: float = 0.0
    first_token: float = 0.0
    turn: int = 0


@dataclass(slots=True)
class Faults:
    """Faults that a test injects."""

    at_submit: BaseException | None = None
    mid_stream: BaseException | None = None  # for every running request, once
    fatal: BaseException | None = None
    empty_success: bool = False
    deaf_to_abort: bool = False
    hang_at_shutdown: bool = False
    frozen: bool = False  # no step happens
    prefilling: bool = False  # steps happen, and give nothing
    lose_logprobs: bool = False  # for every token that is sampled
    logprobs_entry: Any = None  # comes in place of the real ones
    reject_guided_token: bool = False  # fails each guided request


class Executor:
    """Steps at most `batch` sequences at the same time."""

    def __init__(self, batch: int, *, includes_end: bool, perf: bool) -> None:
        self._batch = batch
        self._includes_end = includes_end
        self._perf = perf
        self.faults = Faults()
        self.thread = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Request] = []
        self._running: list[Request] = []
        self._cancelled: set[int] = set()
        self._seen_blocks: set[tuple[int, ...]] = set()
        self._condition = threading.Condition()
        self._stopped = False
        self.iterations = 0
        self._worker = threading.Thread(target=self._run, daemon=True, name="double")
        self._worker.start()

    def is_shutdown(self) -> bool:
        """Whether it takes no more requests."""
        return self._stopped

    def bind(self) -> None:
        """The first request decides for all: one loop, one thread."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._loop is None:
            self._loop, self.thread = loop, threading.get_ident()
        elif loop is not self._loop or threading.get_ident() != self.thread:
            raise AssertionError("requests came from two loops or two threads")

    def submit(self, result: RequestOutput, max_tokens: int, sampler: RequestSampler) -> None:
        """Queue a request."""
        params = result.sampling_params
        sequences = [Continuation(index, sampler.source()) for index in range(params.n)]
        request = Request(result, params, max_tokens, sequences, time.monotonic(), sampler)
        with self._condition:
            self._waiting.append(request)
            self._condition.notify()

    def cancel(self, request_id: int) -> None:
        """Only enqueues."""
        with self._condition:
            if not self.faults.deaf_to_abort:
                self._cancelled.add(request_id)
            self._condition.notify()

    def stop(self) -> None:
        """End the thread."""
        with self._condition:
            self._stopped = True
            self._condition.notify()
        if threading.current_thread() is not self._worker:
            self._worker.join()

    @property
    def running(self) -> int:
        """Requests that hold a slot."""
        return len(self._running)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not (self._running or self._waiting or self._stopped):
                    self._condition.wait()
                if self._stopped:
                    return
                posts = [] if self.faults.frozen else self._step()
            if posts and self._loop is not None:
                # All queues are woken through one loop, in one call; a loop that is closed has no use for them.
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(_deliver, posts)
            time.sleep(_STEP_SECONDS)

    def _step(self) -> list[tuple[RequestOutput, Response]]:
        self.iterations += 1
        if self.faults.prefilling:
            return []
        posts: list[tuple[RequestOutput, Response]] = []
        error = self.faults.fatal or self.faults.mid_stream
        if error is not None and self._running:
            self.faults.mid_stream = None
            failing = [*self._running, *self._waiting] if self.faults.fatal else list(self._running)
            posts = [(request.result, Response(0, error=error)) for request in failing]
            self._running.clear()
            if self.faults.fatal:
                self._waiting.clear()
                self._stopped = True
            return posts
        for request in [*self._running, *self._waiting]:
            if request.result.request_id in self._cancelled:
                posts += self._cancel(request)
        for request in list(self._running):
            posts.append(self._advance(request))
        self._admit()
        return posts

    def _admit(self) -> None:
        while self._waiting and sum(len(r.sequences) for r in self._running) < self._batch:
            request = self._waiting.pop(0)
            request.scheduled = time.monotonic()
            prompt = request.result.prompt_token_ids
            ends = range(_BLOCK, len(prompt), _BLOCK)
            request.cached_tokens = max((end for end in ends if tuple(prompt[:end]) in self._seen_blocks), default=0)
            self._seen_blocks |= {tuple(prompt[:end]) for end in ends}
            self._running.append(request)

    def _cancel(self, request: Request) -> list[tuple[RequestOutput, Response]]:
        (self._running if request in self._running else self._waiting).remove(request)
        self._cancelled.discard(request.result.request_id)
        return [(request.result, Response(s.index, finish_reason="cancelled")) for s in request.sequences]

    def _advance(self, request: Request) -> tuple[RequestOutput, Response]:
        """A step of one sequence; the others keep what they have."""
        open_sequences = [sequence for sequence in request.sequences if not sequence.done]
        sequence = open_sequences[request.turn % len(open_sequences)]
        request.turn += 1
        request.first_token = request.first_token or time.monotonic()
        response = self._next(request, sequence)
        if response.finish_reason:
            sequence.done = True
            response.metrics = self._metrics(request) if self._perf or request.params.return_perf_metrics else None
            if all(one.done for one in request.sequences):
                self._running.remove(request)
        response.cached_tokens = request.cached_tokens
        return request.result, response

    def _next(self, request: Request, sequence: Continuation) -> Response:
        params, index = request.params, sequence.index
        if self.faults.empty_success:
            return Response(index, finish_reason="length")
        stops = set(params.stop_token_ids or ())
        if self.faults.reject_guided_token and params.guided_decoding is not None:
            self._running.remove(request)
            return Response(index, error=RequestError("Guided decoding error: a token was not accepted"))
        token, logprobs = request.sampler.sample(sequence.ids, sequence.source)
        sequence.ids.append(token)
        reported = () if logprobs is None or self.faults.lose_logprobs else (self.faults.logprobs_entry or logprobs,)
        if token == params.end_id and not params.ignore_eos:
            shown = self._includes_end
            return Response(index, (token,) if shown else (), reported if shown else (), finish_reason="stop")
        if token in stops:
            return Response(index, (token,), reported, cut=1, finish_reason="stop", stop_reason=token)
        at_limit = len(sequence.ids) >= request.max_tokens
        return Response(index, (token,), reported, finish_reason="length" if at_limit else None)

    def _metrics(self, request: Request) -> RequestPerfMetrics:
        moments = (request.arrival, request.scheduled, request.first_token, time.monotonic())
        return RequestPerfMetrics(TimingMetrics(*(timedelta(seconds=moment) for moment in moments)))


def _deliver(posts: list[tuple[RequestOutput, Response]]) -> None:
    for result, response in posts:
        result.put(response)
