"""The `openai` package of Node.js, from npm, against the whole service."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.npm import installed, node
from tests.support.service import Service

PACKAGE = "openai@7.57.0"
SCRIPT = Path(__file__).parent / "node" / "client.mjs"


@pytest.fixture(scope="session")
def program() -> Path:
    """The script beside its installed package: Node looks for packages where the script lies."""
    return Path(shutil.copy(SCRIPT, installed([PACKAGE])))


@pytest.fixture(scope="module")
def seen(program: Path, simulated: Service) -> dict[str, Any]:
    command = [node(), str(program), simulated.url + "/v1", REFERENCE_MODEL]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr.decode()
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def test_whole_streamed_and_helped_answers_are_the_same(seen: dict[str, Any]) -> None:
    content = seen["whole"]["choices"][0]["message"]["content"]
    assert content
    assert seen["streamed"] == content
    assert seen["helped"] == content
    assert seen["streamedUsage"] == seen["whole"]["usage"]
    assert seen["requestId"]


def test_log_probabilities_spell_the_answer(seen: dict[str, Any]) -> None:
    choice = seen["whole"]["choices"][0]
    spelled = b"".join(bytes(entry["bytes"]) for entry in choice["logprobs"]["content"])
    assert spelled.decode() == choice["message"]["content"]


def test_texts_models_and_errors_are_what_the_package_expects(seen: dict[str, Any]) -> None:
    assert seen["text"].startswith("Once")
    assert seen["models"] == ["simulated"]
    error = {"name": "BadRequestError", "status": 400, "param": "temperature", "code": "invalid_value"}
    assert seen["error"] == error
