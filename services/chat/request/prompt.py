"""Renders a conversation with the model's own chat template and tokenizes it.

Only the template's own markers become special tokens: the rendered prompt is cut at the special tokens in it, and the
texts between them are encoded as plain text. `services.chat.request.special_tokens` keeps those of callers apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.chat.grammar.tool_syntax import ToolSyntax
from services.chat.request.history import template_messages, template_tools
from services.chat.request.special_tokens import SpecialTokens, unused_character
from services.chat.request.template import ChatTemplate
from services.chat.request.token_cache import TokenCache
from services.engine.model.tokenizer import TooManyTokensError
from services.errors import UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1 import chat_pb2
    from chasqui.v1.tool_pb2 import Tool
    from services.engine.api import ModelInfo
    from services.engine.model.tokenizer import Tokenizer


class PromptRenderer:
    """Turns messages into token ids. Thread-safe; CPU-bound, so it belongs into a thread of a pool."""

    def __init__(self, model: ModelInfo, tokenizer: Tokenizer) -> None:
        """EngineLoadError if the model's template is not valid Jinja."""
        self._template = ChatTemplate(model)
        self._tokenizer = tokenizer
        # Most texts between special tokens are the template's own or were in the caller's last call.
        self._texts = TokenCache(tokenizer)
        self._special = SpecialTokens(tokenizer.special_tokens)
        self.tool_syntax = self._template.tool_syntax

    def token_ids(
        self,
        messages: Sequence[chat_pb2.Message],
        tools: Sequence[Tool] = (),
        most: int | None = None,
        *,
        continues: bool = False,
    ) -> list[int]:
        """The prompt's ids, ending with an open assistant turn; InvalidValue if the template rejects the messages.

        If it `continues` the last message, that is the open turn, up to the end of its text. Messages and tools must be
        validated. TooManyTokensError for more than `most`, as early as possible; UnsupportedParameter if the model has
        no template, or one that cannot do that.
        """
        turns = template_messages(messages, one_call_per_turn=self.tool_syntax is not ToolSyntax.HERMES)
        offered = template_tools(tools)
        guard = unused_character(self._template.source, [turns, offered])
        turns, offered = self._special.hide(turns, guard), self._special.hide(offered, guard)
        prompt = self._continued(turns, offered, guard) if continues else self._template.render(turns, offered)
        ids: list[int] = []
        for index, text in enumerate(self._special.split(prompt)):
            if index % 2:
                ids.append(self._tokenizer.special_tokens[text])
            elif text:
                ids += self._texts.encode(self._special.reveal(text, guard), None if most is None else most - len(ids))
            if most is not None and len(ids) > most:
                raise TooManyTokensError(len(ids))
        return ids

    def _continued(self, turns: list[dict[str, Any]], offered: list[dict[str, Any]] | None, guard: str) -> str:
        """The rendered text up to the end of the last turn's content, white space there included."""
        end = guard * 2  # a placeholder has something between its guards
        turns[-1] |= {"content": turns[-1]["content"] + end}
        prompt, found, _ = self._template.render(turns, offered, opens_turn=False).rpartition(end)
        if not found:
            raise UnsupportedParameter(
                "continue_final_message is not supported by the chat template of this model, which drops the message.",
                param="continue_final_message",
            )
        return prompt
