"""Renders a conversation with the model's own chat template and tokenises it.

Only the template's own markers become special tokens. A special token that is written out in a caller's text is
replaced by a placeholder while the template renders. The rendered prompt is then split at its special tokens, which are
all the template's, and the text between them is encoded as ordinary text, with the placeholders replaced back.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.chat.request.history import template_messages, template_tools
from services.engine.load_error import EngineLoadError
from services.engine.model.tokenizer import TooManyTokensError
from services.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chasqui.v1 import chat_pb2
    from chasqui.v1.tool_pb2 import Tool
    from services.engine.api import ModelInfo
    from services.engine.model.tokenizer import Tokenizer

_PRIVATE_USE = range(0xE000, 0xF900)
# Most texts between special tokens are the template's own, the same in every call, or turns of a conversation that
# continues. Encoding one takes 5 to 30 µs and releases the GIL twice.
_CACHED_PIECES = 2048
_LONGEST_CACHED = 256  # characters


class PromptRenderer:
    """Turns messages into token ids. Thread-safe and CPU-bound: to be called in a thread."""

    def __init__(self, model: ModelInfo, tokenizer: Tokenizer) -> None:
        """EngineLoadError if the model's template is not valid Jinja."""
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(model.chat_template)
        except jinja2.TemplateError as error:
            raise EngineLoadError(f"The model's chat template cannot be used: {error}") from error
        self._bos_token = model.bos_token
        self._eos_token = model.eos_token
        self._tokenizer = tokenizer
        self._short_piece = lru_cache(_CACHED_PIECES)(tokenizer.encode)
        # Longest first, so that no token hides a longer one that begins with it.
        self._specials = sorted(tokenizer.special_tokens, key=len, reverse=True)
        self._special = re.compile("(" + "|".join(map(re.escape, self._specials)) + ")")
        self._source = model.chat_template
        self.takes_tools = "tools" in model.chat_template

    def token_ids(
        self, messages: Sequence[chat_pb2.Message], tools: Sequence[Tool] = (), most: int | None = None
    ) -> list[int]:
        """The prompt's ids, ending with an open assistant turn; InvalidValue if the template refuses the messages.

        Messages and tools must be validated. TooManyTokensError for more than `most`, as early as possible.
        """
        context = {"messages": template_messages(messages), "tools": template_tools(tools)}
        guard = _unused_character([self._source, *_texts(context)])
        placeholder = re.compile(f"{guard}(\\d+){guard}")
        ids: list[int] = []
        for index, piece in enumerate(self._special.split(self._render(self._hide(context, guard)))):
            if index % 2:
                ids.append(self._tokenizer.special_tokens[piece])
            elif piece:
                text = placeholder.sub(lambda match: self._specials[int(match[1])], piece)
                if len(text) <= _LONGEST_CACHED:
                    ids += self._short_piece(text)
                else:
                    ids += self._tokenizer.encode(text, None if most is None else most - len(ids))
            if most is not None and len(ids) > most:
                raise TooManyTokensError(len(ids))
        return ids

    def _hide(self, value: Any, guard: str) -> Any:
        """The value with a placeholder, a number between guards, for every special token that a text in it spells."""
        if isinstance(value, str):
            return self._special.sub(lambda match: f"{guard}{self._specials.index(match[0])}{guard}", value)
        if isinstance(value, list):
            return [self._hide(item, guard) for item in value]
        if isinstance(value, dict):
            return {self._hide(key, guard): self._hide(item, guard) for key, item in value.items()}
        return value

    def _render(self, context: dict[str, Any]) -> str:
        try:
            return self._template.render(
                **context,
                add_generation_prompt=True,
                bos_token=self._bos_token,
                eos_token=self._eos_token,
                date_string=_strftime_now("%d %b %Y"),
            )
        except (jinja2.TemplateError, TypeError, ValueError, LookupError) as error:
            raise InvalidValue(f"The model's chat template refuses the messages: {error}", param="messages") from error


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value made of JSON's types."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _unused_character(texts: Sequence[str]) -> str:
    """A private-use character that is in none of the texts."""
    for character in map(chr, _PRIVATE_USE):
        if not any(character in text for text in texts):
            return character
    raise InvalidValue("The messages use every private-use character.", param="messages")


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now(UTC).strftime(form)


def _tojson(value: object, indent: int | None = None) -> str:
    """JSON as chat templates expect it: not escaped for HTML, unlike Jinja's own filter."""
    return json.dumps(value, ensure_ascii=False, indent=indent)
