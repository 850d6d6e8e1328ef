"""Operations of the OpenAPI document; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edge.openai.answer_schema import ErrorEnvelope

if TYPE_CHECKING:
    import msgspec

ID: Final = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
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


def operation(
    summary: str,
    answer: type[msgspec.Struct],
    request: type[msgspec.Struct] | None = None,
    example: dict[str, Any] | None = None,
    error: type[msgspec.Struct] = ErrorEnvelope,
) -> dict[str, Any]:
    """An operation that answers with a JSON body of `answer`, given one of `request`, or fails with one of `error`."""
    described: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": {"description": "The response.", "content": {"application/json": schema_of(answer)}}}
        | {
            status: {"description": words, "content": {"application/json": schema_of(error)}}
            for status, words in _ERRORS.items()
        },
    }
    if request is not None:
        content = {"application/json": schema_of(request) | {"example": example}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def schema_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The content of a media type that is a struct."""
    return {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}}


def query_parameter(name: str, words: str, **schema: Any) -> dict[str, Any]:
    """A parameter in the query, a text unless `schema` says otherwise."""
    return {"name": name, "in": "query", "description": words, "schema": {"type": "string", **schema}}
