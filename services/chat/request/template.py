"""A model's chat template: Jinja in a sandbox, with the functions and filters of `transformers`."""

from __future__ import annotations

import json
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from services.chat.grammar.tool_syntax import tool_syntax_of
from services.engine.load_error import EngineLoadError
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from jinja2.parser import Parser

    from services.engine.api import ModelInfo


_DAY: Final = 86_400  # seconds
_OF_DICTS: Final = frozenset(dir(dict))


class Verbatim(str):
    """Text that `tojson` writes as it is, without quotation marks."""

    __slots__ = ()


class ChatTemplate:
    """Renders conversations; a model without a template refuses them."""

    def __init__(self, model: ModelInfo) -> None:
        """EngineLoadError if a template of the model is not valid Jinja."""
        environment = _environment()
        self.source = model.chat_template + model.tool_template
        self.tool_syntax = tool_syntax_of(model)
        self._name = model.name
        self._template = _compiled(environment, model.chat_template)
        self._tool_template = _compiled(environment, model.tool_template) or self._template
        self._tokens = {"bos_token": model.bos_token, "eos_token": model.eos_token}

    def render(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, *, opens_turn: bool = True
    ) -> str:
        """The text of a conversation; with `opens_turn` it ends with an open assistant turn.

        InvalidValue if the template rejects the messages, UnsupportedParameter if the model has none.
        """
        template = self._template if tools is None else self._tool_template
        if template is None:
            raise UnsupportedParameter(
                f"{self._name} is a model without a chat template, so it serves /v1/completions only; "
                "the setting CHASQUI_CHAT_TEMPLATE can name a file with a template.",
                param="messages",
            )
        # Llama 3.1's template adds the tools to the first user turn, or to the system turn where this is false.
        options = {} if tools is None or _begins_with_user(messages) else {"tools_in_user_message": False}
        variables = {
            "messages": messages,
            "tools": tools,
            **options,
            "add_generation_prompt": opens_turn,
            "date_string": _date(int(time.time()) // _DAY),
            **self._tokens,
        }
        try:
            return _rendered(template, variables)
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise InvalidValue(
                f"The model's chat template refuses the messages{_line_of(error)}: {error}", param="messages"
            ) from error


def _begins_with_user(messages: list[dict[str, Any]]) -> bool:
    """Whether the first message, after a system message at the very beginning, is a user's."""
    roles = [message["role"] for message in messages[:2]]
    return roles[:1] == ["user"] or roles == ["system", "user"]


def _rendered(template: jinja2.Template, variables: dict[str, Any]) -> str:
    """What `Template.render` returns and raises, without the reference cycles that it leaves behind."""
    context = template.new_context(variables)
    try:
        return template.environment.concat(template.root_render_func(context))
    except Exception:  # noqa: BLE001 - raised again, with the lines of the template
        template.environment.handle_exception()
    finally:
        context.vars.clear()  # the template's macros, each of which holds the context


@lru_cache(maxsize=1)
def _date(day: int) -> str:
    """A day, counted from 1970 in UTC, as Llama's templates write it."""
    return datetime.fromtimestamp(day * _DAY, UTC).strftime("%d %b %Y")


def strftime_now(form: str) -> str:
    """The current time, formatted; templates call it by this name."""
    return datetime.now(UTC).strftime(form)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with a short way for what templates do most: `message.role` and `namespace.text`."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What `obj.attribute` is in a template: an attribute of every dict, such as `items`, goes before a member."""
        if type(obj) is dict and attribute in obj and attribute not in _OF_DICTS:
            return obj[attribute]
        if type(obj) is Namespace and not attribute.startswith("_"):
            with suppress(AttributeError):
                return getattr(obj, attribute)
        return super().getattr(obj, attribute)


def _environment() -> Sandbox:
    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _GenerationTag])
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = strftime_now
    return environment


def _compiled(environment: Sandbox, source: str) -> jinja2.Template | None:
    if not source:
        return None
    try:
        template = environment.from_string(source)
        # Each rendering copies them, which takes long from Jinja's ChainMap.
        template.globals = dict(template.globals)
        return template
    except jinja2.TemplateSyntaxError as error:
        raise EngineLoadError(f"The model's chat template cannot be used: line {error.lineno}: {error}") from error
    except jinja2.TemplateError as error:
        raise EngineLoadError(f"The model's chat template cannot be used: {error}") from error


def _line_of(error: Exception) -> str:
    """The line of the template that raised."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return f" in line {lines[-1]}" if lines else ""


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as `transformers` writes it for templates: not escaped for HTML, unlike Jinja's own filter."""
    if isinstance(value, Verbatim):
        return value
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class _GenerationTag(Extension):
    """`{% generation %}...{% endgeneration %}` marks an assistant's text for training; only the content is rendered."""

    tags = {"generation"}  # noqa: RUF012 - the attribute that Jinja reads

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The nodes between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
