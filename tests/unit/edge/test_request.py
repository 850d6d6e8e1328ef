"""From the JSON of a request to the contract: each field's place, and what cannot be expressed."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2, model_service_pb2, tool_pb2
from edge.openai.decode import decode_chat_request, decode_request
from edge.openai.request import to_chat_request, to_count_request
from edge.openai.request_schema import TokenizeRequest
from services.errors import InvalidValue, UnsupportedParameter
from services.limits import LIMITS

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from chasqui.v1.chat_service_pb2 import ChatRequest

MINIMAL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
FUNCTION = '{"type": "function", "function": {"name": "f", "parameters": %s}}'


def converted(**fields: Any) -> ChatRequest:
    return to_chat_request(decode_chat_request(json.dumps(MINIMAL | fields).encode()).body)


def converted_text(field: str, value: str) -> ChatRequest:
    """The request with a field's value spelled exactly so."""
    data = json.dumps(MINIMAL)[:-1] + f', "{field}": {value}}}'
    return to_chat_request(decode_chat_request(data.encode()).body)


def one_message(**fields: Any) -> chat_pb2.Message:
    return converted(messages=[{"role": "user"} | fields]).messages[0]


def refusal(**fields: Any) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        converted(**fields)
    return caught.value


def is_set(request: ChatRequest, place: str) -> bool:
    holder, _, name = place.rpartition(".")
    message: Message = attrgetter(holder)(request) if holder else request
    return message.HasField(name)


PLACES = [
    ("temperature", 0.7, "sampling.temperature"),
    ("temperature", 0, "sampling.temperature"),
    ("top_p", 0.9, "sampling.top_p"),
    ("top_k", 40, "sampling.top_k"),
    ("top_k", -1, "sampling.top_k"),
    ("min_p", 0.05, "sampling.min_p"),
    ("repetition_penalty", 1.1, "sampling.repetition_penalty"),
    ("presence_penalty", -1.5, "sampling.presence_penalty"),
    ("frequency_penalty", 1.5, "sampling.frequency_penalty"),
    ("seed", 0, "sampling.seed"),
    ("seed", 2**63 - 1, "sampling.seed"),
    ("max_tokens", 17, "max_tokens"),
    ("max_tokens", 0, "max_tokens"),
    ("max_completion_tokens", 18, "max_tokens"),
    ("min_tokens", 3, "min_tokens"),
    ("ignore_eos", True, "ignore_eos"),
    ("ignore_eos", False, "ignore_eos"),
    ("n", 4, "n"),
    ("logprobs", True, "logprobs"),
    ("top_logprobs", 20, "top_logprobs"),
    ("parallel_tool_calls", False, "parallel_tool_calls"),
    ("continue_final_message", True, "continue_final_message"),
]


@pytest.mark.parametrize(("field", "value", "place"), PLACES, ids=[f"{field}={value}" for field, value, _ in PLACES])
def test_a_field_that_is_set_arrives_in_its_place_even_if_it_is_zero(field: str, value: Any, place: str) -> None:
    request = converted(**{field: value})
    assert is_set(request, place)
    assert attrgetter(place)(request) == value


@pytest.mark.parametrize("place", sorted({place for _, _, place in PLACES}))
def test_a_field_that_is_absent_stays_unset(place: str) -> None:
    assert not is_set(converted(), place)


@pytest.mark.parametrize("field", [*dict.fromkeys(field for field, _, _ in PLACES), "stop", "tools", "user"])
def test_null_converts_like_an_absent_field(field: str) -> None:
    assert converted(**{field: None}) == converted()


def test_a_prompt_without_an_open_turn_is_only_for_a_message_that_is_continued() -> None:
    assert converted(add_generation_prompt=False, continue_final_message=True).continue_final_message
    assert converted(add_generation_prompt=True) == converted()
    for wrong, kind in (
        ({"add_generation_prompt": True, "continue_final_message": True}, InvalidValue),
        ({"add_generation_prompt": False}, UnsupportedParameter),
        ({"add_generation_prompt": False, "continue_final_message": False}, UnsupportedParameter),
    ):
        with pytest.raises(kind) as caught:
            converted(**wrong)
        assert caught.value.param == "add_generation_prompt"


def test_model_and_user_arrive() -> None:
    request = converted(model="org/name", user="u-1")
    assert (request.model, request.user) == ("org/name", "u-1")


def test_max_completion_tokens_wins_over_max_tokens() -> None:
    assert converted(max_tokens=5, max_completion_tokens=7).max_tokens == 7
    assert converted(max_tokens=5, max_completion_tokens=0).max_tokens == 0
    assert converted(max_tokens=5, max_completion_tokens=None).max_tokens == 5


def test_a_wrong_max_completion_tokens_is_refused_by_its_own_name() -> None:
    assert refusal(max_completion_tokens=-1).param == "max_completion_tokens"


@pytest.mark.parametrize(
    ("stop", "texts"),
    [
        ("END", ["END"]),
        (["a", "b"], ["a", "b"]),
        ([], []),
        ("", []),
        ([""], []),
        (["", "a"], ["a"]),
        (["\n", "ñ"], ["\n", "ñ"]),
    ],
)
def test_stop_is_a_text_or_a_list_of_texts(stop: str | list[str], texts: list[str]) -> None:
    assert list(converted(stop=stop).stop) == texts


def test_token_ids_arrive_as_numbers() -> None:
    request = converted(stop_token_ids=[0, 128_009, 2**32 - 1], logit_bias={"0": -100, "50256": 0.5})
    assert list(request.stop_token_ids) == [0, 128_009, 2**32 - 1]
    assert dict(request.sampling.logit_bias) == {0: -100.0, 50256: 0.5}


@pytest.mark.parametrize("token", ["", "-1", "1.5", "a", " 1", "²", "١", str(2**32), "9" * 30, "9" * 5_000])
def test_a_logit_bias_for_what_is_no_token_id_is_refused(token: str) -> None:
    error = refusal(logit_bias={token: 1})
    assert error.param == "logit_bias"
    assert "logit_bias" in error.message


@pytest.mark.parametrize("token", [-1, 2**32, 2**64, 10**400])
def test_a_stop_token_that_is_no_token_id_is_refused(token: int) -> None:
    assert refusal(stop_token_ids=[1, token]).param == "stop_token_ids"


WHOLE = [limit for limit in LIMITS.values() if limit.integer]


@pytest.mark.parametrize("limit", WHOLE, ids=[limit.parameter for limit in WHOLE])
def test_a_whole_number_is_taken_up_to_its_bounds_and_refused_beyond(limit: Any) -> None:
    for bound in (limit.minimum, limit.maximum):
        converted(**{limit.parameter: int(bound)})
    below = -(2**63) - 1 if limit.parameter == "seed" else int(limit.minimum) - 1
    above = () if limit.parameter == "max_tokens" else (int(limit.maximum) + 1, 2**64, 10**400)
    for beyond in (below, -(2**64), *above):
        error = refusal(**{limit.parameter: beyond})
        assert error.param == limit.parameter
        assert error.message.startswith(limit.parameter)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("system", chat_pb2.ROLE_SYSTEM),
        ("developer", chat_pb2.ROLE_DEVELOPER),
        ("user", chat_pb2.ROLE_USER),
        ("assistant", chat_pb2.ROLE_ASSISTANT),
        ("tool", chat_pb2.ROLE_TOOL),
    ],
)
def test_every_role_has_its_own_in_the_contract(name: str, role: int) -> None:
    assert one_message(role=name, content="Hi").role == role


@pytest.mark.parametrize("role", ["function", "User", "", "ipython"])
def test_a_role_that_nobody_knows_is_refused_by_its_path(role: str) -> None:
    error = refusal(messages=[*MINIMAL["messages"], {"role": role, "content": "Hi"}])
    assert error.param == "messages[1].role"
    assert error.message.startswith("messages[1].role")


def test_messages_keep_their_order_whatever_their_roles_are() -> None:
    roles = ["user", "user", "assistant", "system", "assistant"]
    messages = [{"role": role, "content": str(index)} for index, role in enumerate(roles)]
    assert [message.content[0].text for message in converted(messages=messages).messages] == ["0", "1", "2", "3", "4"]


def test_text_is_one_part_and_a_list_of_parts_stays_a_list() -> None:
    assert [part.text for part in one_message(content="Hi").content] == ["Hi"]
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b\u0000ñ🏃"}]
    assert [part.text for part in one_message(content=parts).content] == ["a", "", "b\u0000ñ🏃"]


def test_empty_text_is_a_part_and_absent_content_is_none() -> None:
    assert [part.WhichOneof("part") for part in one_message(content="").content] == ["text"]
    assert list(one_message(content=None).content) == []
    assert list(one_message(content=[]).content) == []


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file", ""])
def test_a_part_that_is_not_text_is_refused_by_its_path(kind: str) -> None:
    parts = [{"type": "text", "text": "Hi"}, {"type": kind, kind: {"url": "https://example.org"}}]
    error = refusal(messages=[{"role": "user", "content": parts}])
    assert isinstance(error, UnsupportedParameter)
    assert error.param == "messages[0].content[1]"
    assert error.message.startswith("messages[0].content[1]")


@pytest.mark.parametrize("part", [{"type": "text"}, {"type": "text", "text": None}])
def test_a_text_part_without_its_text_is_refused_by_its_path(part: dict[str, Any]) -> None:
    assert refusal(messages=[{"role": "user", "content": [part]}]).param == "messages[0].content[0].text"


def test_tool_calls_of_the_history_arrive_with_their_arguments_verbatim() -> None:
    arguments = '{"b": 1e1,  "a": 10, "a": 1.0}'
    message = one_message(
        role="assistant",
        tool_calls=[{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}],
    )
    assert list(message.tool_calls) == [
        tool_pb2.ToolCall(id="call_1", function=tool_pb2.FunctionCall(name="f", arguments=arguments))
    ]


def test_a_tool_result_names_its_call() -> None:
    assert one_message(role="tool", tool_call_id="call_1", content="20").tool_call_id == "call_1"


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"object","properties":{"z":{"type":"integer","maximum":10},"a":{"maximum":1e1}},"required":["z"]}',
        '{"maximum": 10.0,\n  "minimum": -0, "multipleOf": 1.50}',
        '{"b": 1, "a": 2, "b": 3}',
        '{"title": "\\u00f1 ñ \\/ \\ud83c\\udfc3"}',
        "{}",
        "true",
    ],
)
def test_schemas_arrive_verbatim_with_the_order_of_keys_and_the_spelling_of_numbers(text: str) -> None:
    tool = converted_text("tools", "[" + FUNCTION % text + "]").tools[0]
    assert tool.function.parameters_json == text
    form = converted_text(
        "response_format", f'{{"type": "json_schema", "json_schema": {{"name": "s", "schema": {text}}}}}'
    )
    assert form.response_format.json_schema.schema_json == text


def test_a_schema_with_bytes_that_are_no_utf_8_is_refused() -> None:
    data = b'{"model": "m", "messages": [], "tools": [%s]}' % (FUNCTION.encode() % b'{"title": "\xff"}')
    with pytest.raises(InvalidValue):
        to_chat_request(decode_chat_request(data).body)


def test_a_tool_arrives_with_all_its_fields() -> None:
    function = {"name": "f", "description": "does it", "strict": False}
    tool = converted(tools=[{"type": "function", "function": function}]).tools[0].function
    assert (tool.name, tool.description, tool.parameters_json) == ("f", "does it", "")
    assert tool.HasField("strict")
    assert not tool.strict


def test_nulls_in_a_tool_are_the_same_as_absent_fields() -> None:
    function = {"name": "f", "description": None, "parameters": None, "strict": None}
    expected = tool_pb2.Tool(function=tool_pb2.FunctionTool(name="f"))
    assert list(converted(tools=[{"type": "function", "function": function}]).tools) == [expected]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_NONE)),
        ("auto", tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_AUTO)),
        ("required", tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_REQUIRED)),
        ({"type": "function", "function": {"name": "f"}}, tool_pb2.ToolChoice(function_name="f")),
    ],
)
def test_tool_choice_is_a_mode_or_a_function(choice: Any, expected: tool_pb2.ToolChoice) -> None:
    assert converted(tool_choice=choice).tool_choice == expected


FUNCTIONS = [{"type": "function", "function": {"name": name}} for name in "abc"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("auto", tool_pb2.TOOL_CHOICE_MODE_AUTO), ("required", tool_pb2.TOOL_CHOICE_MODE_REQUIRED)],
)
def test_allowed_tools_leaves_those_tools_and_its_mode(mode: str, expected: int) -> None:
    allowed = {"mode": mode, "tools": [FUNCTIONS[2], FUNCTIONS[0]]}
    request = converted(tools=FUNCTIONS, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool.function.name for tool in request.tools] == ["a", "c"]
    assert request.tool_choice.mode == expected


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ({"type": "allowed_tools"}, "tool_choice.allowed_tools"),
        ({"type": "function"}, "tool_choice.function"),
        ({"type": "custom", "custom": {"name": "a"}}, "tool_choice.type"),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [FUNCTIONS[0], {"type": "custom"}]}},
            "tool_choice.allowed_tools.tools[1].type",
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "z"}}]},
            },
            "tool_choice.allowed_tools.tools[0]",
        ),
    ],
)
def test_a_choice_of_tools_that_do_not_exist_is_refused_by_its_path(choice: Any, param: str) -> None:
    assert refusal(tools=FUNCTIONS, tool_choice=choice).param == param


def test_a_custom_tool_is_refused_as_unsupported_by_its_path() -> None:
    error = refusal(tools=[FUNCTIONS[0], {"type": "custom", "custom": {"name": "f"}}])
    assert isinstance(error, UnsupportedParameter)
    assert error.param == "tools[1].type"
    assert refusal(tools=[{"type": "function"}]).param == "tools[0].function"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"b": 1}, '{"b": 1}'),
        ("", ""),
        (None, ""),
        ("not JSON", "not JSON"),
        ("null", "null"),
    ],
)
def test_arguments_are_a_text_or_the_object_itself(arguments: Any, text: str) -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": arguments}}
    assert one_message(role="assistant", tool_calls=[call]).tool_calls[0].function.arguments == text
    if arguments is None:
        del call["function"]["arguments"]  # type: ignore[attr-defined]
        assert one_message(role="assistant", tool_calls=[call]).tool_calls[0].function.arguments == text


@pytest.mark.parametrize("arguments", [1, [1], True])
def test_arguments_that_are_neither_are_refused_by_their_path(arguments: Any) -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": arguments}}
    error = refusal(messages=[{"role": "assistant", "tool_calls": [call]}])
    assert error.param == "messages[0].tool_calls[0].function.arguments"


def test_a_refusal_in_the_history_is_what_the_assistant_said() -> None:
    parts = [{"type": "refusal", "refusal": "No."}, {"type": "text", "text": " Sorry."}]
    assert [part.text for part in one_message(role="assistant", content=parts).content] == ["No.", " Sorry."]
    assert refusal(messages=[{"role": "assistant", "content": [{"type": "refusal"}]}]).param == (
        "messages[0].content[0].refusal"
    )


SCHEMA = '{"type": "object",  "properties": {"n": {"const": 1.0}}}'


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("guided_json", SCHEMA),
        ("guided_json", json.dumps(SCHEMA)),
        ("json_schema", SCHEMA),
        ("json_schema", json.dumps(SCHEMA)),
        ("structured_outputs", f'{{"json": {SCHEMA}}}'),
        ("response_format", f'{{"type": "json_object", "schema": {SCHEMA}}}'),
        ("response_format", f'{{"type": "json_schema", "schema": {SCHEMA}}}'),
        ("response_format", f'{{"type": "json_schema", "json_schema": {{"name": "a", "schema": {SCHEMA}}}}}'),
    ],
)
def test_a_schema_arrives_verbatim_by_whatever_field(field: str, value: str) -> None:
    assert converted_text(field, value).response_format.json_schema.schema_json == SCHEMA


@pytest.mark.parametrize(
    ("field", "value", "lark"),
    [
        ("guided_choice", ["a", 'b"\n'], 'start: "a" | "b\\"\\n"'),
        ("structured_outputs", {"choice": ["é"]}, 'start: "é"'),
        ("guided_regex", r"a/b\/c\d", r"start: /a\/b\/c\d/"),
        ("regex", "a\nb", r"start: /a\nb/"),
        ("structured_outputs", {"regex": r"\\/"}, r"start: /\\\//"),
        ("guided_grammar", 'start: "x"', 'start: "x"'),
        ("structured_outputs", {"grammar": 'start: "x"'}, 'start: "x"'),
    ],
)
def test_choices_patterns_and_grammars_arrive_as_lark(field: str, value: Any, lark: str) -> None:
    assert converted(**{field: value}).response_format.lark.grammar == lark


@pytest.mark.parametrize("field", ["guided_grammar", "grammar", "ebnf"])
def test_a_grammar_with_rules_of_ebnf_arrives_as_such(field: str) -> None:
    assert converted(**{field: 'root ::= "a"'}).response_format.gbnf.grammar == 'root ::= "a"'
    assert converted(**{field: 'start: "a"'}).response_format.lark.grammar == 'start: "a"'


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"guided_json": {}, "response_format": {"type": "json_object"}}, "guided_json"),
        ({"guided_regex": "a", "guided_choice": ["a"]}, "guided_regex"),
        ({"structured_outputs": {"regex": "a", "json_object": True}}, "structured_outputs.regex"),
        ({"guided_choice": []}, "guided_choice"),
        ({"guided_choice": ["a", ""]}, "guided_choice"),
        ({"guided_json": 5}, "guided_json"),
        ({"guided_grammar": "root ::= x", "grammar": "root ::= x"}, "grammar"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_forms_that_contradict_each_other_or_hold_nothing_are_refused(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields).param == param


def test_without_a_tool_choice_none_is_set() -> None:
    assert not converted().HasField("tool_choice")


@pytest.mark.parametrize("choice", ["any", "", "f"])
def test_a_tool_choice_that_nobody_knows_is_refused(choice: str) -> None:
    error = refusal(tool_choice=choice)
    assert error.param == "tool_choice"
    assert error.message.startswith("tool_choice")


def test_response_formats_arrive() -> None:
    assert converted(response_format={"type": "text"}).response_format.WhichOneof("format") in (None, "text")
    assert converted(response_format={"type": "json_object"}).response_format.WhichOneof("format") == "json_object"
    schema = {"name": "s", "description": "d", "strict": True, "schema": {"type": "object"}}
    form = converted(response_format={"type": "json_schema", "json_schema": schema}).response_format
    assert form.json_schema == chat_pb2.JsonSchemaFormat(
        name="s", description="d", schema_json='{"type": "object"}', strict=True
    )


def test_a_json_schema_format_without_its_schema_is_refused() -> None:
    assert refusal(response_format={"type": "json_schema"}).param == "response_format.json_schema"


text = st.text(st.characters(codec="utf-8"), max_size=20)
json_values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


def numbers(name: str) -> st.SearchStrategy[float]:
    """Any number that the field can have."""
    limit = LIMITS[name]
    if limit.integer:
        return st.integers(int(limit.minimum), int(limit.maximum))
    return st.floats(limit.minimum, limit.maximum, exclude_min=limit.exclusive_minimum)


tokens = st.integers(0, 2**32 - 1)
calls = st.fixed_dictionaries(
    {"id": text, "type": st.just("function"), "function": st.fixed_dictionaries({"name": text, "arguments": text})}
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"])},
    optional={
        "content": st.none() | text | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": text})),
        "tool_calls": st.none() | st.lists(calls, max_size=2),
        "tool_call_id": st.none() | text,
        "name": text,
    },
)
tools = st.fixed_dictionaries(
    {
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {"name": text}, optional={"description": text, "parameters": json_values, "strict": st.booleans()}
        ),
    }
)
bodies = st.fixed_dictionaries(
    {"model": text, "messages": st.lists(messages, max_size=3)},
    optional={
        **{name: st.none() | numbers(name) for name in LIMITS},
        "max_completion_tokens": numbers("max_tokens"),
        "logit_bias": st.dictionaries(tokens.map(str), st.floats(-100, 100), max_size=3),
        "stop": st.none() | text | st.lists(text, max_size=3),
        "stop_token_ids": st.lists(tokens, max_size=3),
        "ignore_eos": st.booleans(),
        "logprobs": st.booleans(),
        "stream": st.booleans(),
        "tools": st.lists(tools, max_size=2),
        "tool_choice": st.sampled_from(["none", "auto", "required"]),
        "parallel_tool_calls": st.booleans(),
        "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}]),
        "user": text,
        "metadata": json_values,
    },
)


@given(bodies, st.booleans())
@example({"model": "m", "messages": [], "temperature": 5e-324, "top_p": 1, "seed": 2**53 + 1}, True)
def test_a_valid_body_converts_and_every_number_in_it_arrives_unchanged(body: dict[str, Any], ascii_only: bool) -> None:
    data = json.dumps(body, ensure_ascii=ascii_only).encode()
    request = to_chat_request(decode_chat_request(data).body)
    expected = {name: body.get(name) for name in LIMITS}
    if body.get("max_completion_tokens") is not None:
        expected["max_tokens"] = body["max_completion_tokens"]
    sampling = {field.name for field in request.sampling.DESCRIPTOR.fields}
    for name, value in expected.items():
        place = f"sampling.{name}" if name in sampling else name
        assert (attrgetter(place)(request) if is_set(request, place) else None) == value
    biases = {int(token): bias for token, bias in body.get("logit_bias", {}).items()}
    assert dict(request.sampling.logit_bias) == biases
    assert list(request.stop_token_ids) == body.get("stop_token_ids", [])
    assert [message.tool_call_id for message in request.messages] == [
        message.get("tool_call_id") or "" for message in body["messages"]
    ]


@given(json_values, st.sampled_from([None, 0, 3]), st.booleans())
def test_any_schema_arrives_verbatim_however_it_is_laid_out(value: Any, indent: int | None, ascii_only: bool) -> None:
    spelled = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert (
        converted_text("tools", "[" + FUNCTION.replace("%s", spelled) + "]").tools[0].function.parameters_json
        == spelled
    )


def count_request(**fields: Any) -> model_service_pb2.CountTokensRequest:
    return to_count_request(decode_request(TokenizeRequest, json.dumps({"model": "m"} | fields).encode()).body)


def test_a_text_or_a_chat_is_tokenized() -> None:
    text = count_request(prompt="Hi", return_token_strs=True)
    assert (text.text, text.add_special_tokens, text.include_texts) == ("Hi", True, True)
    chat = count_request(messages=MINIMAL["messages"], tools=FUNCTIONS)
    assert chat.WhichOneof("input") == "chat"
    assert [tool.function.name for tool in chat.chat.tools] == ["a", "b", "c"]
    assert chat.chat.messages[0].content[0].text == "Hi"
    assert count_request(messages=[]).WhichOneof("input") == "chat"


@pytest.mark.parametrize("fields", [{}, {"prompt": "Hi", "messages": []}])
def test_neither_or_both_of_text_and_chat_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as caught:
        count_request(**fields)
    assert caught.value.param == "prompt"
