"""The examples of the front page work as they are written."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.readme import ROOT

if TYPE_CHECKING:
    from tests.support.service import Service

README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout  # noqa: S603


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_command_is_answered(simulated: Service) -> None:
    [command] = re.findall(r"^```\n(curl .*?)^```", README, re.DOTALL | re.MULTILINE)
    answer = json.loads(run(["bash", "-c", command.replace("http://localhost:8080", simulated.url)]))
    assert answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize("module", ["openai", "grpc"])
def test_a_python_example_prints_an_answer(simulated: Service, module: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    [code] = [block for block in blocks if re.search(rf"^(import|from) {module}\b", block, re.MULTILINE)]
    code = code.replace("http://localhost:8080", simulated.url).replace("localhost:8080", simulated.target)
    assert run([sys.executable, "-c", code]).strip()
