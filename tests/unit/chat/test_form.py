"""The form of an answer: what it continues, beside tools that may be called."""

from __future__ import annotations

import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2
from services.chat.answer.form import ToolUse, form_of
from services.chat.answer.parsed import CallArguments, CallStart, Content
from services.chat.grammar.tool_syntax import ToolSyntax
from services.errors import InvalidValue

CALL = {
    ToolSyntax.LLAMA3_JSON: '{"name": "f", "parameters": {"a": 1}}',
    ToolSyntax.HERMES: '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>',
}
every_syntax = pytest.mark.parametrize("syntax", list(ToolSyntax))


def tools_beside(text: str, syntax: ToolSyntax) -> ToolUse:
    """How tools may be called in an answer that continues the text."""
    request = chat_service_pb2.ChatRequest(
        messages=[chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=[chat_pb2.ContentPart(text=text)])],
        tools=[tool_pb2.Tool(function=tool_pb2.FunctionTool(name="f"))],
        continue_final_message=True,
    )
    tools = form_of(request, 1, 9, "", None, syntax).tools
    assert tools is not None
    return tools


@every_syntax
def test_a_call_is_found_behind_the_text_that_is_continued(syntax: ToolSyntax) -> None:
    parser = tools_beside("I look.\n", syntax).parser()
    assert [*parser.push(CALL[syntax]), *parser.flush()] == [CallStart(0, "f"), CallArguments(0, '{"a": 1}')]


def test_json_inside_the_line_that_is_continued_is_no_call() -> None:
    parser = tools_beside("The answer is ", ToolSyntax.LLAMA3_JSON).parser()
    call = CALL[ToolSyntax.LLAMA3_JSON]
    assert [*parser.push(call), *parser.flush()] == [Content(call)]


@every_syntax
def test_a_text_that_may_have_begun_a_call_is_not_continued(syntax: ToolSyntax) -> None:
    for cut in (3, len(CALL[syntax]) - 5, len(CALL[syntax])):
        with pytest.raises(InvalidValue) as caught:
            tools_beside(CALL[syntax][:cut], syntax)
        assert caught.value.param == "continue_final_message"
