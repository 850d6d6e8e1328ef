"""Which grammars are let through to the engine, and that a slow one harms nobody but its caller."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from chasqui.v1 import tool_pb2
from chasqui.v1.chat_service_pb2 import ChatRequest
from services.chat.grammar.compiler import GrammarCompiler
from services.chat.grammar.structured import Grammar, grammar_of
from services.engine.factory import build_engine
from services.errors import EngineFailed, UnsupportedParameter
from services.settings import Settings
from tests.support.hostile_schemas import HOSTILE_SCHEMAS
from tests.unit.chat.test_structured import NUMBER, REQUIRED, json_schema, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.engine.model.tokenizer import Tokenizer

SLOW = HOSTILE_SCHEMAS["multipleOf several primes"]
PARAM = "response_format.json_schema.schema"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return build_engine(Settings()).tokenizer


@pytest.fixture
def compiler(tokenizer: Tokenizer) -> Iterator[GrammarCompiler]:
    compiler = GrammarCompiler(tokenizer)
    yield compiler
    compiler.close()


def grammar(schema: dict[str, Any]) -> Grammar:
    found = grammar_of(ChatRequest(response_format=json_schema(schema)))
    assert found is not None
    return found


def calls(*tools: tool_pb2.Tool) -> Grammar:
    found = grammar_of(ChatRequest(tools=tools, tool_choice=REQUIRED))
    assert found is not None
    return found


async def refusal(compiler: GrammarCompiler, wanted: Grammar) -> UnsupportedParameter:
    with pytest.raises(UnsupportedParameter) as raised:
        await compiler.check(wanted)
    return raised.value


async def test_a_slow_schema_is_refused_by_name_and_the_next_one_is_tried(compiler: GrammarCompiler) -> None:
    refused = await refusal(compiler, grammar(SLOW))
    assert refused.param == PARAM
    assert "CPU time" in refused.message
    await compiler.check(grammar(NUMBER))
    assert (await refusal(compiler, grammar(SLOW))).message == refused.message


async def test_the_error_about_a_schema_is_short(compiler: GrammarCompiler) -> None:
    assert len((await refusal(compiler, grammar({"type": "string", "pattern": "(" * 60_000}))).message) < 1000


async def test_the_tool_whose_schema_cannot_be_enforced_is_named_with_the_place_in_it(
    compiler: GrammarCompiler,
) -> None:
    wrong = {"type": "object", "properties": {"a": {"not": {}}}}
    refused = await refusal(compiler, calls(tool("good", NUMBER), tool("bad", wrong)))
    assert refused.param == "tools[1].function.parameters"
    assert "/properties/a" in refused.message


async def test_schemas_that_are_slow_together_are_blamed_together(compiler: GrammarCompiler) -> None:
    slow = {"type": "object", "properties": {"n": SLOW}}
    assert (await refusal(compiler, calls(tool("a", slow), tool("b", NUMBER)))).param == "tools"


async def test_a_verdict_outlives_the_caller_who_asked_first_and_the_process_that_gave_it(
    compiler: GrammarCompiler,
) -> None:
    first = asyncio.create_task(compiler.check(grammar(NUMBER)))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()
    await compiler.check(grammar(NUMBER))
    process = compiler._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    await compiler.check(grammar(NUMBER))
    assert compiler._process is process, "nothing was started for what is known"
    await compiler.check(grammar({"type": "boolean"}))
    assert compiler._process is not process


async def test_without_a_process_nothing_is_blamed_on_the_caller_or_remembered(
    compiler: GrammarCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("sys.executable", "/bin/false")
        with pytest.raises(EngineFailed):
            await compiler.check(grammar(NUMBER))
    await compiler.check(grammar(NUMBER))


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "string", "format": "colour"}, "/$defs/x"),
        ({"type": "string", "pattern": "(?=a)b"}, "/$defs/x"),
        ({"oneOf": [{"type": "string"}, {"maxLength": 3}]}, "/$defs/x"),
        ({"$ref": "#/$defs/absent"}, "/$defs/x"),
        ({"type": "array", "items": {"uniqueItems": True}}, "/$defs/x/items"),
    ],
    ids=["format", "regex", "oneOf", "$ref", "a keyword"],
)
async def test_an_error_names_the_place_in_the_schema(
    compiler: GrammarCompiler, schema: dict[str, Any], place: str
) -> None:
    nested = {
        "type": "object",
        "properties": {"a": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/x"}}},
        "$defs": {"x": schema},
    }
    assert f" cannot be enforced at {place}: " in (await refusal(compiler, grammar(nested))).message
    inner = {"type": "object", "properties": {"a": {"type": "array", "minItems": 1, "items": schema}}}
    wanted = place.replace("/$defs/x", "/properties/a/items")
    assert f" cannot be enforced at {wanted}: " in (await refusal(compiler, grammar(inner))).message


async def test_a_range_without_values_is_named_by_its_property(compiler: GrammarCompiler) -> None:
    empty = {"type": "integer", "minimum": 5, "maximum": 1}
    wanted = grammar({"type": "object", "properties": {"a": empty}, "required": ["a"]})
    assert " cannot be enforced at /: " in (await refusal(compiler, wanted)).message
    assert "property 'a'" in (await refusal(compiler, wanted)).message


async def test_a_process_that_cannot_be_started_is_tried_again_for_the_next_caller(
    compiler: GrammarCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("sys.executable", "/nowhere/python")
        for _ in range(2):
            with pytest.raises(EngineFailed, match="No such file"):
                await compiler.check(grammar(NUMBER))
    await compiler.check(grammar(NUMBER))


async def test_a_process_that_is_killed_during_a_check_is_not_held_against_the_schema(
    compiler: GrammarCompiler,
) -> None:
    await compiler.check(grammar(NUMBER))
    process = compiler._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    checking = asyncio.create_task(compiler.check(grammar({"type": "boolean"})))
    await asyncio.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    await checking
    assert compiler._process is not process


async def test_every_schema_that_cannot_be_enforced_is_named(compiler: GrammarCompiler) -> None:
    wrong = {"type": "object", "properties": {"a": {"not": {}}}}
    problems = await compiler.problems(calls(tool("a", wrong), tool("b", NUMBER), tool("c", wrong)))
    assert [problem.param for problem in problems] == ["tools[0].function.parameters", "tools[2].function.parameters"]
