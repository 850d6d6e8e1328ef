"""What chat templates of the models on the hub need, and which line of a template failed."""

from __future__ import annotations

import json
import weakref
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from services.chat.grammar.tool_syntax import ToolSyntax
from services.chat.request.template import ChatTemplate, Sandbox
from services.engine.api import ModelInfo
from services.engine.load_error import EngineLoadError
from services.errors import InvalidValue, UnsupportedParameter
from tests.support.garbage import nothing_collected

MESSAGES: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
TOOLS: list[dict[str, Any]] = [{"type": "function", "function": {"name": "f", "description": "é <x>"}}]


def template(source: str, tool_source: str = "") -> ChatTemplate:
    return ChatTemplate(ModelInfo("base", "F16", "test", source, "<s>", "</s>", tool_source))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ tools[0].function | tojson }}", '{"name": "f", "description": "é <x>"}'),
        ("{{ tools[0].function.description | tojson(ensure_ascii=True) }}", '"\\u00e9 <x>"'),
        ("{{ {'b': 1, 'a': [2]} | tojson(separators=(',', ':'), sort_keys=True) }}", '{"a":[2],"b":1}'),
        ("{{ {'a': 1} | tojson(indent=4) }}", json.dumps({"a": 1}, indent=4)),
        ("{% for m in messages %}{% generation %}{{ m.content }};{% endgeneration %}{% endfor %}", "Be brief.;Hi;"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
        ("{% macro say(m) %}[{{ m.role }}]{% endmacro %}{{ say(messages[1]) }}", "[user]"),
        ("{{ messages[1:] | map(attribute='role') | list | join }}", "user"),
        ("{{ messages[0]['content'].split('e')[-1].strip().startswith('f') }}", "True"),
        (
            "{{ (messages | selectattr('role', 'equalto', 'user') | first).content }}",
            "Hi",
        ),
        (
            "{%- for m in messages -%}{%- if loop.first -%}{%- continue -%}{%- endif -%}{{ m.content }}{%- endfor -%}",
            "Hi",
        ),
        ("{{ bos_token }}{{ eos_token }}{{ add_generation_prompt }}", "<s></s>True"),
        ("{{ strftime_now('%d %b %Y') | length }}", "11"),
    ],
)
def test_templates_have_the_functions_and_filters_that_they_expect(source: str, text: str) -> None:
    assert template(source).render(MESSAGES, TOOLS) == text


class Message(dict[str, Any]):
    """A message that can be watched."""


def test_what_was_rendered_is_freed_without_the_garbage_collector() -> None:
    macros = template("{% macro turn(m) %}{{ m.content.upper() }}{% endmacro %}{{ turn(messages[0]) }}")
    message = Message(role="user", content="Hi")
    watched = weakref.ref(message)
    with nothing_collected():
        assert macros.render([message], None) == "HI"
        del message
        assert watched() is None


def test_a_template_may_refuse_the_messages_in_its_own_words() -> None:
    source = "{% if messages[0].role == 'system' %}\n{{ raise_exception('System role not supported') }}\n{% endif %}"
    with pytest.raises(InvalidValue, match="in line 2: System role not supported") as caught:
        template(source).render(MESSAGES, None)
    assert caught.value.param == "messages"


@pytest.mark.parametrize("expression", ["messages[0].content + 1", "messages[0].nothing.more", "messages[9].content"])
def test_an_error_in_a_template_names_its_line(expression: str) -> None:
    with pytest.raises(InvalidValue, match="in line 3"):
        template("a\n\n{{ " + expression + " }}").render(MESSAGES, None)


@pytest.mark.parametrize("source", ["a\n{% if %}", "a\n{{ 'b' | nothing }}"])
def test_a_template_that_is_not_jinja_is_refused_with_its_line(source: str) -> None:
    with pytest.raises(EngineLoadError, match="line 2"):
        template(source)


def test_a_second_template_is_used_for_calls_with_tools() -> None:
    both = template("plain", "{{ tools[0].function.name }}")
    assert (both.render(MESSAGES, None), both.render(MESSAGES, TOOLS)) == ("plain", "f")
    assert both.tool_syntax is ToolSyntax.LLAMA3_JSON


def test_a_model_without_a_template_refuses_a_chat_and_says_what_it_serves() -> None:
    with pytest.raises(UnsupportedParameter, match="/v1/completions") as caught:
        template("").render(MESSAGES, None)
    assert caught.value.param == "messages"
    assert "CHASQUI_CHAT_TEMPLATE" in str(caught.value)


def test_a_template_cannot_leave_its_sandbox() -> None:
    with pytest.raises(InvalidValue):
        template("{{ messages.__class__.__mro__ }}{{ messages.append(1) }}").render(MESSAGES, None)


NAMES = ("text", "items", "keys", "update", "__class__", "__init__", "_Namespace__attrs", "missing")
MEMBERS = {"text": "a", "items": "b", "update": "c", "__class__": "d", "__init__": "e"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [{}, MEMBERS, Namespace(), Namespace(MEMBERS)], ids=repr)
def test_the_short_way_to_the_members_of_dicts_and_namespaces_is_that_of_jinjas_sandbox(
    name: str, value: dict[str, str] | Namespace
) -> None:
    def of(environment: ImmutableSandboxedEnvironment) -> tuple[type, str]:
        found = environment.getattr(value, name)
        return type(found), repr(found)

    assert of(Sandbox()) == of(ImmutableSandboxedEnvironment())
