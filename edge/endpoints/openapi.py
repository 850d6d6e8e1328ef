"""The OpenAPI document of the REST APIs, generated from the structs of requests and responses; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from edge.anthropic import answer_schema as anthropic
from edge.anthropic.field_table import FIELDS as ANTHROPIC_FIELDS
from edge.anthropic.request_schema import MessagesCountRequest, MessagesRequest
from edge.api.fields import Treatment, names_of
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
from edge.openai.field_table import FIELDS as OPENAI_FIELDS
from edge.openai.request import ROLES, SEEDS
from edge.openai.request_schema import ChatCompletionRequest, CompletionRequest, DetokenizeRequest, TokenizeRequest
from edge.openai.usage_schema import UsageList
from edge.responses import answer_schema as responses
from edge.responses.field_table import FIELDS as RESPONSES_FIELDS
from edge.responses.request_schema import ResponsesRequest
from services import __version__
from services.limits import LIMITS, MAX_STOPS

if TYPE_CHECKING:
    from collections.abc import Sequence

_STRUCTS: Final = (
    *(ChatCompletionRequest, ChatCompletion, ChatCompletionChunk, CompletionRequest, Completion),
    *(TokenizeRequest, TokenizeAnswer, DetokenizeRequest, DetokenizeAnswer, ModelList, ModelBody, ErrorEnvelope),
    UsageList,
    *(ResponsesRequest, responses.ResponseObject, *get_args(responses.StreamEvent)),
    *(MessagesRequest, anthropic.AnthropicMessage, MessagesCountRequest, anthropic.MessageTokensCount),
    *(anthropic.AnthropicModelList, anthropic.AnthropicModel, *get_args(anthropic.StreamEvent)),
)
_FIELDS: Final = {**OPENAI_FIELDS, **RESPONSES_FIELDS, **ANTHROPIC_FIELDS}
# Fields that share the range of another.
_SAME_RANGE: Final = {"max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens"}
_STOPS: Final = frozenset({"stop", "stop_sequences"})
_MODEL: Final = "meta-llama/Meta-Llama-3.1-8B-Instruct"
_CHAT_EXAMPLE: Final = {"model": _MODEL, "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
_MESSAGES_EXAMPLE: Final = {"model": _MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello!"}]}
_COMPLETION_EXAMPLE: Final = {"model": _MODEL, "prompt": "Once upon a time", "max_tokens": 32}
_GROUPS: Final = {
    Treatment.REFUSED: "Refused by name unless the value has no effect",
    Treatment.WITHOUT_EFFECT: "Accepted without effect",
    Treatment.REPORTED: "Accepted without effect, and named in the response header `x-ignored-parameters`",
}
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

_USAGE_PARAMETERS: Final = {
    "by": "What the sums are grouped by: key, owner, user, model, endpoint, outcome, month, day, hour; with commas.",
    "since": "Calls that arrived from then on: a date or a time of UTC, as 2027-01-31.",
    "until": "Calls that arrived before then.",
}


def openapi_document() -> dict[str, Any]:
    """The document, ready to be encoded as JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chasqui",
            "version": __version__,
            "description": "OpenAI's and Anthropic's APIs for chat and text. Unknown fields are accepted, "
            "and named in the response header `x-ignored-parameters`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {**_generating_paths(), **_other_paths()},
        "security": [{}, {"key": []}],
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _generating_paths() -> dict[str, Any]:
    return {
        "/v1/chat/completions": {
            "post": _generates(
                "Chat, optionally streamed",
                ChatCompletionRequest,
                ChatCompletion,
                (ChatCompletionChunk,),
                _CHAT_EXAMPLE,
            )
        },
        "/v1/completions": {
            "post": _generates(
                "Continue a text, optionally streamed",
                CompletionRequest,
                Completion,
                (Completion,),
                _COMPLETION_EXAMPLE,
            )
        },
        "/v1/responses": {
            "post": _generates(
                "A response, optionally streamed",
                ResponsesRequest,
                responses.ResponseObject,
                get_args(responses.StreamEvent),
                {"model": _MODEL, "input": "Hello!", "stream": True},
            )
        },
        "/v1/messages": {
            "post": _generates(
                "A message, optionally streamed: Anthropic's API",
                MessagesRequest,
                anthropic.AnthropicMessage,
                get_args(anthropic.StreamEvent),
                _MESSAGES_EXAMPLE | {"stream": True},
                anthropic.AnthropicError,
            )
        },
    }


def _other_paths() -> dict[str, Any]:
    return {
        "/v1/messages/count_tokens": {
            "post": _operation(
                "The tokens of a message's prompt: Anthropic's API",
                anthropic.MessageTokensCount,
                MessagesCountRequest,
                {name: value for name, value in _MESSAGES_EXAMPLE.items() if name != "max_tokens"},
                anthropic.AnthropicError,
            )
        },
        "/v1/models": {"get": _operation("The served models", ModelList)},
        "/v1/models/{id}": {
            "get": _operation("One model, by id or alias", ModelBody)
            | {"parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]}
        },
        "/v1/usage": {
            "get": _operation("What the key has used, and what it cost", UsageList)
            | {
                "parameters": [
                    {"name": name, "in": "query", "description": words, "schema": {"type": "string"}}
                    for name, words in _USAGE_PARAMETERS.items()
                ]
            }
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
    error: type[msgspec.Struct] = ErrorEnvelope,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": {"description": "The response.", "content": {"application/json": _schema(answer)}}}
        | {
            status: {"description": words, "content": {"application/json": _schema(error)}}
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
    events: Sequence[type[msgspec.Struct]],
    example: dict[str, Any],
    error: type[msgspec.Struct] = ErrorEnvelope,
) -> dict[str, Any]:
    """An operation with a JSON response or, with `stream: true`, server-sent events that hold one of `events` each."""
    operation = _operation(summary, answer, request, example, error)
    operation["description"] = "\n\n".join(
        f"{words}: {', '.join(f'`{name}`' for name in names)}."
        for treatment, words in _GROUPS.items()
        if (names := names_of(_FIELDS[request], treatment))
    )
    # OpenAPI 3.1 cannot describe the schema of an event.
    schemas = [_schema(event)["schema"] for event in events]
    one_of = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    operation["responses"]["200"]["content"]["text/event-stream"] = {"x-event-schema": one_of}
    timeout = {"type": "number", "exclusiveMinimum": 0}
    operation["parameters"] = [
        {"name": "x-request-timeout", "in": "header", "description": "Seconds until 504.", "schema": timeout}
    ]
    return operation


def _schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}}


def _schemas() -> dict[str, Any]:
    """The components, with the documentation of the table of fields and the ranges of the table of limits."""
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    for struct, fields in _FIELDS.items():
        for name, schema in schemas[struct.__name__]["properties"].items():
            if name in fields and fields[name].meaning:
                schema["description"] = fields[name].meaning
    for struct in (ChatCompletionRequest, CompletionRequest, ResponsesRequest, MessagesRequest):
        properties = schemas[struct.__name__]["properties"]
        for name, schema in properties.items():
            _bound(_SAME_RANGE.get(name, name), schema)
            if name in _STOPS:
                _restrict(schema, "array", maxItems=MAX_STOPS)
            if name == "seed":
                _restrict(schema, "integer", minimum=-SEEDS)
        for treatment in _GROUPS:
            schemas[struct.__name__][f"x-{treatment.name.lower().replace('_', '-')}"] = names_of(
                _FIELDS[struct], treatment
            )
    text = schemas["CompletionRequest"]["properties"]
    _bound("top_logprobs", text["logprobs"])
    _restrict(text["prompt"], "array", minItems=1)
    schemas["FunctionCallBody"]["properties"]["arguments"]["type"] = ["string", "object", "null"]
    schemas["MessageBody"]["properties"]["role"]["enum"] = list(ROLES)
    return schemas


def _bound(name: str, schema: dict[str, Any]) -> None:
    """Add a field's range and default to its schema, if it has a range."""
    limit = LIMITS.get(name)
    if limit is None:
        return
    bounds = {"exclusiveMinimum" if limit.exclusive_minimum else "minimum": limit.minimum}
    if name != "max_tokens":  # more is clamped
        bounds["maximum"] = limit.maximum
    _restrict(schema, "integer" if limit.integer else "number", **bounds)
    if limit.default is not None:
        schema["default"] = limit.default


def _restrict(schema: dict[str, Any], kind: str, **bounds: float) -> None:
    """Add bounds to that alternative of a field's type which is of the kind."""
    for option in schema.get("anyOf", (schema,)):
        if option.get("type") == kind:
            option.update(bounds)
