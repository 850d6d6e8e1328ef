"""The llama.cpp engine: GGUF models on CPUs or GPUs through `xllamacpp`, llama.cpp's server core in this process.

Its calls block, so each running generation has a thread of a pool, which posts llama.cpp's messages to the event loop.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

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
from services.engine.llama_cpp.completion import (
    GRAMMAR_LOST,
    CompletionState,
    completion_request,
    nothing_generated,
    token_ranges,
)
from services.engine.llama_cpp.core import can_have_grammars, import_xllamacpp, load_core
from services.engine.llama_cpp.core_tokenizer import core_tokenizer
from services.engine.llama_cpp.grammar_follower import GrammarFollower
from services.engine.llama_cpp.inbox import Inbox
from services.engine.llama_cpp.listener import PrivateListener
from services.engine.llama_cpp.prompt_cache import PromptCache
from services.engine.llama_cpp.prompt_scores import PromptScorer
from services.engine.load_error import EngineLoadError
from services.engine.model.byte_level import is_known, tokenizer_from_gguf
from services.engine.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.engine.llama_cpp.core import CoreOptions
    from services.engine.model.gguf_file import GgufModel
    from services.engine.model.tokenizer import Tokenizer

_PARAMETERS = frozenset(
    {
        *("temperature", "top_p", "top_k", "min_p", "seed", "logit_bias"),
        *("repetition_penalty", "presence_penalty", "frequency_penalty", "ignore_eos", "n"),
        *("logprobs", "top_logprobs", "stop_token_ids", "min_tokens"),
    }
)

# Digests of the models that have run in this process, one at most. llama.cpp keeps the tokens of a model's grammars by
# the address of its vocabulary. Another model that gets the same address gets those tokens, or llama.cpp aborts.
_SERVED: Final = set[str]()


class LlamaCppHandle:
    """A generation in llama.cpp. `cancelled_choices` is written in the loop's thread and read in the worker's."""

    def __init__(
        self, generation: Generation, sink: Sink, released: asyncio.Future[None], wake: Callable[[], None]
    ) -> None:
        self.generation = generation
        self.sink = sink
        self.released = released
        self.submitted = time.monotonic()
        self.started = self.submitted
        self.completion = CompletionState(generation)
        self.core_slot: int | None = None
        self.scoring_seconds = 0.0
        self.cancelled_choices: set[int] = set()
        self._wake = wake

    @property
    def slots(self) -> int:
        """One per choice."""
        return self.generation.n

    @property
    def cancelled(self) -> bool:
        """Whether every open choice has been cancelled."""
        return self.completion.open_choices <= self.cancelled_choices

    def cancel(self, choice: int | None = None) -> None:
        """End one choice or all; a running call stops at its next token or batch of the prompt."""
        self.cancelled_choices |= set(range(self.generation.n)) if choice is None else {choice}
        self._wake()


# A message of llama.cpp, scores of the prompt, or None when the thread has returned.
_Posted = tuple[LlamaCppHandle, "dict[str, Any] | Sequence[TokenLogprob] | None"]


class LlamaCppEngine:
    """A GGUF model on llama.cpp."""

    def __init__(self, gguf: GgufModel, name: str, options: CoreOptions) -> None:
        self._xllamacpp = import_xllamacpp()
        self._gguf = gguf
        self._options = options
        self._listener = PrivateListener()
        self.tokenizer = tokenizer_from_gguf(gguf) if is_known(gguf) else core_tokenizer(gguf, self._listener)
        guided = can_have_grammars([_bytes_of(gguf, self.tokenizer, token) for token in range(len(gguf.tokens))])
        # min_tokens is a grammar of token ids, and llama.cpp's stop at one that shares its bytes with another.
        has_min_tokens = guided and not self.tokenizer.duplicates
        self.capabilities = Capabilities(
            options.context_length,
            len(gguf.tokens),
            _PARAMETERS if has_min_tokens else _PARAMETERS - {"min_tokens"},
            options.parallel,
            guided=guided,
            scores_prompts=guided,
            # There can be only one grammar.
            exclusions=frozenset({("min_tokens", "response_format")}),
        )
        self.model = ModelInfo(
            name=name,
            quantization=gguf.quantization,
            fingerprint=f"llama-cpp-{self._xllamacpp.__version__}-{gguf.digest}",
            chat_template=gguf.chat_template,
            bos_token=gguf.tokens[gguf.bos_id],
            eos_token=gguf.tokens[gguf.eos_id],
            tool_template=gguf.tool_template,
        )
        special = self.tokenizer.special_tokens
        self._visible_tokens = [text for text, token in special.items() if self.tokenizer.token_bytes(token)]
        self._text_tokens = token_ranges(filter(self.tokenizer.token_bytes, range(self.tokenizer.size)))
        self._server: Any = None
        self._pool = ThreadPoolExecutor(options.parallel, thread_name_prefix="llama-cpp")
        self._slots = Slots[LlamaCppHandle](options.parallel)
        self._prompt_cache = PromptCache(options.parallel)
        self._progress = 0
        self._loop: asyncio.AbstractEventLoop
        self._inbox: Inbox[_Posted]

    async def start(self) -> None:
        """Load the weights in a thread; EngineLoadError if llama.cpp rejects them, or has run another model here."""
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(self._loop, lambda: self._slots.held, self._take)
        self._server = await self._loop.run_in_executor(self._pool, self._load)

    def submit(self, generation: Generation, sink: Sink) -> LlamaCppHandle:
        """Queue a generation; it can be cancelled while it waits for slots."""
        handle = LlamaCppHandle(generation, sink, self._loop.create_future(), self._sweep_soon)
        self._slots.queue(handle)
        self._loop.call_soon(self._dispatch)
        return handle

    def heartbeat(self) -> Heartbeat:
        """Progress counts llama.cpp's messages: one per token or prompt batch."""
        state = EngineState.WORKING if self._slots else EngineState.IDLE
        return Heartbeat(state, self._progress, len(self._slots.running), len(self._slots.waiting))

    async def close(self) -> None:
        """Cancel all generations, wait until their threads have returned, and free the model."""
        handles = list(self._slots)
        for handle in handles:
            handle.cancel()
        if handles:
            await asyncio.wait([handle.released for handle in handles])
        self._server = None
        self._listener.close()
        self._pool.shutdown()

    def _load(self) -> Any:
        if _SERVED - {self._gguf.digest}:
            raise EngineLoadError("llama.cpp has run another model in this process; it can run one only.")
        self._listener.open()
        try:
            server = load_core(self._xllamacpp, self._options, self._listener, self._gguf.bos_id)
        except EngineLoadError:
            self._listener.close()
            raise
        _SERVED.add(self._gguf.digest)
        if is_known(self._gguf):
            self._listener.close()
        return server

    def _dispatch(self) -> None:
        """Start waiting generations while there are slots for all of their choices."""
        while (handle := self._slots.start_next()) is not None:
            handle.started = time.monotonic()
            handle.core_slot = self._prompt_cache.take(handle.generation.context, handle.generation.n)
            self._pool.submit(self._run, handle)

    def _run(self, handle: LlamaCppHandle) -> None:
        """Do the work, in a thread of the pool, and post everything that comes of it."""
        try:
            if handle.generation.prompt_logprobs:
                self._score(handle)
            if handle.generation.max_tokens and not handle.cancelled:
                self._generate(handle)
        except Exception as error:  # noqa: BLE001 - the binding raises many types; the error ends this call only
            self._inbox.post((handle, {"error": {"message": str(error)}}))
        self._inbox.post((handle, None))

    def _score(self, handle: LlamaCppHandle) -> None:
        generation, started = handle.generation, time.monotonic()
        scorer = PromptScorer(self._server, self.tokenizer)
        for entries in scorer.scores(generation.prompt, generation.top_logprobs or 0, handle.core_slot):
            self._inbox.post((handle, entries))
            if handle.cancelled:
                return
        handle.scoring_seconds = time.monotonic() - started
        if not generation.max_tokens:
            self._inbox.post((handle, nothing_generated(generation.n)))

    def _generate(self, handle: LlamaCppHandle) -> None:
        follower: GrammarFollower | None = None

        def on_message(message: dict[str, Any]) -> bool:
            if follower is not None and not follower.allows(message):
                self._inbox.post((handle, GRAMMAR_LOST))
                return True
            self._inbox.post((handle, message))
            return handle.cancelled

        if handle.generation.grammar is not None:
            follower = GrammarFollower(handle.generation.grammar, handle.generation.n)
        self._server.handle_completions(
            completion_request(handle.generation, handle.core_slot, self._visible_tokens, self._text_tokens), on_message
        )

    def _take(self, posted: Sequence[_Posted]) -> None:
        for handle, message in posted:
            if message is None:
                self._finish(handle)
                continue
            self._progress += 1
            if isinstance(message, dict):
                for event in handle.completion.events(message):
                    self._push(handle, event)
            else:
                handle.sink.prompt_logprobs(message)

    def _push(self, handle: LlamaCppHandle, event: TokenDelta | ChoiceEnd) -> None:
        if event.choice in handle.cancelled_choices:
            return  # its end was pushed when it was cancelled
        if isinstance(event, TokenDelta):
            handle.completion.delivered_tokens += event.tokens
            handle.sink.token_delta(event)
        else:
            handle.sink.choice_end(event)

    def _sweep_soon(self) -> None:
        self._loop.call_soon(self._sweep)

    def _sweep(self) -> None:
        """End cancelled choices, and remove cancelled generations that still wait."""
        for handle in self._slots:
            for choice in sorted(handle.cancelled_choices & handle.completion.open_choices):
                handle.completion.open_choices.discard(choice)
                handle.sink.choice_end(ChoiceEnd(choice, EndReason.CANCELLED))
        for handle in [waiting for waiting in self._slots.waiting if waiting.cancelled]:
            self._end(handle)

    def _finish(self, handle: LlamaCppHandle) -> None:
        """The thread has returned: end the choices that llama.cpp left open, and start waiting generations."""
        for choice in sorted(handle.completion.open_choices):
            handle.sink.choice_end(ChoiceEnd(choice, EndReason.CANCELLED))
        self._prompt_cache.give_back(handle.core_slot, handle.completion.delivered_tokens)
        self._end(handle)
        self._dispatch()

    def _end(self, handle: LlamaCppHandle) -> None:
        done = handle.completion
        prefill = handle.scoring_seconds + done.prefill_seconds
        timings = EngineTimings(handle.started - handle.submitted, prefill, done.decode_seconds)
        prompt = len(handle.generation.prompt)
        end = End(prompt, done.cached_tokens, done.delivered_tokens, timings, done.error, done.grammar_lost)
        deliver_end(handle.sink, end)
        self._slots.release(handle)


def _bytes_of(gguf: GgufModel, tokenizer: Tokenizer, token: int) -> int:
    """The bytes of a token as a grammar has them: a special token's are those of its spelling and a marker."""
    return len(tokenizer.token_bytes(token)) or 1 + len(gguf.tokens[token].encode())
