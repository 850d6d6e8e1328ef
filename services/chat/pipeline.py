"""What every chat call passes before an engine works on it: validation, prompt, context check, admission."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from services.chat.accounting.call_facts import CallFacts
from services.chat.accounting.call_spans import operation_of
from services.chat.answer.call import ChatCall
from services.chat.grammar.compiler import GrammarCompiler
from services.chat.grammar.structured import forced_names, grammar_of
from services.chat.request.generation import generation_of
from services.chat.request.prompt import PromptRenderer
from services.chat.request.validation import (
    allowed_names,
    calls_allowed,
    check_tokens,
    validate,
    validate_input,
    validate_tools,
)
from services.engine.api import End, EngineTimings
from services.engine.model.tokenizer import TooManyTokensError
from services.errors import ContextLengthExceeded, DeadlineExceeded, InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.chat.accounting.accounts import Accounts, CallTrace
    from services.chat.accounting.settlement import Settlement
    from services.chat.answer.outbox import Outbox
    from services.chat.grammar.structured import Grammar
    from services.chat.request.catalogue import Catalogue
    from services.chat.scheduling.admission import Admission, Place
    from services.engine.api import Engine
    from services.settings import Settings
    from services.telemetry.call import CallContext

Result = TypeVar("Result")

# Rendering and tokenising are CPU-bound; more threads than this would only take the engine's time.
_PROMPT_THREADS = 2
_EXPIRED = "The call's time ran out before the answer was complete."


class ChatPipeline:
    """Accepts calls and hands them to the engine; holds all policy of the server, for every transport."""

    def __init__(
        self, engine: Engine, catalogue: Catalogue, admission: Admission, accounts: Accounts, settings: Settings
    ) -> None:
        self.admission = admission
        self._accounts = accounts
        self._engine = engine
        self._catalogue = catalogue
        self._settings = settings
        self._prompt = PromptRenderer(engine.model, engine.tokenizer)
        self._pool = ThreadPoolExecutor(_PROMPT_THREADS, thread_name_prefix="prompt")
        self._grammars = GrammarCompiler(engine.tokenizer)

    async def start(
        self, request: ChatRequest, context: CallContext, outbox: Outbox, *, caller: str, remaining: float | None
    ) -> ChatCall:
        """Accept a call, to be submitted when its turn comes; its events go to `outbox`. Who calls this closes it.

        `caller` is whom it counts for, `remaining` the caller's time in seconds, None for no limit. Raises the
        ChasquiError that refuses the call.
        """
        received = time.monotonic()
        self._catalogue.resolve(request.model)
        self._check_counts(request)
        validate(request, self._engine.capabilities)
        if request.tools and not self._prompt.takes_tools:
            raise UnsupportedParameter("tools is not supported by the chat template of this model.", param="tools")
        place = self.admission.enter(caller, request.n if request.HasField("n") else 1)
        try:
            return await self._enter(request, context, outbox, place, received, remaining)
        except BaseException:
            self.admission.leave(place)
            raise

    async def _enter(
        self,
        request: ChatRequest,
        context: CallContext,
        outbox: Outbox,
        place: Place,
        received: float,
        remaining: float | None,
    ) -> ChatCall:
        """Make the prompt of a call that has a place, and queue it."""
        grammar, prompt = await self._prepared(request, remaining)
        tokenize_seconds = time.monotonic() - received
        left = None if remaining is None else remaining - tokenize_seconds
        max_tokens = self._max_tokens(request, len(prompt))
        call_trace = self._accounts.trace(context.span)
        facts = self._facts(
            request, context, place.n, received, tokenize_seconds, grammar, call_trace, streamed=outbox.streamed
        )

        def settled(settlement: Settlement) -> None:
            self.admission.leave(place)
            self._accounts.settle(settlement, call_trace)

        call = ChatCall(facts, self._engine.tokenizer, outbox, on_settled=settled, on_freed=self._accounts.free)
        if max_tokens == 0:
            context.accepted = True
            call.end_empty(End(len(prompt), 0, 0, EngineTimings()))
            return call
        generation = generation_of(request, prompt, max_tokens, place.n, grammar, call_trace.headers)
        self.admission.queue(
            place,
            len(prompt) + max_tokens,
            lambda: call.attach(self._engine.submit(generation, call)),
            remaining=left,
        )
        context.accepted = True
        call.accept()
        if left is not None:
            call.expire_after(left, DeadlineExceeded(_EXPIRED))
        return call

    async def chat_tokens(self, request: ChatRequest) -> list[int]:
        """The prompt's ids of a chat that is not going to be answered."""
        validate_input(request, self._engine.capabilities)
        validate_tools(request)
        return await self._in_pool(self._prompt_tokens, request)

    async def text_tokens(self, text: str, *, opened: bool) -> list[int]:
        """The ids of plain text, made off the event loop; `opened` puts before it what every prompt begins with."""
        return await self._in_pool(self._text_tokens, text, opened)

    async def text_of(self, ids: Sequence[int]) -> str:
        """The text of token ids, made off the event loop; InvalidValue if one of them is no token."""
        check_tokens(ids, "tokens", self._engine.capabilities)
        return await self._in_pool(self._engine.tokenizer.decode, ids)

    def close(self) -> None:
        """Stop the threads, and the process that tries grammars."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._grammars.close()

    def _facts(
        self,
        request: ChatRequest,
        context: CallContext,
        n: int,
        received: float,
        tokenize_seconds: float,
        grammar: Grammar | None,
        call_trace: CallTrace,
        *,
        streamed: bool,
    ) -> CallFacts:
        return CallFacts(
            request_id=context.request_id,
            trace_id=context.trace_id,
            operation=operation_of(request),
            request_model=request.model,
            model=self._engine.model.name,
            system_fingerprint=self._engine.model.fingerprint,
            stops=tuple(request.stop),
            tool_names=forced_names(request) or allowed_names(request),
            call_is_named=request.tool_choice.WhichOneof("choice") == "function_name",
            parallel_tool_calls=not request.HasField("parallel_tool_calls") or request.parallel_tool_calls,
            n=n,
            logprobs=request.logprobs,
            id_prefix="cmpl-" if request.HasField("prompt") else "chatcmpl-",
            echo=self._echo(request),
            price=self._settings.price,
            received=received,
            tokenize_seconds=tokenize_seconds,
            asked=self._accounts.asked(request, call_trace, streamed=streamed),
            traces_output=self._accounts.traces_output(call_trace),
            grammar_param=None if grammar is None else grammar.param,
        )

    async def _prepared(self, request: ChatRequest, remaining: float | None) -> tuple[Grammar | None, list[int]]:
        """The answer's grammar, which compiles, and the prompt's ids; DeadlineExceeded if the time does not suffice."""
        try:
            async with asyncio.timeout(remaining):
                grammar, prompt = await self._in_pool(self._prepare, request)
                if grammar is not None:
                    await self._grammars.check(grammar)
        except TimeoutError:
            raise DeadlineExceeded(_EXPIRED) from None
        return grammar, prompt

    def _prepare(self, request: ChatRequest) -> tuple[Grammar | None, list[int]]:
        """The answer's grammar and the prompt's ids. CPU-bound, as are the next two."""
        try:
            return grammar_of(request), self._prompt_tokens(request, self._engine.capabilities.context_length)
        except TooManyTokensError as error:
            raise self._too_long(request, f"at least {error.count}") from None

    def _check_counts(self, request: ChatRequest) -> None:
        """ContextLengthExceeded for more tokens or messages, one token at least, than would ever be looked at."""
        count = max(len(request.prompt.tokens.ids), len(request.messages))
        if count > self._engine.capabilities.context_length:
            raise self._too_long(request, str(count) if request.HasField("prompt") else f"at least {count}")

    def _prompt_tokens(self, request: ChatRequest, most: int | None = None) -> list[int]:
        if request.HasField("prompt"):
            prompt = request.prompt
            if prompt.HasField("tokens"):
                return list(prompt.tokens.ids)
            ids = self._text_tokens(prompt.text, True, most)
            if not ids:
                raise InvalidValue("prompt is empty.", param="prompt")
            return ids
        # With tool_choice none the model does not get to see the tools.
        tools = list(request.tools) if calls_allowed(request) else []
        return self._prompt.token_ids(list(request.messages), tools, most)

    def _text_tokens(self, text: str, opened: bool, most: int | None = None) -> list[int]:
        tokenizer = self._engine.tokenizer
        return [*(tokenizer.opening if opened else ()), *tokenizer.encode(text, most)]

    def _echo(self, request: ChatRequest) -> str:
        """What the answer begins with."""
        if not request.prompt.echo:
            return ""
        decoder = self._engine.tokenizer.decoder()
        return request.prompt.text or decoder.push(request.prompt.tokens.ids) + decoder.flush()

    async def _in_pool(self, work: Callable[..., Result], *arguments: object) -> Result:
        """CPU-bound work, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def _max_tokens(self, request: ChatRequest, prompt_tokens: int) -> int:
        """The explicit limit for the engine: what was asked for, or the default, clamped to what the context leaves."""
        context_length = self._engine.capabilities.context_length
        if prompt_tokens >= context_length:
            raise self._too_long(request, str(prompt_tokens))
        wanted = request.max_tokens if request.HasField("max_tokens") else self._settings.default_max_tokens
        return min(wanted, context_length - prompt_tokens)

    def _too_long(self, request: ChatRequest, tokens: str) -> ContextLengthExceeded:
        return ContextLengthExceeded(
            f"The prompt has {tokens} tokens, but the model's context holds {self._engine.capabilities.context_length} "
            "tokens, prompt and answer together.",
            param="prompt" if request.HasField("prompt") else "messages",
        )
