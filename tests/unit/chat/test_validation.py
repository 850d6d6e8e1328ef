"""Which requests are refused, under which name; one row per rule."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2
from services.chat.request.validation import validate, validate_input
from services.engine.api import Capabilities
from services.errors import ChasquiError, InvalidValue, UnsupportedParameter
from services.limits import LIMITS, MAX_LOGIT_BIASES, MAX_REQUEST_ITEMS, MAX_STOPS

VOCABULARY = 100
SAMPLING = frozenset(field.name for field in chat_pb2.SamplingOptions.DESCRIPTOR.fields)
EVERYTHING = Capabilities(
    64, VOCABULARY, frozenset(LIMITS) | SAMPLING | {"ignore_eos", "logprobs", "stop_token_ids"}, parallel=4, guided=True
)
NOTHING = Capabilities(64, VOCABULARY, frozenset(), parallel=1, guided=False)


def text(content: str = "hello", role: int = chat_pb2.ROLE_USER, **fields: Any) -> chat_pb2.Message:
    """A message with one part."""
    return chat_pb2.Message(role=chat_pb2.Role.ValueType(role), content=[chat_pb2.ContentPart(text=content)], **fields)


def request(**fields: Any) -> chat_service_pb2.ChatRequest:
    """A request with one message; fields of SamplingOptions may be given beside the request's own."""
    sampling = {name: fields.pop(name) for name in list(fields) if name in SAMPLING}
    fields.setdefault("messages", [text()])
    return chat_service_pb2.ChatRequest(sampling=chat_pb2.SamplingOptions(**sampling), **fields)


def _refusal(asked: chat_service_pb2.ChatRequest, capabilities: Capabilities) -> ChasquiError:
    with pytest.raises(ChasquiError) as caught:
        validate(asked, capabilities)
    assert caught.value.param is not None
    return caught.value


def call(call_id: str, arguments: str = "{}", name: str = "f") -> tool_pb2.ToolCall:
    return tool_pb2.ToolCall(id=call_id, function=tool_pb2.FunctionCall(name=name, arguments=arguments))


def calling(*calls: tool_pb2.ToolCall) -> chat_pb2.Message:
    return chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, tool_calls=calls)


def result(call_id: str) -> chat_pb2.Message:
    return text(role=chat_pb2.ROLE_TOOL, tool_call_id=call_id)


def tool(name: str, **fields: Any) -> tool_pb2.Tool:
    return tool_pb2.Tool(function=tool_pb2.FunctionTool(name=name, **fields))


EMPTY = chat_pb2.ContentPart(text="")
JSON_OBJECT = chat_pb2.ResponseFormat(json_object=chat_pb2.JsonObjectFormat())
REQUIRED = tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_REQUIRED)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": JSON_OBJECT}, "response_format"),
        ({"tools": [tool("e"), tool("f", strict=True)]}, "tools[1].function.strict"),
        ({"tools": [tool("f")], "tool_choice": REQUIRED}, "tool_choice"),
        ({"tools": [tool("f")], "tool_choice": tool_pb2.ToolChoice(function_name="f")}, "tool_choice"),
    ],
)
def test_what_needs_a_grammar_is_refused_where_the_engine_has_none(fields: dict[str, Any], param: str) -> None:
    error = _refusal(request(**fields), NOTHING)
    assert (type(error), error.param) == (UnsupportedParameter, param)
    validate(request(**fields), EVERYTHING)


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": JSON_OBJECT},
        {"tools": [tool("f")], "tool_choice": REQUIRED},
        {"tools": [tool("f", strict=True)]},
    ],
    ids=["response_format", "tool_choice", "strict tools"],
)
def test_ignore_eos_is_refused_beside_a_grammar_which_ends_with_the_end_token(fields: dict[str, Any]) -> None:
    error = _refusal(request(ignore_eos=True, **fields), EVERYTHING)
    assert (type(error), error.param) == (UnsupportedParameter, "ignore_eos")
    validate(request(ignore_eos=True, tools=[tool("f")]), EVERYTHING)


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": JSON_OBJECT},
        {"tools": [tool("f")], "tool_choice": REQUIRED},
        {"tools": [tool("f", strict=True)]},
    ],
    ids=["response_format", "tool_choice", "strict tools"],
)
def test_no_message_is_continued_beside_a_grammar_which_begins_with_the_answer(fields: dict[str, Any]) -> None:
    messages = [text(), text("Well, ", chat_pb2.ROLE_ASSISTANT)]
    error = _refusal(request(messages=messages, continue_final_message=True, **fields), EVERYTHING)
    assert (type(error), error.param) == (UnsupportedParameter, "continue_final_message")
    validate(request(messages=messages, continue_final_message=True, tools=[tool("f")]), EVERYTHING)


@pytest.mark.parametrize(
    "last",
    [
        text("Hi"),
        text("", chat_pb2.ROLE_ASSISTANT),
        chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT),
        text("Well, ", chat_pb2.ROLE_ASSISTANT, tool_calls=[call("c")]),
    ],
    ids=["of the user", "with an empty text", "empty", "with a call"],
)
def test_only_text_of_the_assistant_is_continued(last: chat_pb2.Message) -> None:
    error = _refusal(request(messages=[text(), last], continue_final_message=True), EVERYTHING)
    assert (type(error), error.param) == (InvalidValue, "continue_final_message")


def test_parameters_that_an_engine_supports_but_not_together_are_refused_together() -> None:
    capabilities = replace(EVERYTHING, exclusions=frozenset({("logprobs", "logit_bias"), ("logprobs", "min_tokens")}))
    for beside in ({"logit_bias": {1: 1.0}}, {"min_tokens": 1}):
        error = _refusal(request(logprobs=True, **beside), capabilities)
        assert str(error).startswith(f"logprobs is not supported together with {next(iter(beside))} by the engine")
        validate(request(**beside), capabilities)
    validate(request(logprobs=True), capabilities)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"response_format": JSON_OBJECT}, "response_format"),
        ({"tools": [tool("f")], "tool_choice": REQUIRED}, "tool_choice"),
        ({"tools": [tool("f", strict=True)]}, "strict tools"),
    ],
)
def test_what_excludes_a_grammar_is_refused_beside_everything_that_needs_one(
    fields: dict[str, Any], named: str
) -> None:
    capabilities = replace(EVERYTHING, exclusions=frozenset({("min_tokens", "response_format")}))
    error = _refusal(request(min_tokens=1, **fields), capabilities)
    assert error.message.startswith(f"min_tokens is not supported together with {named} by the engine")
    validate(request(min_tokens=1, tools=[tool("f")]), capabilities)


def test_the_message_of_a_refusal_ends_with_what_would_support_the_parameter() -> None:
    capabilities = replace(NOTHING, remedies={"seed": "CHASQUI_SAMPLER=trtllm supports it."})
    assert str(_refusal(request(seed=1), capabilities)).endswith(
        "this server runs. CHASQUI_SAMPLER=trtllm supports it."
    )


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"messages": []}, InvalidValue, "messages"),
        ({"messages": [text(role=chat_pb2.ROLE_UNSPECIFIED)]}, InvalidValue, "messages[0].role"),
        ({"messages": [text(role=77)]}, InvalidValue, "messages[0].role"),
        ({"messages": [text(), chat_pb2.Message(role=chat_pb2.ROLE_USER)]}, InvalidValue, "messages[1].content"),
        (
            {"messages": [chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart()])]},
            InvalidValue,
            "messages[0].content[0]",
        ),
        ({"messages": [text(role=chat_pb2.ROLE_TOOL)]}, InvalidValue, "messages[0].tool_call_id"),
        ({"messages": [text(role=chat_pb2.ROLE_TOOL, tool_call_id="c")]}, InvalidValue, "messages[0].tool_call_id"),
        ({"messages": [result("c"), calling(call("c"))]}, InvalidValue, "messages[0].tool_call_id"),
        ({"messages": [text(tool_call_id="c")]}, InvalidValue, "messages[0].tool_call_id"),
        ({"messages": [text(tool_calls=[call("c")])]}, InvalidValue, "messages[0].tool_calls"),
        ({"messages": [calling(call(""))]}, InvalidValue, "messages[0].tool_calls[0].id"),
        ({"messages": [calling(call("c"), call("c"))]}, InvalidValue, "messages[0].tool_calls[1].id"),
        ({"messages": [calling(call("c", name=""))]}, InvalidValue, "messages[0].tool_calls[0].function.name"),
        ({"messages": [calling(call("c")), result("c"), result("c")]}, InvalidValue, "messages[2].tool_call_id"),
        ({"stop": [""]}, InvalidValue, "stop[0]"),
        ({"stop": ["a", ""]}, InvalidValue, "stop[1]"),
        ({"stop": ["x"] * (MAX_STOPS + 1)}, InvalidValue, "stop"),
        ({"stop_token_ids": [1, VOCABULARY]}, InvalidValue, "stop_token_ids[1]"),
        ({"stop_token_ids": range(MAX_STOPS + 1)}, InvalidValue, "stop_token_ids"),
        ({"logit_bias": {VOCABULARY: 1.0}}, InvalidValue, f"logit_bias.{VOCABULARY}"),
        ({"logit_bias": {5: 100.5}}, InvalidValue, "logit_bias.5"),
        ({"logit_bias": {5: -101.0}}, InvalidValue, "logit_bias.5"),
        ({"logit_bias": {5: math.nan}}, InvalidValue, "logit_bias.5"),
        ({"logit_bias": dict.fromkeys(range(MAX_LOGIT_BIASES + 1), 0.0)}, InvalidValue, "logit_bias"),
        ({"n": 0}, InvalidValue, "n"),
        ({"n": 5}, InvalidValue, "n"),
        ({"max_tokens": -1}, InvalidValue, "max_tokens"),
        ({"temperature": math.nan}, InvalidValue, "temperature"),
        ({"temperature": math.inf}, InvalidValue, "temperature"),
        ({"tools": [tool_pb2.Tool()]}, InvalidValue, "tools[0]"),
        ({"tools": [tool("f"), tool("f")]}, InvalidValue, "tools[1].function.name"),
        ({"tools": [tool("")]}, InvalidValue, "tools[0].function.name"),
        ({"tools": [tool("x" * 65)]}, InvalidValue, "tools[0].function.name"),
        ({"tools": [tool("f", parameters_json="3")]}, InvalidValue, "tools[0].function.parameters"),
        ({"tool_choice": tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_REQUIRED)}, InvalidValue, "tool_choice"),
        ({"tool_choice": tool_pb2.ToolChoice(function_name="f")}, InvalidValue, "tool_choice"),
        ({"tool_choice": tool_pb2.ToolChoice(function_name="")}, InvalidValue, "tool_choice"),
        (
            {"response_format": chat_pb2.ResponseFormat(json_schema=chat_pb2.JsonSchemaFormat(name="two words"))},
            InvalidValue,
            "response_format.json_schema.name",
        ),
    ],
)
def test_a_wrong_field_is_refused_under_its_path_even_if_the_engine_can_do_everything(
    fields: dict[str, Any], kind: type[ChasquiError], param: str
) -> None:
    error = _refusal(request(**fields), EVERYTHING)
    assert (type(error), error.param) == (kind, param)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"messages": [text("")]},
        {"messages": [text(role=role) for role in (1, 2, 3, 4)]},
        {"messages": [text(role=chat_pb2.ROLE_ASSISTANT)]},
        {"messages": [text(), chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT), text()]},
        {"messages": [calling(call("c")), chat_pb2.Message(role=chat_pb2.ROLE_TOOL, tool_call_id="c")]},
        {"messages": [calling(call("c")), result("c"), text(), calling(call("c")), result("c")]},
        {"messages": [calling(call("c")), text(), calling(call("c")), result("c")]},
        {"messages": [text(), text(), text(role=chat_pb2.ROLE_SYSTEM), text(role=chat_pb2.ROLE_ASSISTANT)]},
        {"max_tokens": 0},
        {"max_tokens": 1_000_000},
        {"stop": ["x"] * MAX_STOPS},
        {"stop_token_ids": [0, VOCABULARY - 1]},
        {"logit_bias": {0: -100.0, VOCABULARY - 1: 100.0}},
        {"n": 4},
        {"seed": 2**63 - 1},
        {"ignore_eos": True},
        {"tool_choice": tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_NONE)},
        {"tool_choice": tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_AUTO)},
        {"response_format": chat_pb2.ResponseFormat(text=chat_pb2.TextFormat())},
        {"response_format": JSON_OBJECT, "tools": [tool("f")]},
        {"user": "somebody"},
    ],
)
def test_a_request_in_range_is_accepted(fields: dict[str, Any]) -> None:
    validate(request(**fields), EVERYTHING)


@pytest.mark.parametrize("name", LIMITS)
def test_a_number_is_accepted_at_its_bounds_and_refused_beyond_them(name: str) -> None:
    limit = LIMITS[name]
    smallest = 1e-9 if limit.exclusive_minimum else limit.minimum
    accepted = [smallest, limit.maximum]
    step = 1 if limit.integer else 1e-9
    refused = [limit.maximum + step]
    if name != "seed":  # unsigned in the contract
        refused.append(limit.minimum if limit.exclusive_minimum else limit.minimum - step)
    for value in accepted:
        validate(request(**{"logprobs": True, name: value}), EVERYTHING)
    for value in refused:
        error = _refusal(request(**{"logprobs": True, name: value}), EVERYTHING)
        assert (type(error), error.param) == (InvalidValue, name)


def test_top_logprobs_needs_logprobs() -> None:
    error = _refusal(request(top_logprobs=1), EVERYTHING)
    assert (type(error), error.param) == (InvalidValue, "top_logprobs")


def test_an_answer_that_must_be_longer_than_it_may_be_is_refused() -> None:
    validate(request(min_tokens=5, max_tokens=5), EVERYTHING)
    error = _refusal(request(min_tokens=6, max_tokens=5), EVERYTHING)
    assert (type(error), error.param) == (InvalidValue, "min_tokens")


@pytest.mark.parametrize("name", [name for name, limit in LIMITS.items() if limit.default is not None])
def test_a_neutral_value_is_accepted_by_an_engine_that_honours_nothing(name: str) -> None:
    validate(request(**{name: LIMITS[name].default}), NOTHING)


@pytest.mark.parametrize(
    "fields", [{"top_k": -1}, {"ignore_eos": False}, {"logprobs": False}, {"max_tokens": 7}, {"stop": ["x"]}]
)
def test_what_changes_nothing_or_is_the_servers_own_work_is_accepted_for_every_engine(fields: dict[str, Any]) -> None:
    validate(request(**fields), NOTHING)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.0},
        {"top_p": 0.9},
        {"top_k": 1},
        {"min_p": 0.1},
        {"repetition_penalty": 1.1},
        {"presence_penalty": 0.1},
        {"frequency_penalty": -0.1},
        {"seed": 0},
        {"min_tokens": 1},
        {"n": 2},
        {"top_logprobs": 1},
        {"logit_bias": {5: 1.0}},
        {"stop_token_ids": [5]},
        {"ignore_eos": True},
        {"logprobs": True},
    ],
)
def test_what_the_engine_does_not_honour_is_refused_by_name(fields: dict[str, Any]) -> None:
    error = _refusal(request(**fields), NOTHING)
    assert (type(error), error.param) == (UnsupportedParameter, next(iter(fields)))


def test_a_value_out_of_range_is_invalid_even_where_the_field_is_not_honoured() -> None:
    error = _refusal(request(temperature=3.0), NOTHING)
    assert (type(error), error.param) == (InvalidValue, "temperature")


def test_more_choices_than_the_engine_generates_at_once_are_refused() -> None:
    capabilities = Capabilities(64, VOCABULARY, EVERYTHING.parameters, parallel=2, guided=True)
    validate(request(n=2), capabilities)
    error = _refusal(request(n=3), capabilities)
    assert (type(error), error.param) == (UnsupportedParameter, "n")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [text()] * (MAX_REQUEST_ITEMS + 1)}, "messages"),
        (
            {"messages": [chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[EMPTY] * MAX_REQUEST_ITEMS)]},
            "messages",
        ),
        ({"messages": [calling(*[call("c")] * MAX_REQUEST_ITEMS)]}, "messages"),
        ({"tools": [tool("f")] * MAX_REQUEST_ITEMS}, "tools"),
    ],
    ids=["messages", "parts", "calls", "tools"],
)
def test_more_items_than_a_request_may_have_are_refused(fields: dict[str, Any], param: str) -> None:
    error = _refusal(request(**fields), EVERYTHING)
    assert "too many items" in error.message
    assert (type(error), error.param) == (InvalidValue, param)


def test_an_error_quotes_only_the_beginning_of_a_long_text() -> None:
    long = "x" * 1_000_000
    for fields in (
        {"tools": [tool(long)]},
        {"tool_choice": tool_pb2.ToolChoice(function_name=long)},
        {"messages": [result(long)]},
        {"messages": [calling(call("c")), result("c"), result("c"), result(long)]},
    ):
        assert len(_refusal(request(**fields), EVERYTHING).message) < 300


def test_messages_can_be_checked_without_the_other_fields() -> None:
    validate_input(request(temperature=99.0), EVERYTHING)
    with pytest.raises(InvalidValue):
        validate_input(request(messages=[]), EVERYTHING)


def prompt(**fields: Any) -> Any:
    return request(messages=[], prompt=chat_pb2.Prompt(**fields))


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (prompt(), "prompt"),
        (prompt(tokens=chat_pb2.TokenIds()), "prompt"),
        (prompt(tokens=chat_pb2.TokenIds(ids=[1, VOCABULARY])), "prompt[1]"),
        (request(prompt=chat_pb2.Prompt(text="Once")), "messages"),
    ],
)
def test_a_prompt_that_cannot_be_continued_is_refused_by_its_place(asked: Any, param: str) -> None:
    assert _refusal(asked, EVERYTHING).param == param


def test_a_prompt_has_no_message_to_be_continued() -> None:
    error = _refusal(request(messages=[], prompt=chat_pb2.Prompt(text="Once"), continue_final_message=True), EVERYTHING)
    assert (type(error), error.param) == (InvalidValue, "continue_final_message")


def test_tools_cannot_stand_beside_a_prompt() -> None:
    asked = prompt(text="Once")
    asked.tools.add(function=tool_pb2.FunctionTool(name="look"))
    assert _refusal(asked, EVERYTHING).param == "tools"


def test_the_echo_of_a_prompt_has_probabilities_only_where_the_engine_reports_them() -> None:
    asked = prompt(text="Once", echo=True)
    validate(asked, EVERYTHING)
    asked.logprobs = True
    error = _refusal(asked, EVERYTHING)
    assert (type(error), error.param) == (UnsupportedParameter, "echo")
