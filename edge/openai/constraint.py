"""The required form of the content, from the fields of OpenAI, vLLM, SGLang and llama.cpp; pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from chasqui.v1 import chat_pb2
from edge.api.json_text import text_or_json, verbatim
from services.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge.openai.request_schema import GenerationRequest, ResponseFormatBody, StructuredOutputsBody

_FORM: Final = "response_format"  # of the proto
_UNNAMED: Final = "schema"  # of schemas that have no name
# In Lark a slash ends a pattern, and so does a line break. What is escaped already stays as it is.
_SPECIAL: Final = re.compile(r"\\.|/|\n", re.DOTALL)
_ESCAPES: Final = {"/": r"\/", "\n": r"\n", "\\\n": r"\n"}


def response_format(body: GenerationRequest) -> chat_pb2.ResponseFormat | None:
    """The form; None for free text. InvalidValue if several fields demand one."""
    forms = list(_forms(body))
    if len(forms) > 1:
        raise InvalidValue(f"{forms[1][0]} cannot be combined with {forms[0][0]}.", param=forms[1][0])
    return forms[0][1] if forms else None


def field_of(body: GenerationRequest, param: str) -> str:
    """The field of `body` that an error of the chat server is about; `param` is a path in the `ChatRequest`.

    What the proto has within `response_format`, the field of another server that demands the form does not have.
    """
    if not param.startswith(_FORM):
        return param
    form = next((name for name, _ in _forms(body)), _FORM)
    return param if form == _FORM else form


def _forms(body: GenerationRequest) -> Iterator[tuple[str, chat_pb2.ResponseFormat]]:
    """Each field that demands a form, and that form."""
    if body.response_format is not None and body.response_format.type != "text":
        yield "response_format", _response_format(body.response_format)
    if body.structured_outputs is not None:
        yield from _structured_outputs(body.structured_outputs)
    for name in ("guided_json", "json_schema"):
        schema = text_or_json(getattr(body, name), name)
        if schema:
            yield name, _json(schema)
    if body.guided_choice is not None:
        yield "guided_choice", _choice(body.guided_choice, "guided_choice")
    for name in ("guided_regex", "regex"):
        pattern = getattr(body, name)
        if pattern:
            yield name, _regex(pattern)
    for name in ("guided_grammar", "grammar", "ebnf"):
        grammar = getattr(body, name)
        if grammar:
            yield name, _grammar(grammar)


def _response_format(form: ResponseFormatBody) -> chat_pb2.ResponseFormat:
    param = "response_format.json_schema"
    beside = verbatim(form.schema, "response_format.schema")
    if form.type == "json_object":
        return _json(beside) if beside else _any_object()
    schema = form.json_schema
    if schema is None and beside:
        return _json(beside)
    if schema is None:
        raise InvalidValue(f"{param} is missing.", param=param)
    text = verbatim(schema.schema, f"{param}.schema")
    if not text:
        raise InvalidValue(f"{param}.schema is missing.", param=f"{param}.schema")
    return chat_pb2.ResponseFormat(
        json_schema=chat_pb2.JsonSchemaFormat(
            name=schema.name, description=schema.description or "", schema_json=text, strict=schema.strict
        )
    )


def _structured_outputs(given: StructuredOutputsBody) -> Iterator[tuple[str, chat_pb2.ResponseFormat]]:
    schema = text_or_json(given.json, "structured_outputs.json")
    if schema:
        yield "structured_outputs.json", _json(schema)
    if given.json_object:
        yield "structured_outputs.json_object", _any_object()
    if given.choice is not None:
        yield "structured_outputs.choice", _choice(given.choice, "structured_outputs.choice")
    if given.regex:
        yield "structured_outputs.regex", _regex(given.regex)
    if given.grammar:
        yield "structured_outputs.grammar", _grammar(given.grammar)


def _any_object() -> chat_pb2.ResponseFormat:
    return chat_pb2.ResponseFormat(json_object=chat_pb2.JsonObjectFormat())


def _json(schema: str) -> chat_pb2.ResponseFormat:
    return chat_pb2.ResponseFormat(json_schema=chat_pb2.JsonSchemaFormat(name=_UNNAMED, schema_json=schema))


def _choice(texts: Sequence[str], param: str) -> chat_pb2.ResponseFormat:
    """One of the texts."""
    if not texts or not all(texts):
        raise InvalidValue(f"{param} must hold at least one text, and no empty one.", param=param)
    # A JSON string is a string of Lark.
    options = " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)
    return chat_pb2.ResponseFormat(lark=chat_pb2.LarkFormat(grammar=f"start: {options}"))


def _regex(pattern: str) -> chat_pb2.ResponseFormat:
    """Text that the pattern matches as a whole."""
    escaped = _SPECIAL.sub(lambda match: _ESCAPES.get(match[0], match[0]), pattern)
    return chat_pb2.ResponseFormat(lark=chat_pb2.LarkFormat(grammar=f"start: /{escaped}/"))


def _grammar(grammar: str) -> chat_pb2.ResponseFormat:
    """Lark, or the notation whose rules are written with `::=`."""
    if "::=" in grammar:
        return chat_pb2.ResponseFormat(gbnf=chat_pb2.GbnfFormat(grammar=grammar))
    return chat_pb2.ResponseFormat(lark=chat_pb2.LarkFormat(grammar=grammar))
