"""JSON in text fields, however strange: a prompt, or an error that names the field."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2
from services.chat.request.input_processor import MAX_COUNTED_TOKENS, MAX_COUNTING, InputProcessor
from services.engine.api import Capabilities, ModelInfo
from services.errors import InvalidValue, Unavailable
from tests.support.gguf_files import demo_gguf, demo_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from services.engine.model.tokenizer import Tokenizer

USER = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hi")])
STRANGE = {
    "half of a surrogate pair": '{"type": "object", "title": "\\ud83d"}',
    "a surrogate pair": '{"type": "object", "title": "\\ud83e\\udd99"}',
    "NUL": '{"type": "object", "title": "\\u0000"}',
    "a bare NUL": '{"type": "object", "title": "\0"}',
    "NaN": '{"type": "object", "maxProperties": NaN}',
    "a huge float": '{"type": "object", "maxProperties": 1e999}',
    "a huge integer": '{"type": "object", "maxProperties": ' + "9" * 5000 + "}",
    "a large integer": '{"type": "object", "default": ' + "9" * 400 + "}",
    "600 levels": '{"type": "object", "default": ' + "[" * 600 + "]" * 600 + "}",
    "5,000 levels": "[" * 5_000,
    "no object": "[1]",
    "null": "null",
    "cut": '{"type": "obj',
    "encoded twice": '"{\\"type\\": \\"object\\"}"',
}


def with_arguments(text: str) -> chat_service_pb2.ChatRequest:
    call = tool_pb2.ToolCall(id="c", function=tool_pb2.FunctionCall(name="f", arguments=text))
    return chat_service_pb2.ChatRequest(
        messages=[USER, chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, tool_calls=[call]), USER]
    )


def with_parameters(text: str) -> chat_service_pb2.ChatRequest:
    tool = tool_pb2.Tool(function=tool_pb2.FunctionTool(name="f", parameters_json=text))
    return chat_service_pb2.ChatRequest(messages=[USER], tools=[tool])


def with_forced_parameters(text: str) -> chat_service_pb2.ChatRequest:
    request = with_parameters(text)
    request.tool_choice.function_name = "f"
    return request


def with_schema(text: str) -> chat_service_pb2.ChatRequest:
    form = chat_pb2.ResponseFormat(json_schema=chat_pb2.JsonSchemaFormat(name="s", schema_json=text))
    return chat_service_pb2.ChatRequest(messages=[USER], response_format=form)


@dataclass(frozen=True)
class DescribedEngine:
    """As much of an engine as the processing of inputs uses."""

    model: ModelInfo
    tokenizer: Tokenizer
    capabilities: Capabilities


@pytest.fixture
def inputs() -> Iterator[InputProcessor]:
    tokenizer = demo_tokenizer()
    engine: Any = DescribedEngine(
        ModelInfo("demo", "Q8_0", "demo-1", demo_gguf().chat_template, "<|begin_of_text|>", "<|eot_id|>"),
        tokenizer,
        Capabilities(200_000, tokenizer.size, frozenset(), parallel=4, guided=True),
    )
    processor = InputProcessor(engine)
    yield processor
    processor.close()


@pytest.mark.parametrize(
    ("build", "params"),
    [
        (with_arguments, {None}),  # they come from a model, and are never refused
        (with_parameters, {None, "tools[0].function.parameters"}),
        (with_forced_parameters, {None, "tools[0].function.parameters"}),
        (with_schema, {None, "response_format.json_schema.schema"}),
    ],
    ids=["arguments", "parameters", "forced parameters", "schema"],
)
async def test_strange_json_makes_a_prompt_or_an_error_that_names_its_field(
    inputs: InputProcessor, build: Callable[[str], chat_service_pb2.ChatRequest], params: set[str | None]
) -> None:
    named: dict[str, str | None] = {}
    for name, text in STRANGE.items():
        request = build(text)
        inputs.check_size(request)
        named[name] = None
        try:
            await inputs.process(request, "anyone")
        except InvalidValue as error:
            named[name] = error.param
    assert set(named.values()) == params, named


async def test_the_event_loop_runs_while_a_large_request_is_validated(inputs: InputProcessor) -> None:
    tools = [tool_pb2.Tool(function=tool_pb2.FunctionTool(name=f"f{i}", parameters_json="{}")) for i in range(16_000)]
    request = chat_service_pb2.ChatRequest(messages=[USER], tools=tools)
    inputs.check_size(request)
    processing = asyncio.create_task(inputs.process(request, "anyone"))
    turns = 0
    while not processing.done():
        await asyncio.sleep(0)
        turns += 1
    with pytest.raises(InvalidValue, match="context"):
        await processing
    assert turns > 10


UNENFORCEABLE = '{"type": "object", "properties": {"l": {"type": "array", "uniqueItems": true}}}'


def _required(**fields: Any) -> chat_service_pb2.ChatRequest:
    """A request that must call one of two tools, the second of which has a schema that cannot be enforced."""
    functions = [
        tool_pb2.FunctionTool(name="fine", parameters_json='{"type": "object", "properties": {}}'),
        tool_pb2.FunctionTool(name="odd", parameters_json=UNENFORCEABLE, **fields),
    ]
    choice = tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_REQUIRED)
    tools = [tool_pb2.Tool(function=function) for function in functions]
    return chat_service_pb2.ChatRequest(messages=[USER], tools=tools, tool_choice=choice)


async def test_a_tool_that_cannot_be_enforced_does_not_keep_the_others_from_being_required(
    inputs: InputProcessor,
) -> None:
    made = await inputs.process(_required(), "anyone")
    assert made.grammar is not None
    assert list(made.grammar.schemas) == ["tools[0].function.parameters"]


@pytest.mark.parametrize("how", ["strict", "named"])
async def test_a_tool_that_must_be_enforced_is_refused_with_the_place_in_its_schema(
    inputs: InputProcessor, how: str
) -> None:
    request = _required(strict=how == "strict")
    if how == "named":
        request.tool_choice.function_name = "odd"
    with pytest.raises(InvalidValue, match="/properties/l: ") as raised:
        await inputs.process(request, "anyone")
    assert raised.value.param == "tools[1].function.parameters"


async def test_texts_that_are_only_counted_are_bounded_in_size_and_number(inputs: InputProcessor) -> None:
    with pytest.raises(InvalidValue, match="more than"):
        await inputs.text_tokens("word " * 2_000_000, opened=False)
    with pytest.raises(InvalidValue, match="tokens has"):
        await inputs.text_of([1] * (MAX_COUNTED_TOKENS + 1))
    counts = [inputs.text_tokens("Hi", opened=False) for _ in range(2 * MAX_COUNTING)]
    results = await asyncio.gather(*counts, return_exceptions=True)
    assert sum(isinstance(result, Unavailable) for result in results) == MAX_COUNTING
