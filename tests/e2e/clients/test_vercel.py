"""Vercel's SDK, from npm: `ai` with `@ai-sdk/openai-compatible`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS
from tests.support.npm import installed, node
from tests.support.service import Service

PROGRAM = Path(__file__).with_name("vercel.mjs")
PACKAGES = [CLIENTS["Vercel's SDK"].package, "@ai-sdk/openai-compatible@3.0.92", "zod@4.6.7"]


@pytest.fixture(scope="module")
def seen(llama_cpp: Service) -> dict[str, Any]:
    # Node looks for packages where the program lies.
    program = shutil.copy(PROGRAM, installed(PACKAGES))
    command = [node(), program, llama_cpp.url + "/v1", REFERENCE_MODEL]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr.decode()
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def test_an_answer_is_the_same_whole_and_streamed_with_its_usage(seen: dict[str, Any]) -> None:
    assert seen["whole"]["text"]
    assert seen["whole"] == seen["streamed"]
    assert seen["completion"]


def test_an_object_and_the_input_of_a_tool_have_their_schema(seen: dict[str, Any]) -> None:
    for value in (seen["object"], seen["call"]["input"], seen["streamedCall"]["input"]):
        assert set(value) == {"name", "age"}
        assert isinstance(value["age"], int)
    assert seen["call"]["name"] == "note"
    assert seen["call"]["finish"] == seen["streamedCall"]["finish"] == "tool-calls"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("field", 400, "invalid_value"),
        ("model", 404, "model_not_found"),
        ("length", 400, "context_length_exceeded"),
    ],
)
def test_errors_are_calls_that_failed_with_our_words(seen: dict[str, Any], kind: str, status: int, code: str) -> None:
    expected = {"thrown": "AI_APICallError", "statusCode": status, "isRetryable": False, "code": code, "same": True}
    assert seen["errors"][kind] == expected
