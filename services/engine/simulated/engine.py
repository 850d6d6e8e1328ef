"""The simulated engine: deterministic token ids at a fixed rate, for benchmarks and tests without inference.

It uses the tokenizer, template and context of a real model file, and steps like TensorRT-LLM: each step adds one token
to every running generation. Ids depend only on the prompt, the seed, the choice and the position.
"""

from __future__ import annotations

import asyncio
import math
import time
import zlib
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.engine.api import (
    Capabilities,
    ChoiceEnd,
    End,
    EndReason,
    EngineState,
    EngineTimings,
    Generation,
    Heartbeat,
    ModelInfo,
    Sink,
    TokenDelta,
    TokenLogprob,
    deliver_end,
)
from services.engine.model.byte_level import tokenizer_from_gguf
from services.engine.slots import Slots
from services.tasks import background_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.engine.model.gguf_file import GgufModel

# There is no distribution to sample from, so every sampling parameter is accepted and has no effect.
# Tokens of a prompt whose log probabilities are pushed together.
_SCORES = 32
_PARAMETERS = frozenset(
    {
        *("temperature", "top_p", "top_k", "min_p", "seed", "logit_bias"),
        *("repetition_penalty", "presence_penalty", "frequency_penalty", "ignore_eos", "stop_token_ids", "n"),
        *("min_tokens", "logprobs", "top_logprobs"),
    }
)
_SHORTEST_CHOICE = 16
_LONGEST_CHOICE = 128
# Successive positions are this far apart in the vocabulary; prime, so that all plain tokens occur.
_STRIDE = 7919
_HALF = -math.log(2)  # as a log probability


@dataclass(slots=True)
class _Choice:
    """A running choice: which token comes next, and when it ends."""

    index: int
    offset: int
    length: int
    reason: EndReason
    sent: int  # tokens


@dataclass(slots=True, eq=False)
class SimulatedHandle:
    """A generation in the simulated engine."""

    engine: SimulatedEngine
    generation: Generation
    sink: Sink
    released: asyncio.Future[None]
    open_choices: dict[int, _Choice]
    cancelled: set[int]  # open choices whose cancellation is scheduled
    submitted: float
    started: float = 0.0
    first_token: float = 0.0
    completion_tokens: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    reader: asyncio.Task[None] | None = None

    @property
    def slots(self) -> int:
        """One per choice."""
        return self.generation.n

    def cancel(self, choice: int | None = None) -> None:
        """End one choice or all in the next iteration of the event loop."""
        choices = list(self.open_choices) if choice is None else [choice]
        self.cancelled.update(choices)
        asyncio.get_running_loop().call_soon(self.engine.end_cancelled, self, choices)


class SimulatedEngine:
    """An engine without a model; see the module's first lines. `rate` is in tokens/s per choice, 0 flat out.

    With `wake_per_call` each generation has a task that is woken once per step, as with the API of TensorRT-LLM;
    otherwise one callback pushes the whole step.
    """

    def __init__(
        self,
        gguf: GgufModel,
        name: str,
        context_length: int,
        parallel: int,
        rate: float,
        *,
        wake_per_call: bool = False,
    ) -> None:
        self.capabilities = Capabilities(
            context_length, len(gguf.tokens), _PARAMETERS, parallel, guided=False, scores_prompts=True
        )
        self.model = ModelInfo(
            name=name,
            quantization="none",
            fingerprint=f"simulated-{gguf.digest}",
            chat_template=gguf.chat_template,
            bos_token=gguf.tokens[gguf.bos_id],
            eos_token=gguf.tokens[gguf.eos_id],
            tool_template=gguf.tool_template,
        )
        self.tokenizer = tokenizer_from_gguf(gguf)
        self._plain_ids = self.tokenizer.plain_ids()
        self._plain_texts = [self.tokenizer.token_bytes(token) for token in self._plain_ids]
        self._gap = 1 / rate if rate else 0.0
        self._wake_per_call = wake_per_call
        self._slots = Slots[SimulatedHandle](parallel)
        self._steps = 0
        self._timer: asyncio.Handle | None = None

    async def start(self) -> None:
        """Nothing to load."""

    def submit(self, generation: Generation, sink: Sink) -> SimulatedHandle:
        """Queue a generation; its first tokens are pushed in the second step from now, or later if it has to wait."""
        loop = asyncio.get_running_loop()
        choices = {index: self._plan(generation, index) for index in range(generation.n)}
        handle = SimulatedHandle(self, generation, sink, loop.create_future(), choices, set(), time.monotonic())
        self._slots.queue(handle)
        self._schedule()
        return handle

    def heartbeat(self) -> Heartbeat:
        """Working while there are generations; the timer cannot stall."""
        state = EngineState.WORKING if self._slots else EngineState.IDLE
        return Heartbeat(state, self._steps, len(self._slots.running), len(self._slots.waiting))

    def end_cancelled(self, handle: SimulatedHandle, choices: list[int]) -> None:
        """End those of the choices that are still open, and start waiting generations."""
        for index in choices:
            if index in handle.open_choices:
                self._end_choice(handle, index, EndReason.CANCELLED)
        self._start_waiting()

    async def close(self) -> None:
        """Cancel all generations and wait until they have ended."""
        handles = list(self._slots)
        for handle in handles:
            handle.cancel()
        if handles:
            await asyncio.wait([handle.released for handle in handles])
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self, generation: Generation, index: int) -> _Choice:
        """The tokens and length of choice `index`, determined by the prompt, the seed and the index."""
        key = f"{generation.sampling.seed or 0}:{index}:".encode()
        offset = zlib.crc32(array("I", generation.prompt), zlib.crc32(key))
        natural = max(_SHORTEST_CHOICE + offset % (_LONGEST_CHOICE - _SHORTEST_CHOICE), generation.min_tokens)
        there = len(generation.generated)
        if generation.ignore_eos or natural >= generation.max_tokens:
            return _Choice(index, offset, generation.max_tokens, EndReason.LENGTH, there)
        return _Choice(index, offset, natural, EndReason.STOP, there)

    def _schedule(self) -> None:
        if self._timer is None and self._slots:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._gap, self._step) if self._gap else loop.call_soon(self._step)

    def _step(self) -> None:
        """Push one token per running choice, then start waiting generations; the next step is their prefill."""
        self._timer = None
        self._steps += 1
        for handle in self._slots.running:
            if self._wake_per_call:
                handle.woken.set()
            else:
                self._advance(handle)
        self._start_waiting()
        self._schedule()

    def _start_waiting(self) -> None:
        while (handle := self._slots.start_next()) is not None:
            handle.started = time.monotonic()
            if self._wake_per_call:
                handle.reader = background_task(self._read(handle), "generation")

    async def _read(self, handle: SimulatedHandle) -> None:
        """Advance a generation whenever a step wakes it."""
        while handle.open_choices:
            await handle.woken.wait()
            handle.woken.clear()
            self._advance(handle)

    def _advance(self, handle: SimulatedHandle) -> None:
        plain = self._plain_ids
        generation, sink = handle.generation, handle.sink
        if not handle.first_token:
            handle.first_token = time.monotonic()
            if generation.prompt_logprobs:
                scores = self._scores(generation.prompt, generation.top_logprobs or 0)
                for begin in range(0, len(scores), _SCORES):
                    sink.prompt_logprobs(scores[begin : begin + _SCORES])
        for choice in tuple(handle.open_choices.values()):
            if choice.index in handle.cancelled:
                continue
            if not generation.max_tokens:
                self._end_choice(handle, choice.index, EndReason.LENGTH)
                continue
            token = plain[(choice.offset + choice.sent * _STRIDE) % len(plain)]
            choice.sent += 1
            if token in generation.stop_token_ids and choice.sent > generation.min_tokens:
                self._end_choice(handle, choice.index, EndReason.STOP)
                continue
            handle.completion_tokens += 1
            delta = TokenDelta(choice.index, 1, "", (token,))
            if generation.top_logprobs is not None:
                delta.logprobs = (self._logprob(choice, generation.top_logprobs),)
            sink.token_delta(delta)
            if choice.sent >= choice.length:
                self._end_choice(handle, choice.index, choice.reason)

    def _logprob(self, choice: _Choice, top: int) -> TokenLogprob:
        """Of the token just sent: it has a probability of 1/2, the token that follows it 1/4, the next 1/8..."""
        texts = self._plain_texts
        first = choice.offset + (choice.sent - 1) * _STRIDE
        candidates = [(texts[(first + rank * _STRIDE) % len(texts)], _HALF * (rank + 1)) for rank in range(max(top, 1))]
        return TokenLogprob(*candidates[0], candidates[:top])

    def _scores(self, prompt: Sequence[int], top: int) -> list[TokenLogprob]:
        """Of a prompt's tokens: each that follows another has a probability of 1/2, which is the largest."""
        data = [self.tokenizer.token_bytes(token) for token in prompt]
        return [TokenLogprob(data[0], None), *(TokenLogprob(own, _HALF, [(own, _HALF)][:top]) for own in data[1:])]

    def _end_choice(self, handle: SimulatedHandle, index: int, reason: EndReason) -> None:
        del handle.open_choices[index]
        handle.sink.choice_end(ChoiceEnd(index, reason))
        if not handle.open_choices:
            self._release(handle)

    def _release(self, handle: SimulatedHandle) -> None:
        now = time.monotonic()
        handle.woken.set()  # for its reader to see the end
        started, first = handle.started or now, handle.first_token or now
        timings = EngineTimings(started - handle.submitted, first - started, now - first)
        deliver_end(handle.sink, End(len(handle.generation.prompt), 0, handle.completion_tokens, timings))
        self._slots.release(handle)
