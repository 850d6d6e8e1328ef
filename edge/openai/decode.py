"""Decodes the JSON of a request into its struct, and sorts the fields that the struct does not hold; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from edge.openai.schema import ChatCompletionRequest
from services.errors import InvalidValue, UnsupportedParameter

_DECODER = msgspec.json.Decoder(ChatCompletionRequest)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(ChatCompletionRequest))

# OpenAI's fields that mean something which this service does not do, with the values that change nothing.
_UNSUPPORTED: Final[dict[str, tuple[Any, ...]]] = {
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
}
_HINTS: Final = {"functions": " Use tools.", "function_call": " Use tool_choice."}
# Accepted without effect, and documented as such.
_WITHOUT_EFFECT: Final = frozenset({"metadata", "prompt_cache_key", "safety_identifier"})

_LOCATED = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`")


@dataclass(frozen=True, slots=True)
class DecodedRequest:
    """A request, and the names of those of its fields that nobody knows."""

    body: ChatCompletionRequest
    ignored: tuple[str, ...]


def decode_chat_request(data: bytes) -> DecodedRequest:
    """The request in `data`; InvalidValue or UnsupportedParameter names the field that is wrong.

    Types are not coerced, and of duplicate keys the last wins.
    """
    try:
        body = _DECODER.decode(data)
        members = _MEMBERS.decode(data)
    except msgspec.ValidationError as error:
        raise _invalid_field(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(f"The body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidValue("The body is nested too deeply.") from error
    extra = [name for name in members if name not in _KNOWN]
    for name in extra:
        _refuse_unsupported(name, members[name])
    known_without_effect = _WITHOUT_EFFECT | _UNSUPPORTED.keys()
    return DecodedRequest(body, tuple(sorted(name for name in extra if name not in known_without_effect)))


def _refuse_unsupported(name: str, raw: msgspec.Raw) -> None:
    neutral = _UNSUPPORTED.get(name)
    if neutral is None:
        return
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidValue(f"{name} cannot be read: {error}.", param=name) from error
    # Types count: 0 is not False here.
    if value is not None and not any(type(value) is type(other) and value == other for other in neutral):
        raise UnsupportedParameter(f"{name} is not supported.{_HINTS.get(name, '')}", param=name)


def _invalid_field(text: str) -> InvalidValue:
    """The decoder's words, with its location as the path of a field: `$.messages[0].role` -> `messages[0].role`."""
    match = _LOCATED.fullmatch(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    missing = _MISSING.fullmatch(what)
    if missing:
        path = f"{path}.{missing['field']}"
        what = "a required field is missing"
    # The decoder does not say which member of a map it means.
    param = path.removeprefix(".").replace("[...]", "") or None
    where = param or "The body"
    return InvalidValue(f"{where}: {what[:1].lower()}{what[1:].replace('`', '')}.", param=param)
