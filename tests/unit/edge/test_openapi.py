"""The OpenAPI document says what the code does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema
import msgspec
import pytest
from starlette.routing import Route

from edge.api.fields import Treatment, names_of
from edge.app import build_app
from edge.endpoints.health import Health
from edge.endpoints.openapi import openapi_document
from edge.http.event_stream import KeepAlive
from edge.openai.decode import decode_chat_request
from edge.openai.field_table import FIELDS
from edge.openai.request_schema import ChatCompletionRequest
from edge.openai.response import ChunkSequence, completion
from edge.upstream.client import Upstream
from services.errors import InvalidValue
from services.limits import LIMITS
from services.telemetry.spans import untraced
from tests.support import events
from tests.unit.edge.test_decode import WRONG_TYPES

DOCUMENT = openapi_document()
SCHEMAS = DOCUMENT["components"]["schemas"]


def valid(value: Any, name: str) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}


@pytest.mark.parametrize("name", LIMITS)
def test_every_range_is_that_of_the_table(name: str) -> None:
    limit = LIMITS[name]
    if name == "seed":  # REST takes negative ones, as OpenAI does
        limit = replace(limit, minimum=-(2**63))
    smallest = 1e-9 if limit.exclusive_minimum else limit.minimum
    beyond = 1 if limit.integer else 0.001
    for value in (smallest, limit.maximum):
        assert valid(chat(**{name: int(value) if limit.integer else value}), "ChatCompletionRequest")
    below = limit.minimum if limit.exclusive_minimum else limit.minimum - beyond
    above = [] if name == "max_tokens" else [limit.maximum + beyond]  # which is clamped
    for value in (below, *above):
        assert not valid(chat(**{name: value}), "ChatCompletionRequest")


@pytest.mark.parametrize("data", [data for data, _ in WRONG_TYPES])
def test_what_the_decoder_refuses_for_its_type_the_document_refuses(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        decode_chat_request(data)
    assert not valid(msgspec.json.decode(data), "ChatCompletionRequest")


def test_a_whole_answer_and_every_chunk_satisfy_their_schemas() -> None:
    whole = completion(events.response(events.choice("Hello!")), {})
    assert valid(msgspec.to_builtins(whole), "ChatCompletion")
    sequence = ChunkSequence(n=1, include_usage=True)
    for event in (events.started(), events.delta("Hel"), events.finish(), events.completed()):
        for chunk in sequence.chunks(event):
            assert valid(msgspec.to_builtins(chunk), "ChatCompletionChunk")


def test_it_names_the_fields_that_are_refused_and_those_without_effect() -> None:
    schema = SCHEMAS["ChatCompletionRequest"]
    words = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["description"]
    for treatment in (Treatment.REFUSED, Treatment.WITHOUT_EFFECT, Treatment.REPORTED):
        names = names_of(FIELDS[ChatCompletionRequest], treatment)
        assert names
        assert schema[f"x-{treatment.name.lower().replace('_', '-')}"] == names
        assert all(f"`{name}`" in words for name in names)


def test_every_example_satisfies_its_own_schema() -> None:
    seen = 0
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                assert valid(content["example"], content["schema"]["$ref"].rpartition("/")[2])
                seen += 1
    assert seen == 9


def routes() -> list[Route]:
    upstream = Upstream("unix:/nobody", "")
    app = build_app(upstream, Health(upstream), KeepAlive(1.0, 1.0), untraced())
    # The one that is there to be 404 is not served.
    return [route for route in app.routes if isinstance(route, Route) and route.name != "missing"]


async def test_every_path_and_method_of_openai_s_apis_is_documented_and_no_other() -> None:
    served = {
        (route.path.replace(":path}", "}"), method.lower())
        for route in routes()
        for method in (route.methods or set()) - {"HEAD"}
        if route.path.startswith(("/v1/", "/tokenize", "/detokenize")) and not route.path.startswith("/v1/openai/")
    }
    assert served == {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}


@pytest.mark.parametrize("path", [path for path in DOCUMENT["paths"] if "{id}" in path])
def test_a_path_with_an_id_has_its_parameter(path: str) -> None:
    for operation in DOCUMENT["paths"][path].values():
        assert [each["name"] for each in operation["parameters"] if each["in"] == "path"] == ["id"]


@pytest.mark.parametrize("wrong", [{"endpoint": "/v1/embeddings"}, {"completion_window": "1h"}, {"metadata": {"a": 1}}])
def test_a_batch_that_would_be_refused_does_not_satisfy_its_schema(wrong: dict[str, Any]) -> None:
    batch = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    assert valid(batch, "BatchRequest")
    assert not valid(batch | wrong, "BatchRequest")
