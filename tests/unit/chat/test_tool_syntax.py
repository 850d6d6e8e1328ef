"""Which syntax of tool calls a model's templates show."""

from __future__ import annotations

import pytest

from services.chat.grammar.tool_syntax import ToolSyntax, tool_syntax_of
from services.engine.api import ModelInfo
from tests.support.gguf_files import demo_gguf

QWEN = "{% if tools %}<tools>{% endif %}{{ '<tool_call>\\n' }}"


@pytest.mark.parametrize(
    ("template", "tool_template", "syntax"),
    [
        (demo_gguf().chat_template, "", ToolSyntax.LLAMA3_JSON),
        ("{% if tools %}{{ tools }}{% endif %}", "", ToolSyntax.LLAMA3_JSON),
        (QWEN, "", ToolSyntax.HERMES),
        ("{{ messages }}", QWEN, ToolSyntax.HERMES),
        ("{{ messages }}", "", None),
        ("", "", None),
        (QWEN + "<function=", "", None),
        ("{{ tools }}[TOOL_CALLS]", "", None),
        ("{{ tools }}<｜tool▁calls▁begin｜>", "", None),
    ],
)
def test_the_syntax_is_what_the_templates_write(template: str, tool_template: str, syntax: ToolSyntax | None) -> None:
    assert tool_syntax_of(ModelInfo("m", "F16", "test", template, "", "", tool_template)) is syntax
