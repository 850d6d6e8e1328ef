"""The CPU-bound work on a request before the engine gets it: template, tokens, grammar."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from chasqui.v1 import chat_pb2
from services.chat.grammar.compiler import GrammarCompiler
from services.chat.grammar.structured import grammar_of
from services.chat.grammar.tool_choice import calls_allowed, optional_schemas
from services.chat.grammar.tool_syntax import ToolSyntax
from services.chat.request.prompt import PromptRenderer
from services.chat.request.prompt_history import PromptHistory
from services.chat.request.validation import check_size, check_tokens, validate, validate_input
from services.engine.model.tokenizer import TooManyTokensError
from services.errors import ContextLengthExceeded, InvalidValue, Unavailable, UnsupportedParameter
from services.low_priority import low_priority_threads
from services.settings import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.chat.grammar.structured import Grammar
    from services.engine.api import Engine

Result = TypeVar("Result")

# Bytes of a request up to which its prompt is rendered and tokenized on the event loop, in less than a millisecond: the
# way to a thread and back would cost 0.15 ms of CPU time more.
SMALL_BYTES: Final = 1024
# Of a request that waits for no others of its size: some 20 ms of work.
LARGE_BYTES: Final = 64 * 1024
# Of the prompt in all choices of an answer, and of the text of token ids: half of the largest message.
MAX_TEXT_BYTES: Final = MAX_MESSAGE_BYTES // 2
# Log probabilities of the prompt's tokens in an answer, candidates included: some 5 MB.
MAX_SCORES: Final = 131_072
# Tokens that CountTokens and Detokenize take, and how many of their calls may wait.
MAX_COUNTED_TOKENS: Final = 262_144
MAX_COUNTING: Final = 32
# More threads than this would only take CPU time from the engine.
_THREADS: Final = 2
# Of a prompt, behind what it shares with an earlier one.
_SHOWN_TOKENS: Final = 12


@dataclass(frozen=True, slots=True)
class Input:
    """What a request gives the engine: prompt ids, and the grammar that the answer must follow, if any."""

    prompt: Sequence[int]
    grammar: Grammar | None
    echo: str  # the prompt's text if the answer begins with it
    shared: chat_pb2.SharedPrompt | None  # with an earlier prompt of the caller, if there was one


class InputProcessor:
    """Validates requests and turns them into `Input`."""

    def __init__(self, engine: Engine) -> None:
        self._capabilities = engine.capabilities
        self._tokenizer = engine.tokenizer
        self._renderer = PromptRenderer(engine.model, engine.tokenizer)
        self.tool_syntax = self._renderer.tool_syntax or ToolSyntax.LLAMA3_JSON
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="prompt")
        # Of their own, so that large prompts delay no others, and texts that are only counted no prompt.
        self._large_thread = low_priority_threads(1, "large prompt", need_gil=True)
        self._count_thread = low_priority_threads(1, "count", need_gil=True)
        self._counting = 0
        self._grammars = GrammarCompiler(engine.tokenizer)
        self._history = PromptHistory()

    def check_size(self, request: ChatRequest) -> None:
        """InvalidValue, UnsupportedParameter or ContextLengthExceeded for more than is ever processed."""
        # Each token or message is at least one token of the prompt.
        count = max(len(request.prompt.tokens.ids), len(request.messages))
        if count > self._capabilities.context_length:
            raise self.too_long(request, str(count) if request.HasField("prompt") else f"at least {count}")
        check_size(request, self._capabilities)

    async def process(self, request: ChatRequest, caller: str) -> Input:
        """The input of a request; InvalidValue, UnsupportedParameter or ContextLengthExceeded for a wrong field."""
        if self._is_small(request):
            made = self._input(request, caller)
        else:
            made = await self._in_thread(request, self._input, request, caller)
        if made.grammar is not None:
            made = replace(made, grammar=await self._enforceable(request, made.grammar))
        return made

    async def chat_tokens(self, request: ChatRequest) -> list[int]:
        """The prompt ids of a chat that is not going to be answered."""
        self.check_size(request)
        return await self._count(self._chat_tokens, request)

    async def text_tokens(self, text: str, *, opened: bool) -> list[int]:
        """The ids of plain text; `opened` puts before it the ids with which every prompt begins."""
        return await self._count(self._text_tokens, text, opened, MAX_COUNTED_TOKENS)

    async def text_of(self, ids: Sequence[int]) -> str:
        """The text of token ids; InvalidValue for one that is not in the vocabulary."""
        if len(ids) > MAX_COUNTED_TOKENS:
            raise InvalidValue(f"tokens has {len(ids):,} ids, but may have {MAX_COUNTED_TOKENS:,}.", param="tokens")
        return await self._count(self._text_of, ids)

    async def token_texts(self, ids: Sequence[int]) -> list[str]:
        """The text of each token id of ours."""
        return await self._count(self._tokenizer.token_texts, ids)

    def too_long(self, request: ChatRequest, tokens: str) -> ContextLengthExceeded:
        """The error for a prompt of so many tokens."""
        return ContextLengthExceeded(
            # Clients recognise this error by OpenAI's words and by its code in the text.
            f"This model's maximum context length is {self._capabilities.context_length} tokens, prompt and answer "
            f"together, but the prompt has {tokens} tokens (context_length_exceeded).",
            param="prompt" if request.HasField("prompt") else "messages",
        )

    def close(self) -> None:
        """Stop the threads, and the process that tries grammars."""
        for pool in (self._threads, self._large_thread, self._count_thread):
            pool.shutdown(wait=False, cancel_futures=True)
        self._grammars.close()

    async def _enforceable(self, request: ChatRequest, grammar: Grammar) -> Grammar | None:
        """The grammar, without optional schemas that cannot be enforced; UnsupportedParameter for any other problem."""
        wrong = {problem.param for problem in await self._grammars.problems(grammar)}
        optional = optional_schemas(request)
        loose = wrong & optional if wrong <= optional else optional
        if not wrong or not loose:
            await self._grammars.check(grammar)
            return grammar
        looser = await self._in_thread(request, grammar_of, request, self.tool_syntax, frozenset(loose))
        if looser is not None:
            await self._grammars.check(looser)
        return looser

    def _is_small(self, request: ChatRequest) -> bool:
        """Whether to process the request on the event loop."""
        has_schema = bool(request.tools) or request.HasField("response_format")
        return not (self._tokenizer.remote or has_schema) and request.ByteSize() <= SMALL_BYTES

    async def _count(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Work of a call that generates nothing; Unavailable if too much of it waits."""
        if self._counting >= MAX_COUNTING:
            raise Unavailable("Too many texts wait to be counted.", reason="OVERLOADED", retry_after=1.0)
        self._counting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._count_thread, work, *arguments)
        except TooManyTokensError:
            raise InvalidValue(f"text has more than {MAX_COUNTED_TOKENS:,} tokens.", param="text") from None
        finally:
            self._counting -= 1

    async def _in_thread(self, request: ChatRequest, work: Callable[..., Result], *arguments: object) -> Result:
        """Work on the request, in a thread for those of its size."""
        pool = self._large_thread if request.ByteSize() > LARGE_BYTES else self._threads
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)

    # In the threads.

    def _input(self, request: ChatRequest, caller: str) -> Input:
        validate(request, self._capabilities)
        if request.tools and self._renderer.tool_syntax is None:
            raise UnsupportedParameter("tools is not supported by the chat template of this model.", param="tools")
        grammar = grammar_of(request, self.tool_syntax)
        try:
            prompt = self._prompt_tokens(request, self._capabilities.context_length)
        except TooManyTokensError as error:
            raise self.too_long(request, f"at least {error.count}") from None
        return Input(prompt, grammar, self._echo(request, prompt), self._shared(caller, prompt))

    def _shared(self, caller: str, prompt: list[int]) -> chat_pb2.SharedPrompt | None:
        shared = self._history.compare(caller, prompt)
        if shared is None:
            return None
        continued = shared.tokens == shared.previous_tokens
        following = [] if continued else prompt[shared.tokens : shared.tokens + _SHOWN_TOKENS]
        return chat_pb2.SharedPrompt(
            tokens=shared.tokens,
            previous_tokens=shared.previous_tokens,
            parted_at=self._tokenizer.decode(following),
        )

    def _chat_tokens(self, request: ChatRequest) -> list[int]:
        validate_input(request, self._capabilities)
        return self._prompt_tokens(request, MAX_COUNTED_TOKENS)

    def _text_of(self, ids: Sequence[int]) -> str:
        check_tokens(ids, "tokens", self._capabilities)
        text = self._tokenizer.decode(ids)
        size = len(text.encode())
        if size > MAX_TEXT_BYTES:
            raise InvalidValue(f"tokens are {size:,} bytes of text, but may be {MAX_TEXT_BYTES:,}.", param="tokens")
        return text

    def _prompt_tokens(self, request: ChatRequest, most: int | None = None) -> list[int]:
        if request.HasField("prompt"):
            prompt = request.prompt
            if prompt.HasField("tokens"):
                return list(prompt.tokens.ids)
            ids = self._text_tokens(prompt.text, True, most)
            if not ids:
                raise InvalidValue("prompt is empty.", param="prompt")
            return ids
        # With tool_choice none the prompt does not list the tools.
        tools = list(request.tools) if calls_allowed(request) else []
        continues = request.continue_final_message
        return self._renderer.token_ids(list(request.messages), tools, most, continues=continues)

    def _text_tokens(self, text: str, opened: bool, most: int | None = None) -> list[int]:
        return [*(self._tokenizer.opening if opened else ()), *self._tokenizer.encode(text, most)]

    def _echo(self, request: ChatRequest, prompt: Sequence[int]) -> str:
        if not request.prompt.echo:
            return ""
        decoder = self._tokenizer.decoder()
        self._check_scores(request, prompt)
        echo = request.prompt.text or decoder.push(request.prompt.tokens.ids) + decoder.flush()
        size = max(request.n, 1) * len(echo.encode())
        if size > MAX_TEXT_BYTES:
            raise InvalidValue(f"echo would repeat {size:,} bytes, but may repeat {MAX_TEXT_BYTES:,}.", param="echo")
        return echo

    def _check_scores(self, request: ChatRequest, prompt: Sequence[int]) -> None:
        """InvalidValue for more log probabilities of the prompt than an answer may have."""
        count = max(request.n, 1) * len(prompt) * (1 + request.top_logprobs) if request.logprobs else 0
        if count > MAX_SCORES:
            raise InvalidValue(
                f"echo would give {count:,} log probabilities of the prompt, but may give {MAX_SCORES:,}.",
                param="echo",
            )
