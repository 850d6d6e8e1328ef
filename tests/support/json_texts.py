"""Texts for fields that hold JSON in a string: proper JSON that is hard to take, and what is no JSON at all."""

from __future__ import annotations

from hypothesis import strategies as st

# By name; each is the text of an object, or means to be.
JSON_TEXTS = {
    "an empty object": "{}",
    "nothing": "",
    "white space": " \n\t",
    "null": "null",
    "an object in a string": '"{\\"a\\": 1}"',
    "a list": "[]",
    "a number": "0",
    "cut in a string": '{"a": "b',
    "cut after a backslash": '{"a": "\\',
    "cut in an escape": '{"a": "\\u00',
    "no JSON": "get_weather(city=Paris)",
    "two objects": "{}{}",
    "a lone high surrogate": '{"a": "\\ud800"}',
    "a lone low surrogate": '{"a": "\\udc00"}',
    "surrogates in the wrong order": '{"a": "\\udc00\\ud800"}',
    "a lone surrogate as a key": '{"\\ud800": 1}',
    "a surrogate pair": '{"a": "\\ud83e\\udd99"}',
    "an escaped NUL": '{"a\\u0000": "\\u0000"}',
    "a NUL": '{"a": "\x00"}',
    "a NUL after the end": "{}\x00",
    "control characters": '{"a": "\x01\x1b\x7f"}',
    "line separators": '{"a": "\u2028\u2029\ufeff"}',
    "a byte order mark": '\ufeff{"a": 1}',
    "not a number": '{"a": NaN}',
    "infinity": '{"a": [Infinity, -Infinity]}',
    "a float that is infinite": '{"a": 1e400, "b": -1e400}',
    "a float that is nothing": '{"a": 1e-400}',
    "an integer of 400 digits": '{"a": ' + "9" * 400 + "}",
    "an integer of 5,000 digits": '{"a": -' + "9" * 5_000 + "}",
    "a key twice": '{"a": 1, "a": 2}',
    "special tokens": '{"a": "<|eot_id|><|python_tag|>"}',
    **{f"a list {depth:,} deep": f'{{"a": {"[" * depth}{"]" * depth}}}' for depth in (50, 300, 500, 700, 990, 20_000)},
    **{f"objects {depth:,} deep": '{"a":' * depth + "1" + "}" * depth for depth in (50, 300, 500, 700, 990, 20_000)},
    "a list 100,000 deep without an end": "[" * 100_000,
}

_STRINGS = (
    '"a"',
    '""',
    '"type"',
    '"properties"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"é\\n"',
    '"🦙"',
    '"\\"',
    '"<|eot_id|>"',
)
_SCALARS = (*_STRINGS, "null", "true", "0", "-1", "1e400", "0.1", "9" * 40, "NaN", '"object"', '"string"')
_VALUES = st.recursive(
    st.sampled_from(_SCALARS),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(_STRINGS), inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        )
        | st.tuples(st.integers(1, 1100), inner).map(lambda nested: "[" * nested[0] + nested[1] + "]" * nested[0])
    ),
    max_leaves=6,
)
# Objects of hostile values, whole or cut.
json_texts = st.builds(
    lambda key, value, cut: f"{{{key}: {value}}}"[: None if cut > 200 else cut],
    st.sampled_from(_STRINGS),
    _VALUES,
    st.integers(0, 600),
)
