"""The three examples of the reference service's page, sent as its readers send them: with curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.service import Service

CURL = shutil.which("curl")
HELLO = {"model": REFERENCE_MODEL, "messages": [{"role": "user", "content": "Hello!"}]}
CONVERSATION = {
    "model": REFERENCE_MODEL,
    "messages": [
        {"role": "system", "content": "Respond like a michelin starred chef."},
        {"role": "user", "content": "Can you name at least two different techniques to cook lamb?"},
        {
            "role": "assistant",
            "content": "Bonjour! There is the slow braise, and there is roasting in a crust of salt.",
        },
        {"role": "user", "content": "Tell me more about the second method."},
    ],
}

pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")


def curl(service: Service, body: dict[str, Any]) -> str:
    command = [CURL or "", "-sS", "-X", "POST", f"{service.url}/v1/openai/chat/completions"]
    command += ["-H", "Content-Type: application/json", "-H", "Authorization: Bearer demo", "-d", json.dumps(body)]
    return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout.decode()  # noqa: S603


@pytest.mark.parametrize("body", [HELLO, CONVERSATION], ids=["one message", "a conversation"])
def test_an_example_is_answered(llama_cpp: Service, body: dict[str, Any]) -> None:
    answer = json.loads(curl(llama_cpp, body))
    assert answer["choices"][0]["message"]["content"].strip()
    assert 0 < answer["usage"]["estimated_cost"] < 0.01


def test_the_streamed_example_is_a_stream_of_events_that_ends_with_done(llama_cpp: Service) -> None:
    lines = curl(llama_cpp, {**HELLO, "stream": True}).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text.strip()
    assert "<|" not in text
