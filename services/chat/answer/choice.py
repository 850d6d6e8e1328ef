"""One choice of an answer: from the engine's token deltas to text, tool calls and the finish in the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

from chasqui.v1 import chat_pb2
from services.chat.answer.parsed import CallStart, Content
from services.chat.answer.text import ChoiceText
from services.engine.api import EndReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.chat.answer.form import AnswerForm
    from services.chat.answer.hermes_parser import HermesParser
    from services.chat.answer.outbox import Outbox
    from services.chat.answer.parsed import Parsed
    from services.chat.answer.tool_parser import ToolCallParser
    from services.engine.api import TokenDelta
    from services.engine.model.tokenizer import TextDecoder

_FINISH_REASONS: Final = {
    EndReason.STOP: chat_pb2.FINISH_REASON_STOP,
    EndReason.LENGTH: chat_pb2.FINISH_REASON_LENGTH,
}


class Choice:
    """Fills `outbox` with one choice. It has `ended` when its finish is there, and takes no more tokens then."""

    def __init__(
        self, index: int, form: AnswerForm, decoder: TextDecoder, outbox: Outbox, *, keeps_output: bool
    ) -> None:
        """With `keeps_output`, `output` holds what the model wrote, tool calls included."""
        self.ended = False
        self.finish_reason: str | None = None  # as OpenAI spells it
        self.output: list[str] = []
        self._index = index
        self._outbox = outbox
        self._decoder = decoder
        self._text = ChoiceText(decoder, form.stops, logprobs=form.logprobs, shows_ends=form.scores_prompt)
        self._logprobs = form.logprobs
        self._tools = form.tools
        self._parser = None if form.tools is None else form.tools.parser()
        # What the parser has read of a text that the answer continues is no part of the answer.
        self._leading = 0 if self._parser is None else self._parser.leading
        self._keeps_output = keeps_output
        # Most choices are: for those, no token pays for what others need.
        self._is_plain = not (form.stops or form.tools or form.logprobs or keeps_output)

    def push(self, delta: TokenDelta) -> bool:
        """Show the next tokens; runs for every token.

        Returns whether the choice has ended by itself: at a stop sequence, or after the only call that it may have.
        """
        if self._is_plain:
            text = delta.text or self._decoder.push(delta.ids)
            if text:
                self._outbox.add_text(self._index, text)
            return False
        text = self._text.push(delta)
        if text:
            self._show(text)
        stopped = self._text.stop_reason is not None
        if self._logprobs:
            self._add_logprobs(len(text), last=stopped)
        if stopped or (self._parser is not None and self._parser.done):
            self._finish(chat_pb2.FINISH_REASON_STOP)
        return self.ended

    def end(self, reason: EndReason) -> None:
        """The engine has ended the choice, not by a cancellation: show what was held back, and finish."""
        text = self._text.flush()
        if text:
            self._show(text)
        if self._logprobs:
            self._add_logprobs(len(text), last=True)
        stopped = self._text.stop_reason is not None
        self._finish(chat_pb2.FINISH_REASON_STOP if stopped else _FINISH_REASONS[reason])

    def _add_logprobs(self, shown: int, *, last: bool) -> None:
        """Add those of `shown` more characters, the `last` ones; where there may be calls, of leading content."""
        if self._parser is None:
            self._outbox.add_logprobs(self._index, self._text.logprobs(shown, last=last))
        else:
            self._add_leading_logprobs(self._parser, last=False)

    def _add_leading_logprobs(self, parser: ToolCallParser | HermesParser, *, last: bool) -> None:
        """Add those of the content before anything else: what comes behind has no place in a row of tokens."""
        shown, self._leading = parser.leading - self._leading, parser.leading
        self._outbox.add_logprobs(self._index, self._text.logprobs(shown, last=last or parser.broken))
        if parser.broken:
            self._logprobs = False
            self._text.end_logprobs()

    def _show(self, text: str) -> None:
        if self._keeps_output:
            self.output.append(text)
        if self._parser is None:
            self._outbox.add_text(self._index, text)
        else:
            self._show_parsed(self._parser.push(text))

    def _show_parsed(self, parsed: Sequence[Parsed]) -> None:
        for part in parsed:
            if isinstance(part, Content):
                self._outbox.add_text(self._index, part.text)
            elif isinstance(part, CallStart):
                self._outbox.start_call(self._index, part.index, f"call_{uuid4().hex[:24]}", part.name)
            else:
                self._outbox.add_arguments(self._index, part.index, part.text)

    def _finish(self, reason: chat_pb2.FinishReason.ValueType) -> None:
        """Release what the parser held back. A choice with calls finishes with TOOL_CALLS, unless it was cut."""
        if self._parser is not None and self._tools is not None:
            self._show_parsed(self._parser.flush())
            if self._logprobs:
                self._add_leading_logprobs(self._parser, last=True)
            # OpenAI answers a call of the function that the caller named with "stop".
            if self._parser.calls and reason == chat_pb2.FINISH_REASON_STOP and not self._tools.named:
                reason = chat_pb2.FINISH_REASON_TOOL_CALLS
        self.ended = True
        self.finish_reason = chat_pb2.FinishReason.Name(reason).removeprefix("FINISH_REASON_").lower()
        self._outbox.add_finish(self._index, reason, self._text.stop_reason)
