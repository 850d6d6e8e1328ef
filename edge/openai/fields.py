"""Known request fields that their structs do not have: refused, or accepted without effect; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge.openai.request_schema import ChatCompletionRequest, CompletionRequest, MessageBody
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Rules:
    """The known fields of an object that its struct does not have."""

    # Refused, but for null and these values, which have no effect.
    unsupported: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    # Accepted and ignored.
    without_effect: frozenset[str] = frozenset()


RULES: Final[Mapping[type[msgspec.Struct], Rules]] = {
    ChatCompletionRequest: Rules(
        {
            "modalities": (["text"],),
            "audio": (),
            "prediction": (),
            "web_search_options": (),
            "functions": (),
            "function_call": (),
            "reasoning_effort": (),
            "verbosity": (),
            "store": (False,),
            "service_tier": ("auto", "default"),
        },
        frozenset({"metadata", "prompt_cache_key", "safety_identifier"}),
    ),
    # OpenAI's own responses have these; clients send them back as history.
    MessageBody: Rules({"audio": (), "function_call": ()}, frozenset({"refusal", "annotations"})),
    CompletionRequest: Rules({"suffix": ("",), "best_of": (1,), "response_format": ()}),
}
_HINTS: Final = {"functions": " Use tools.", "function_call": " Use tool_choice."}


def refuse_unless_neutral(name: str, where: str, raw: msgspec.Raw, neutral: tuple[Any, ...]) -> None:
    """UnsupportedParameter unless the value is null or neutral, InvalidValue if it cannot be decoded."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidValue(f"{where} cannot be read: {error}.", param=where) from error
    # Types count: 0 is not False here.
    if value is not None and not any(type(value) is type(other) and value == other for other in neutral):
        raise UnsupportedParameter(f"{where} is not supported.{_HINTS.get(name, '')}", param=where)
