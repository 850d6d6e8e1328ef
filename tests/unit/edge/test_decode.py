"""What the decoder makes of a body: the request in it, or an error that names the field that is wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.api.fields import Treatment, names_of
from edge.openai.decode import decode_chat_request
from edge.openai.field_table import FIELDS as TABLE
from edge.openai.request import to_chat_request
from edge.openai.request_schema import ChatCompletionRequest
from services.errors import InvalidValue, UnsupportedParameter

MINIMAL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
# Deeper than any interpreter can read: since 3.14 the limit is the size of the stack.
DEEP = b"[" * 1_000_000 + b"]" * 1_000_000
HUGE = b"9" * 5_000
FIELDS = [field.name for field in msgspec.structs.fields(ChatCompletionRequest) if not field.required]
# Values that mean something which this service does not do.
UNSUPPORTED: dict[str, list[Any]] = {
    "modalities": [["text", "audio"], "text"],
    "audio": [{"voice": "alloy", "format": "wav"}],
    "prediction": [{"type": "content", "content": "Hi"}],
    "web_search_options": [{}],
    "functions": [[{"name": "f"}]],
    "function_call": [{"name": "f"}],
    "verbosity": ["low"],
    "store": [True, 0],
}
WITHOUT_EFFECT = tuple(names_of(TABLE[ChatCompletionRequest], Treatment.WITHOUT_EFFECT))


def body(**fields: Any) -> bytes:
    return json.dumps(MINIMAL | fields).encode()


def body_with(field: str, value: bytes) -> bytes:
    """A minimal body in which a field's value is spelled exactly so."""
    return body()[:-1] + b', "' + field.encode() + b'": ' + value + b"}"


def message(**fields: Any) -> bytes:
    return body(messages=[{"role": "user"} | fields])


def refusal(data: bytes) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        decode_chat_request(data)
    return caught.value


WRONG_TYPES = [
    (body(model=3), "model"),
    (body(model=None), "model"),
    (body(messages={}), "messages"),
    (body(messages="Hi"), "messages"),
    (body(messages=None), "messages"),
    (body(messages=["Hi"]), "messages[0]"),
    (body(messages=[*MINIMAL["messages"], None]), "messages[1]"),
    (body(messages=[{"role": 1}]), "messages[0].role"),
    (message(content=5), "messages[0].content"),
    (message(content={"type": "text", "text": "Hi"}), "messages[0].content"),
    (message(content=["Hi"]), "messages[0].content[0]"),
    (message(content=[{"type": "text", "text": "Hi"}, {"type": "text", "text": 1}]), "messages[0].content[1].text"),
    (message(content=[{"type": None}]), "messages[0].content[0].type"),
    (message(tool_calls={}), "messages[0].tool_calls"),
    (message(tool_calls=[{"id": 1, "function": {}}]), "messages[0].tool_calls[0].id"),
    (message(tool_call_id=7), "messages[0].tool_call_id"),
    (body(stream="true"), "stream"),
    (body(stream=1), "stream"),
    (body(stream_options=True), "stream_options"),
    (body(stream_options={"include_usage": "yes"}), "stream_options.include_usage"),
    (body(temperature="0.5"), "temperature"),
    (body(temperature=True), "temperature"),
    (body(temperature=[1]), "temperature"),
    (body(top_k=1.5), "top_k"),
    (body(top_k="2"), "top_k"),
    (body(top_k=True), "top_k"),
    (body(seed="7"), "seed"),
    (body(n=False), "n"),
    (body(max_tokens=1.5), "max_tokens"),
    (body(max_completion_tokens="5"), "max_completion_tokens"),
    (body(logit_bias=[]), "logit_bias"),
    (body(stop=1), "stop"),
    (body(stop=["a", 1]), "stop[1]"),
    (body(stop=[None]), "stop[0]"),
    (body(stop_token_ids=[1, 2.5]), "stop_token_ids[1]"),
    (body(stop_token_ids="1"), "stop_token_ids"),
    (body(ignore_eos="false"), "ignore_eos"),
    (body(logprobs=5), "logprobs"),
    (body(top_logprobs=True), "top_logprobs"),
    (body(tools={}), "tools"),
    (body(tools=[{"type": 1, "function": {"name": "f"}}]), "tools[0].type"),
    (body(tools=[{"type": "function", "function": {"name": 1}}]), "tools[0].function.name"),
    (body(tools=[{"type": "function", "function": {"name": "f", "strict": 1}}]), "tools[0].function.strict"),
    (body(tool_choice=True), "tool_choice"),
    (
        body(tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "none", "tools": []}}),
        "tool_choice.allowed_tools.mode",
    ),
    (body(guided_choice="yes"), "guided_choice"),
    (body(structured_outputs={"regex": 1}), "structured_outputs.regex"),
    (body(parallel_tool_calls=0), "parallel_tool_calls"),
    (body(response_format="json_object"), "response_format"),
    (body(response_format={"type": "xml"}), "response_format.type"),
    (body(response_format={"type": "json_schema", "json_schema": []}), "response_format.json_schema"),
    (body(user=42), "user"),
]


@pytest.mark.parametrize(
    ("data", "param"), WRONG_TYPES, ids=[f"{param}-{i}" for i, (_, param) in enumerate(WRONG_TYPES)]
)
def test_a_value_of_the_wrong_type_is_refused_by_the_path_of_its_field(data: bytes, param: str) -> None:
    error = refusal(data)
    assert type(error) is InvalidValue
    assert error.param == param
    assert error.message.startswith(f"{param}: ")


def test_a_wrong_value_of_a_map_is_refused_by_the_name_of_the_map() -> None:
    error = refusal(body(logit_bias={"5": "high"}))
    assert error.param in {"logit_bias", "logit_bias.5"}


MISSING = [
    (b'{"messages": []}', "model"),
    (b'{"model": "m"}', "messages"),
    (b"{}", "model"),
    (body(messages=[{"content": "Hi"}]), "messages[0].role"),
    (message(content=[{"text": "Hi"}]), "messages[0].content[0].type"),
    (message(tool_calls=[{"id": "a"}]), "messages[0].tool_calls[0].function"),
    (body(tools=[{"function": {"name": "f"}}]), "tools[0].type"),
    (body(tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
    (body(response_format={}), "response_format.type"),
    (body(response_format={"type": "json_schema", "json_schema": {}}), "response_format.json_schema.name"),
]


@pytest.mark.parametrize(("data", "param"), MISSING, ids=[param for _, param in MISSING])
def test_a_missing_field_is_named_by_its_path(data: bytes, param: str) -> None:
    error = refusal(data)
    assert error.param == param
    assert error.message == f"{param}: a required field is missing."


@pytest.mark.parametrize("field", ["temperature", "top_p", "min_p", "presence_penalty"])
@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"nan", b"+1", b".5", b"0x10", b"1e400"])
def test_what_is_no_json_number_is_refused_as_a_number(field: str, value: bytes) -> None:
    assert type(refusal(body_with(field, value))) is InvalidValue


@pytest.mark.parametrize("field", ["seed", "top_k", "n", "max_tokens"])
@pytest.mark.parametrize("value", [HUGE, b"-" + HUGE], ids=["5,000 digits", "negative"])
def test_an_integer_too_large_for_the_machine_is_refused_by_its_field(field: str, value: bytes) -> None:
    error = refusal(body_with(field, value))
    assert error.param == field
    assert len(error.message) < 200


NO_REQUESTS = {
    "empty": b"",
    "blank": b" \n",
    "cut": body()[:-1],
    "two values": body() + b"{}",
    "array": b"[]",
    "null": b"null",
    "string": b'"Hi"',
    "number": b"1",
    "not json": b"model=m&messages=Hi",
    "trailing comma": body()[:-1] + b",}",
    "single quotes": b"{'model': 'm', 'messages': []}",
    "utf-16": body().decode().encode("utf-16"),
    "10,000 brackets": DEEP,
    "10,000 open brackets": b"[" * 10_000,
    "10,000 objects": b'{"a":' * 10_000,
    "invalid utf-8": b"\xff\xfe",
    "invalid utf-8 in a key": body()[:-1] + b', "\xff": 1}',
    "invalid utf-8 in a text": b'{"model": "\xff", "messages": []}',
    "cut utf-8 sequence": b'{"model": "\xc3", "messages": []}',
    "utf-8 of a surrogate": b'{"model": "\xed\xa0\x80", "messages": []}',
    "lone high surrogate": b'{"model": "\\ud800", "messages": []}',
    "lone low surrogate": b'{"model": "\\udc00", "messages": []}',
    "surrogates in the wrong order": b'{"model": "\\udc00\\ud800", "messages": []}',
    "lone surrogate in a message": message(content="\ud83d!"),
    "control character": b'{"model": "a\nb", "messages": []}',
    "unknown field nested a million deep": body_with("depth", DEEP),
    "unsupported field nested a million deep": body_with("audio", DEEP),
    "schema nested a million deep": body_with(
        "tools", b'[{"type": "function", "function": {"name": "f", "parameters": ' + DEEP + b"}}]"
    ),
}


@pytest.mark.parametrize("data", NO_REQUESTS.values(), ids=NO_REQUESTS.keys())
def test_bytes_that_are_no_request_are_refused_as_a_body_and_not_as_a_field(data: bytes) -> None:
    error = refusal(data)
    assert type(error) is InvalidValue
    assert error.param is None
    assert error.message.startswith("The body")


@pytest.mark.parametrize("field", [*FIELDS, *UNSUPPORTED, *WITHOUT_EFFECT])
def test_null_means_the_same_as_an_absent_field(field: str) -> None:
    assert decode_chat_request(body(**{field: None})) == decode_chat_request(body())


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (message(content=None), message()),
        (message(tool_calls=None, tool_call_id=None), message()),
        (
            body(tools=[{"type": "function", "function": {"name": "f", "description": None, "strict": None}}]),
            body(tools=[{"type": "function", "function": {"name": "f"}}]),
        ),
        (
            body(response_format={"type": "text", "json_schema": None}),
            body(response_format={"type": "text"}),
        ),
        (
            message(tool_calls=[{"id": "a", "type": None, "function": {"name": "f", "arguments": "{}"}}]),
            message(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": "{}"}}]),
        ),
    ],
    ids=["content", "tool_calls", "function", "json_schema", "tool call type"],
)
def test_null_inside_an_object_means_the_same_as_an_absent_field(given: bytes, same: bytes) -> None:
    assert to_chat_request(decode_chat_request(given).body) == to_chat_request(decode_chat_request(same).body)


def test_a_null_include_usage_is_not_set() -> None:
    options = decode_chat_request(body(stream_options={"include_usage": None})).body.stream_options
    assert options is not None
    assert not options.include_usage


def test_unknown_fields_are_accepted_and_listed_in_alphabetical_order() -> None:
    decoded = decode_chat_request(body(zeta=1, temperature=0.5, alpha={"a": [1]}, Alpha=0))
    assert decoded.ignored == ("Alpha", "alpha", "zeta")
    assert decoded.body.temperature == 0.5


@pytest.mark.parametrize(
    ("data", "ignored"),
    [
        (message(name="Ann"), ("messages[0].name",)),
        (message(content=[{"type": "text", "text": "Hi", "cache": {"ttl": 1}}]), ("messages[0].content[0].cache",)),
        (
            message(tool_calls=[{"id": "a", "index": 0, "function": {"name": "f", "arguments": "{}", "x": 1}}]),
            ("messages[0].tool_calls[0].function.x", "messages[0].tool_calls[0].index"),
        ),
        (body(stream_options={"include_usage": True, "speed": 1}), ("stream_options.speed",)),
        (
            body(tools=[{"type": "function", "function": {"name": "f", "parameters": {"free": 1}, "note": ""}}]),
            ("tools[0].function.note",),
        ),
        (body(tool_choice={"type": "function", "function": {"name": "f", "why": 1}}), ("tool_choice.function.why",)),
        (body(response_format={"type": "text", "style": "x"}, zeta=1), ("response_format.style", "zeta")),
    ],
)
def test_unknown_fields_inside_are_listed_by_their_path(data: bytes, ignored: tuple[str, ...]) -> None:
    assert decode_chat_request(data).ignored == ignored


def test_an_answer_of_openais_can_be_sent_back_as_it_came() -> None:
    echoed = message(role="assistant", refusal=None, annotations=[], audio=None, function_call=None)
    assert decode_chat_request(echoed).ignored == ()


@pytest.mark.parametrize("field", ["audio", "function_call"])
def test_what_an_old_message_cannot_hold_is_refused_by_its_path(field: str) -> None:
    error = refusal(message(role="assistant", **{field: {"id": "a"}}))
    assert isinstance(error, UnsupportedParameter)
    assert error.param == f"messages[0].{field}"


def test_fields_that_are_known_are_never_listed_as_unknown() -> None:
    assert decode_chat_request(body(temperature=1, user="u", store=False, metadata={"a": "b"})).ignored == ()


@pytest.mark.parametrize("field", WITHOUT_EFFECT)
@pytest.mark.parametrize("value", [{"a": "b"}, "text", 1, [], True])
def test_a_field_without_effect_is_accepted_whatever_it_holds(field: str, value: Any) -> None:
    assert decode_chat_request(body(**{field: value})) == decode_chat_request(body())


@pytest.mark.parametrize(
    ("field", "value"),
    [("modalities", ["text"]), ("store", False)],
)
def test_an_unsupported_field_with_a_neutral_value_is_accepted(field: str, value: Any) -> None:
    assert decode_chat_request(body(**{field: value})) == decode_chat_request(body())


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in UNSUPPORTED.items() for value in values]
)
def test_an_unsupported_field_is_refused_by_name(field: str, value: Any) -> None:
    error = refusal(body(**{field: value}))
    assert isinstance(error, UnsupportedParameter)
    assert error.param == field
    assert error.message.startswith(f"{field} is not supported.")


@pytest.mark.parametrize(("old", "new"), [("functions", "tools"), ("function_call", "tool_choice")])
def test_the_refusal_of_an_old_field_names_its_successor(old: str, new: str) -> None:
    assert new in refusal(body(**{old: "f"})).message


@pytest.mark.parametrize("field", ["audio", "store"])
@pytest.mark.parametrize(
    "value", [HUGE, b'"\xff"', b'"\\ud800"', b"1e400"], ids=["5,000 digits", "invalid utf-8", "surrogate", "1e400"]
)
def test_an_unsupported_field_with_an_unreadable_value_is_refused_too(field: str, value: bytes) -> None:
    assert isinstance(refusal(body_with(field, value)), InvalidValue)


def test_of_duplicate_fields_the_last_one_is_used() -> None:
    decoded = decode_chat_request(
        body_with("temperature", b'0.25, "temperature": 0.75, "top_k": 5, "top_k": null')
    ).body
    assert (decoded.temperature, decoded.top_k) == (0.75, None)


def test_of_duplicate_unsupported_fields_the_last_one_decides() -> None:
    assert decode_chat_request(body_with("store", b'true, "store": false')).ignored == ()
    assert refusal(body_with("store", b'false, "store": true')).param == "store"


def test_an_unknown_field_that_is_given_twice_is_listed_once() -> None:
    assert decode_chat_request(body_with("zeta", b'1, "zeta": 2')).ignored == ("zeta",)


def test_whole_numbers_are_taken_where_fractions_are_allowed() -> None:
    assert decode_chat_request(body(temperature=1)).body.temperature == 1.0


def test_the_order_of_keys_and_space_between_them_do_not_matter() -> None:
    data = json.dumps(dict(reversed((MINIMAL | {"n": 2}).items())), indent=4).encode()
    assert decode_chat_request(data) == decode_chat_request(body(n=2))


def outcome(data: bytes) -> InvalidValue | None:
    """The refusal of a body, if it is refused; any other exception fails the test."""
    try:
        to_chat_request(decode_chat_request(data).body)
    except InvalidValue as error:
        return error
    return None


def decodes_or_refuses(data: bytes) -> None:
    error = outcome(data)
    if error is not None:
        assert error.message.endswith(".")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**63, max_value=10**400)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=10)
    | st.sampled_from(["function", "text", "json_schema", "user", "tool", "auto"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_in_words(data: bytes) -> None:
    decodes_or_refuses(data)


@given(st.binary(max_size=30), st.sampled_from(["model", "user", "tools", "store", "audio", "unknown"]))
def test_arbitrary_bytes_as_the_value_of_a_field_are_decoded_or_refused_in_words(value: bytes, field: str) -> None:
    decodes_or_refuses(body_with(field, value))
    decodes_or_refuses(body_with(field, b'"' + value + b'"'))


@given(json_values)
def test_arbitrary_json_is_decoded_or_refused_in_words(value: Any) -> None:
    decodes_or_refuses(json.dumps(value).encode())


@given(st.dictionaries(st.sampled_from([*MINIMAL, *FIELDS, *UNSUPPORTED, *WITHOUT_EFFECT]), json_values, max_size=3))
def test_arbitrary_json_in_the_fields_of_a_request_is_decoded_or_refused_in_words(fields: dict[str, Any]) -> None:
    decodes_or_refuses(body(**fields))


nested = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(["user", "tool", "robot"])},
                optional={
                    "content": json_values
                    | st.lists(st.fixed_dictionaries({"type": st.just("text")}, optional={"text": json_values})),
                    "tool_calls": st.lists(
                        st.fixed_dictionaries({"id": st.just("a"), "type": json_values, "function": json_values})
                    ),
                },
            ),
            max_size=3,
        ),
        "tools": st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.just("function"),
                    "function": st.fixed_dictionaries({"name": st.just("f"), "parameters": json_values}),
                }
            ),
            max_size=2,
        ),
        "response_format": st.fixed_dictionaries(
            {
                "type": st.just("json_schema"),
                "json_schema": st.fixed_dictionaries({"name": st.just("s"), "schema": json_values}),
            }
        ),
        "logit_bias": st.dictionaries(st.from_regex(r"[0-9²-]{1,12}", fullmatch=True), json_values, max_size=3),
        "stop_token_ids": st.lists(st.integers() | json_values, max_size=3),
    },
)


@given(nested)
def test_arbitrary_json_deeper_inside_a_request_is_decoded_or_refused_in_words(fields: dict[str, Any]) -> None:
    decodes_or_refuses(body(**fields))
