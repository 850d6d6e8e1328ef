"""JSON in text fields: what is used, and what is refused under the name of its field."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidValue
from services.json_text import json_value, parse_json
from services.limits import MAX_JSON_CHARACTERS, MAX_JSON_DEPTH


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("NaN", "NaN is not a number of JSON"),
        ('{"a": -Infinity}', "-Infinity is not a number of JSON"),
        ("1e999", "a number that is too large"),
        ("9" * 5000, "an integer with too many digits"),
        (nested(MAX_JSON_DEPTH + 1), "is nested more than 64 levels deep"),
        ('{"a": ' * MAX_JSON_DEPTH + "{}" + "}" * MAX_JSON_DEPTH, "is nested more than 64 levels deep"),
        ("[" * 100_000, "is nested more than 64 levels deep"),
        ('["\\ud800"]', "has half of a surrogate pair"),
        ('{"\\udfff": 1}', "has half of a surrogate pair"),
        ('"' + "x" * MAX_JSON_CHARACTERS + '"', "has more than 1,048,576 characters"),
    ],
    ids=lambda text: text[:24],
)
def test_a_text_that_cannot_be_used_is_refused_under_its_field(text: str, problem: str) -> None:
    with pytest.raises(InvalidValue, match=problem) as caught:
        parse_json(text, "tools[0].function.parameters")
    assert caught.value.param == "tools[0].function.parameters"
    assert caught.value.message.startswith("tools[0].function.parameters ")
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("text", [nested(MAX_JSON_DEPTH), "1e308", "9" * 4000, '"\\ud83e\\udd99"', '"\\u0000"', "null"])
def test_a_text_within_the_bounds_is_used(text: str) -> None:
    json_value(text)


@given(st.text(alphabet='{}[]",:\\ud8003dNaIfinty0129eE+-. ', max_size=60))
def test_any_text_has_a_value_or_a_reason(text: str) -> None:
    with suppress(InvalidValue):
        parse_json(text, "f")
