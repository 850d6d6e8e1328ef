"""Renders conversations by the model's chat template, in the environment that Hugging Face's tokenizers give it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.demo_model.spec import BOS, CHAT_TEMPLATE

Message = Mapping[str, Any]
Tool = Mapping[str, Any]


def _tojson(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


@cache
def _template() -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = _tojson
    environment.globals.update(raise_exception=_raise_exception, strftime_now=_strftime_now)
    return environment.from_string(CHAT_TEMPLATE)


def render(
    messages: Sequence[Message],
    tools: Sequence[Tool] | None = None,
    *,
    date: str | None = None,
    add_generation_prompt: bool = False,
) -> str:
    """The prompt's text with its markers; raises jinja2.TemplateError for what the format cannot hold."""
    variables: dict[str, Any] = {} if date is None else {"date_string": date}
    return _template().render(
        messages=messages,
        tools=tools or None,
        bos_token=BOS,
        add_generation_prompt=add_generation_prompt,
        **variables,
    )
