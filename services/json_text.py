"""JSON in the text fields of requests: parsed within one bound of size and one of depth."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from services.errors import InvalidValue
from services.limits import MAX_JSON_CHARACTERS, MAX_JSON_DEPTH


class JsonTextError(ValueError):
    """Why a text cannot be used; completes a sentence that begins with the name of its field."""


def parse_json(text: str, param: str) -> Any:
    """The value of a JSON text; InvalidValue names the field `param` if the text cannot be used."""
    try:
        return json_value(text)
    except JsonTextError as error:
        raise InvalidValue(f"{param} {error}.", param=param) from None


def json_value(text: str) -> Any:
    """The value of a JSON text; JsonTextError if it is no JSON, or more than templates and grammars can take."""
    if len(text) > MAX_JSON_CHARACTERS:
        raise JsonTextError(f"has more than {MAX_JSON_CHARACTERS:,} characters")
    try:
        value = _DECODER.decode(text)
    except JsonTextError:
        raise
    except json.JSONDecodeError as error:
        raise JsonTextError(f"is not valid JSON: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise JsonTextError("has an integer with too many digits") from None
    if _is_deeper(value, MAX_JSON_DEPTH):
        raise _too_deep()
    if "\\u" in text:
        _check_characters(value)
    return value


def _is_deeper(value: Any, most: int) -> bool:
    """Whether objects and arrays are nested more than `most` levels deep."""
    level = [value]
    for _ in range(most):
        level = [inner for node in level for inner in _items(node) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _items(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_characters(value: Any) -> None:
    """JsonTextError for half of a surrogate pair, which JSON can escape and UTF-8 cannot encode."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise JsonTextError("has half of a surrogate pair") from None


def _too_deep() -> JsonTextError:
    return JsonTextError(f"is nested more than {MAX_JSON_DEPTH} levels deep")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise JsonTextError("has a number that is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise JsonTextError(f"is not valid JSON: {name} is not a number of JSON")


_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant)
