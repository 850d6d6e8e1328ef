"""The OpenAPI document of the REST APIs, generated from the structs of requests and responses; pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from edge.anthropic.request_schema import MessagesRequest
from edge.api.fields import names_of
from edge.endpoints.openapi_paths import FIELDS, GROUPS, STRUCTS, paths
from edge.openai.request import ROLES, SEEDS
from edge.openai.request_schema import ChatCompletionRequest, CompletionRequest
from edge.responses.request_schema import ResponsesRequest
from services import __version__
from services.batches.input_file import ENDPOINTS
from services.batches.requests import WINDOW
from services.limits import LIMITS, MAX_STOPS

# Fields that share the range of another.
_SAME_RANGE: Final = {"max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens"}
_STOPS: Final = frozenset({"stop", "stop_sequences"})


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
        "paths": paths(),
        "security": [{}, {"key": []}],
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas() -> dict[str, Any]:
    """The components, with the documentation of the table of fields and the ranges of the table of limits."""
    _, schemas = msgspec.json.schema_components(STRUCTS, ref_template="#/components/schemas/{name}")
    for struct, fields in FIELDS.items():
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
        for treatment in GROUPS:
            schemas[struct.__name__][f"x-{treatment.name.lower().replace('_', '-')}"] = names_of(
                FIELDS[struct], treatment
            )
    text = schemas["CompletionRequest"]["properties"]
    _bound("top_logprobs", text["logprobs"])
    _restrict(text["prompt"], "array", minItems=1)
    schemas["FunctionCallBody"]["properties"]["arguments"]["type"] = ["string", "object", "null"]
    schemas["MessageBody"]["properties"]["role"]["enum"] = list(ROLES)
    schemas["BatchRequest"]["properties"]["endpoint"]["enum"] = list(ENDPOINTS)
    schemas["BatchRequest"]["properties"]["completion_window"]["enum"] = [WINDOW]
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
