"""What becomes of the fields of a request that its struct does not hold: refused, without effect, or unknown; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge.openai.completion_schema import CompletionRequest
from edge.openai.schema import ChatCompletionRequest, MessageBody
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Rules:
    """Known fields of an object beside those of its struct."""

    # They mean something which this service does not do; with the values that change nothing.
    unsupported: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    # Accepted, and documented as such.
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
    # An answer of OpenAI's, sent back as it came, has these.
    MessageBody: Rules({"audio": (), "function_call": ()}, frozenset({"refusal", "annotations"})),
    CompletionRequest: Rules({"suffix": ("",), "best_of": (1,), "response_format": ()}),
}
_HINTS: Final = {"functions": " Use tools.", "function_call": " Use tool_choice."}


def unknown_fields(kind: type[msgspec.Struct], data: bytes) -> tuple[str, ...]:
    """JSON paths of the fields that nobody knows, sorted; `data` has been decoded as that struct.

    UnsupportedParameter or InvalidValue names the first field that is refused.
    """
    return tuple(sorted(set(_walk(kind, data, ""))))


def _walk(kind: type[msgspec.Struct], data: bytes | msgspec.Raw, path: str) -> Iterator[str]:
    inner = _structs_inside(kind)
    rules = RULES.get(kind, Rules())
    for name, raw in _OBJECT.decode(data).items():
        where = f"{path}.{name}" if path else name
        if name in inner:
            struct = inner[name]
            first = bytes(raw)[:1]
            if struct is not None and first == b"{":
                yield from _walk(struct, raw, where)
            elif struct is not None and first == b"[":
                for index, item in enumerate(_ARRAY.decode(raw)):
                    if bytes(item)[:1] == b"{":
                        yield from _walk(struct, item, f"{where}[{index}]")
        elif name in rules.unsupported:
            _refuse_unless_neutral(name, where, raw, rules.unsupported[name])
        elif name not in rules.without_effect:
            yield where


@cache
def _structs_inside(kind: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct] | None]:
    """The fields of a struct, with the struct that each, or each of its items, may be."""
    info = msgspec.inspect.type_info(kind)
    if not isinstance(info, msgspec.inspect.StructType):
        raise TypeError(f"{kind} is no struct")
    return {item.encode_name: _struct_in(item.type) for item in info.fields}


def _struct_in(info: msgspec.inspect.Type) -> type[msgspec.Struct] | None:
    if isinstance(info, msgspec.inspect.StructType):
        return info.cls
    if isinstance(info, msgspec.inspect.ListType):
        return _struct_in(info.item_type)
    if isinstance(info, msgspec.inspect.UnionType):
        return next((struct for option in info.types if (struct := _struct_in(option)) is not None), None)
    return None


def _refuse_unless_neutral(name: str, where: str, raw: msgspec.Raw, neutral: tuple[Any, ...]) -> None:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidValue(f"{where} cannot be read: {error}.", param=where) from error
    # Types count: 0 is not False here.
    if value is not None and not any(type(value) is type(other) and value == other for other in neutral):
        raise UnsupportedParameter(f"{where} is not supported.{_HINTS.get(name, '')}", param=where)
