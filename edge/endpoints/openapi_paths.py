"""The paths of the OpenAPI document: every operation with its request, responses and errors; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from edge.anthropic import answer_schema as anthropic
from edge.anthropic.field_table import FIELDS as ANTHROPIC_FIELDS
from edge.anthropic.request_schema import MessagesCountRequest, MessagesRequest
from edge.api.fields import Treatment, names_of
from edge.endpoints.openapi_operation import ID, operation, query_parameter, schema_of
from edge.endpoints.openapi_storage import STORAGE_STRUCTS, storage_paths
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
from edge.openai.request_schema import ChatCompletionRequest, CompletionRequest, DetokenizeRequest, TokenizeRequest
from edge.openai.scoped_jwt_schema import ScopedJwt, ScopedJwtBody, ScopedJwtRequest
from edge.openai.usage_schema import UsageList
from edge.responses import answer_schema as responses
from edge.responses.field_table import FIELDS as RESPONSES_FIELDS
from edge.responses.item_schema import DeletedResponse, ResponseItemList
from edge.responses.request_schema import ResponsesRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

FIELDS: Final = {**OPENAI_FIELDS, **RESPONSES_FIELDS, **ANTHROPIC_FIELDS}
# What requests and responses are made of: the schemas of the document.
STRUCTS: Final = (
    *(ChatCompletionRequest, ChatCompletion, ChatCompletionChunk, CompletionRequest, Completion),
    *(TokenizeRequest, TokenizeAnswer, DetokenizeRequest, DetokenizeAnswer, ModelList, ModelBody, ErrorEnvelope),
    *(UsageList, ResponseItemList, DeletedResponse, ScopedJwtRequest, ScopedJwt, ScopedJwtBody),
    *STORAGE_STRUCTS,
    *(ResponsesRequest, responses.ResponseObject, *get_args(responses.StreamEvent)),
    *(MessagesRequest, anthropic.AnthropicMessage, MessagesCountRequest, anthropic.MessageTokensCount),
    *(anthropic.AnthropicModelList, anthropic.AnthropicModel, *get_args(anthropic.StreamEvent)),
)
_MODEL: Final = "meta-llama/Meta-Llama-3.1-8B-Instruct"
_CHAT_EXAMPLE: Final = {"model": _MODEL, "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
_MESSAGES_EXAMPLE: Final = {"model": _MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello!"}]}
_COMPLETION_EXAMPLE: Final = {"model": _MODEL, "prompt": "Once upon a time", "max_tokens": 32}
GROUPS: Final = {
    Treatment.REFUSED: "Refused by name unless the value has no effect",
    Treatment.WITHOUT_EFFECT: "Accepted without effect",
    Treatment.REPORTED: "Accepted without effect, and named in the response header `x-ignored-parameters`",
}
_USAGE_PARAMETERS: Final = {
    "by": "What the sums are grouped by: key, owner, user, token, model, endpoint, outcome, month, day, hour; any of "
    "them, with commas.",
    "since": "Calls that arrived from then on: a date or a time of UTC, as 2027-01-31.",
    "until": "Calls that arrived before then.",
    **{name: f"Calls with this {name} only." for name in ("token", "user", "model", "endpoint", "outcome")},
}


def paths() -> dict[str, Any]:
    """All of them."""
    return {**_generating_paths(), **_stored_responses_paths(), **_other_paths(), **storage_paths()}


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
            "post": operation(
                "The tokens of a message's prompt: Anthropic's API",
                anthropic.MessageTokensCount,
                MessagesCountRequest,
                {name: value for name, value in _MESSAGES_EXAMPLE.items() if name != "max_tokens"},
                anthropic.AnthropicError,
            )
        },
        "/v1/models": {"get": operation("The served models", ModelList)},
        "/v1/models/{id}": {"get": operation("One model, by id or alias", ModelBody) | {"parameters": [ID]}},
        "/v1/usage": {
            "get": operation("What the key has used, and what it cost", UsageList)
            | {"parameters": [query_parameter(name, words) for name, words in _USAGE_PARAMETERS.items()]}
        },
        "/v1/scoped-jwt": {
            "post": operation(
                "A scoped token of the key", ScopedJwt, ScopedJwtRequest, {"models": [_MODEL], "expires_delta": 3600}
            ),
            "get": operation("What a scoped token of the key is for", ScopedJwtBody)
            | {"parameters": [query_parameter("jwtoken", "The token.") | {"required": True}]},
        },
        "/tokenize": {
            "post": operation(
                "The tokens of a text", TokenizeAnswer, TokenizeRequest, {"model": _MODEL, "prompt": "Hello!"}
            )
        },
        "/detokenize": {
            "post": operation(
                "The text of tokens", DetokenizeAnswer, DetokenizeRequest, {"model": _MODEL, "tokens": [72, 73]}
            )
        },
    }


def _stored_responses_paths() -> dict[str, Any]:
    paged = {
        "parameters": [
            ID,
            query_parameter("limit", "Items of a page.", type="integer", minimum=1, maximum=100, default=20),
            query_parameter("order", "The oldest first, or the newest.", enum=["asc", "desc"], default="desc"),
            query_parameter("after", "The page behind this item, by its id."),
        ]
    }
    own = {"parameters": [ID]}
    return {
        "/v1/responses/{id}": {
            "get": operation("A stored response", responses.ResponseObject) | own,
            "delete": operation("Delete a stored response", DeletedResponse) | own,
        },
        "/v1/responses/{id}/input_items": {
            "get": operation("The items that a stored response was made of", ResponseItemList) | paged
        },
        "/v1/responses/{id}/cancel": {
            "post": operation("Refused: there are no responses in the background", responses.ResponseObject) | own
        },
    }


def _generates(
    summary: str,
    request: type[msgspec.Struct],
    answer: type[msgspec.Struct],
    events: Sequence[type[msgspec.Struct]],
    example: dict[str, Any],
    error: type[msgspec.Struct] = ErrorEnvelope,
) -> dict[str, Any]:
    """An operation with a JSON response or, with `stream: true`, server-sent events that hold one of `events` each."""
    described = operation(summary, answer, request, example, error)
    described["description"] = "\n\n".join(
        f"{words}: {', '.join(f'`{name}`' for name in names)}."
        for treatment, words in GROUPS.items()
        if (names := names_of(FIELDS[request], treatment))
    )
    # OpenAPI 3.1 cannot describe the schema of an event.
    schemas = [schema_of(event)["schema"] for event in events]
    one_of = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    described["responses"]["200"]["content"]["text/event-stream"] = {"x-event-schema": one_of}
    timeout = {"type": "number", "exclusiveMinimum": 0}
    described["parameters"] = [
        {"name": "x-request-timeout", "in": "header", "description": "Seconds until 504.", "schema": timeout}
    ]
    return described
