"""LiteLLM as a client, with its own exception classes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS
from tests.support.service import Service

KEY = "k-litellm"
PROGRAM = """
import json, sys
import litellm
url, model, key = sys.argv[1:]
litellm.suppress_debug_info = True

def ask(content="Hello!", name=model, key=key, **options):
    options = {"max_tokens": 10, "temperature": 0, "max_retries": 0, **options}
    messages = [{"role": "user", "content": content}]
    return litellm.completion(model="openai/" + name, api_base=url, api_key=key, messages=messages, **options)

def failure(**options):
    try:
        ask(**options)
    except Exception as error:
        return [type(error).__name__, error.status_code]

whole, chunks = ask(), list(ask(stream=True, stream_options={"include_usage": True}))
person = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
form = {"type": "json_schema", "json_schema": {"name": "person", "schema": person}}
forced = {"tool_choice": "required", "max_tokens": 60}
tool = {"type": "function", "function": {"name": "note", "parameters": person}}
built = litellm.stream_chunk_builder(chunks)
print(json.dumps({
    "whole": [whole.choices[0].message.content, whole.usage.total_tokens],
    "streamed": [built.choices[0].message.content, built.usage.total_tokens],
    "text": litellm.text_completion(
        model="text-completion-openai/" + model, api_base=url, api_key=key, prompt="Once", max_tokens=4
    ).choices[0].text,
    "form": ask(response_format=form, max_tokens=60).choices[0].message.content,
    "call": ask(tools=[tool], **forced).choices[0].message.tool_calls[0].function["arguments"],
    "errors": {
        "field": failure(temperature=3),
        "model": failure(name="nobody"),
        "key": failure(key="wrong"),
        "length": failure(content="word " * 5000),
        "deadline": failure(extra_headers={"x-request-timeout": "0.001"}, max_tokens=500),
        "feature": failure(extra_body={"suffix": "x", "audio": {"voice": "a"}}),
    },
}))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    CLIENTS["LiteLLM"].skip_unless_installed()
    with Service(engine="llama-cpp", context_length=1024, threads=1, api_keys=KEY) as service:
        shown: dict[str, Any] = CLIENTS["LiteLLM"].run(PROGRAM, service.url + "/v1", REFERENCE_MODEL, KEY)
    return shown


def test_an_answer_is_the_same_whole_and_streamed_with_its_usage(seen: dict[str, Any]) -> None:
    assert seen["whole"][0]
    assert seen["whole"] == seen["streamed"]
    assert seen["text"]


def test_a_schema_is_enforced_in_content_and_call(seen: dict[str, Any]) -> None:
    assert seen["form"].replace(" ", "").startswith('{"age":')
    assert seen["call"].replace(" ", "").startswith('{"age":')


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("field", ["BadRequestError", 400]),
        ("model", ["NotFoundError", 404]),
        ("key", ["AuthenticationError", 401]),
        ("length", ["ContextWindowExceededError", 400]),
        ("deadline", ["Timeout", 504]),
        ("feature", ["BadRequestError", 400]),
    ],
)
def test_errors_are_of_litellms_own_classes(seen: dict[str, Any], kind: str, error: list[Any]) -> None:
    assert seen["errors"][kind] == error
