"""The OpenAPI document of the REST API, generated from the structs of requests and responses; pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from edge.openai.answer_schema import (
    ChatCompletion,
    ChatCompletionChunk,
    Completion,
    DetokenizeAnswer,
    ErrorEnvelope,
    ModelBody,
    ModelList,
    TokenizeAnswer,
)
from edge.openai.fields import RULES
from edge.openai.request import ROLES
from edge.openai.request_schema import ChatCompletionRequest, CompletionRequest, DetokenizeRequest, TokenizeRequest
from services import __version__
from services.limits import LIMITS, MAX_PROMPTS, MAX_STOPS

_STRUCTS: Final = (
    *(ChatCompletionRequest, ChatCompletion, ChatCompletionChunk, CompletionRequest, Completion),
    *(TokenizeRequest, TokenizeAnswer, DetokenizeRequest, DetokenizeAnswer, ModelList, ModelBody, ErrorEnvelope),
)
# Fields that share the range of another.
_SAME_RANGE: Final = {"max_completion_tokens": "max_tokens"}
_MODEL: Final = "meta-llama/Meta-Llama-3.1-8B-Instruct"
_CHAT_EXAMPLE: Final = {"model": _MODEL, "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
_COMPLETION_EXAMPLE: Final = {"model": _MODEL, "prompt": "Once upon a time", "max_tokens": 32}
_ERRORS: Final = {
    "400": "A field is invalid or not supported; `param` names it.",
    "401": "The key is missing or unknown.",
    "404": "There is no such model or path.",
    "405": "The path does not allow this method.",
    "413": "The body is larger than 8 MiB.",
    "415": "The body is not declared as uncompressed JSON.",
    "429": "A limit of the caller is exceeded.",
    "500": "The service failed.",
    "503": "The service is full, draining or not ready; `Retry-After` says when to try again.",
    "504": "The deadline passed.",
}


def openapi_document() -> dict[str, Any]:
    """The document, ready to be encoded as JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chasqui",
            "version": __version__,
            "description": "An OpenAI-compatible API for chat and text. Unknown fields are accepted, "
            "and named in the response header `x-ignored-parameters`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "security": [{}, {"key": []}],
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/v1/chat/completions": {
            "post": _generates(
                "Chat, optionally streamed",
                ChatCompletionRequest,
                ChatCompletion,
                ChatCompletionChunk,
                _CHAT_EXAMPLE,
            )
        },
        "/v1/completions": {
            "post": _generates(
                "Continue a text, optionally streamed",
                CompletionRequest,
                Completion,
                Completion,
                _COMPLETION_EXAMPLE,
            )
        },
        "/v1/models": {"get": _operation("The served models", ModelList)},
        "/v1/models/{id}": {
            "get": _operation("One model, by id or alias", ModelBody)
            | {"parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]}
        },
        "/tokenize": {
            "post": _operation(
                "The tokens of a text", TokenizeAnswer, TokenizeRequest, {"model": _MODEL, "prompt": "Hello!"}
            )
        },
        "/detokenize": {
            "post": _operation(
                "The text of tokens", DetokenizeAnswer, DetokenizeRequest, {"model": _MODEL, "tokens": [72, 73]}
            )
        },
    }


def _operation(
    summary: str,
    answer: type[msgspec.Struct],
    request: type[msgspec.Struct] | None = None,
    example: dict[str, Any] | None = None,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": {"description": "The response.", "content": {"application/json": _schema(answer)}}}
        | {
            status: {"description": words, "content": {"application/json": _schema(ErrorEnvelope)}}
            for status, words in _ERRORS.items()
        },
    }
    if request is not None:
        content = {"application/json": _schema(request) | {"example": example}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _generates(
    summary: str,
    request: type[msgspec.Struct],
    answer: type[msgspec.Struct],
    chunk: type[msgspec.Struct],
    example: dict[str, Any],
) -> dict[str, Any]:
    """An operation with a JSON response or, with `stream: true`, server-sent events that hold a chunk each."""
    operation = _operation(summary, answer, request, example)
    rules = RULES[request]
    operation["description"] = "\n\n".join(
        f"{words}: {', '.join(f'`{name}`' for name in sorted(names))}."
        for words, names in (
            ("Refused by name unless the value has no effect", frozenset(rules.unsupported)),
            ("Accepted without effect", rules.without_effect),
        )
        if names
    )
    # OpenAPI 3.1 cannot describe the schema of an event.
    operation["responses"]["200"]["content"]["text/event-stream"] = {"x-event-schema": _schema(chunk)["schema"]}
    timeout = {"type": "number", "exclusiveMinimum": 0}
    operation["parameters"] = [
        {"name": "x-request-timeout", "in": "header", "description": "Seconds until 504.", "schema": timeout}
    ]
    return operation


def _schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}}


def _schemas() -> dict[str, Any]:
    """The components, with ranges from the table of limits."""
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    for struct in (ChatCompletionRequest, CompletionRequest):
        schema, rules = schemas[struct.__name__], RULES[struct]
        for name, property_schema in schema["properties"].items():
            _bound(_SAME_RANGE.get(name, name), property_schema)
        _restrict(schema["properties"]["stop"], "array", maxItems=MAX_STOPS)
        schema["x-unsupported-parameters"] = sorted(rules.unsupported)
        schema["x-accepted-without-effect"] = sorted(rules.without_effect)
    text = schemas["CompletionRequest"]["properties"]
    _bound("top_logprobs", text["logprobs"])
    _restrict(text["prompt"], "array", minItems=1)
    text["prompt"]["description"] = f"At most {MAX_PROMPTS} texts, or lists of tokens; or one list of tokens."
    schemas["MessageBody"]["properties"]["role"]["enum"] = list(ROLES)
    return schemas


def _bound(name: str, schema: dict[str, Any]) -> None:
    """Add a field's range and default to its schema, if it has a range."""
    limit = LIMITS.get(name)
    if limit is None:
        return
    lower = "exclusiveMinimum" if limit.exclusive_minimum else "minimum"
    _restrict(schema, "integer" if limit.integer else "number", **{lower: limit.minimum, "maximum": limit.maximum})
    if limit.default is not None:
        schema["default"] = limit.default


def _restrict(schema: dict[str, Any], kind: str, **bounds: float) -> None:
    """Add bounds to that alternative of a field's type which is of the kind."""
    for option in schema.get("anyOf", (schema,)):
        if option.get("type") == kind:
            option.update(bounds)
