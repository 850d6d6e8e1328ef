"""The client package by itself: a fresh environment runs the example of its README, which is strictly typed."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.distributions import ROOT, Environment, build

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    fresh = Environment(tmp_path_factory.mktemp("fresh"))
    fresh.install(build("proto", "wheel", tmp_path_factory.mktemp("client")))
    return fresh


def example() -> str:
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "proto" / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code in (ROOT / "README.md").read_text(encoding="utf-8")
    return str(code)


def test_the_example_streams_an_answer_with_nothing_else_installed(
    environment: Environment, simulated: Service
) -> None:
    code = example().replace("localhost:8080", simulated.target)
    done = subprocess.run([environment.python, "-I", "-c", code], capture_output=True, text=True, timeout=180)  # noqa: S603, PLW1510, RUF100
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_callers_are_type_checked_strictly(environment: Environment, tmp_path: Path) -> None:
    for types in ("types-grpcio", "types-protobuf"):
        environment.link(types)
    wrong = "from chasqui.v1 import chat_pb2\n\nchat_pb2.Message(rolle=1)\nchat_pb2.ContentPart(text=1)\n"
    for name, code in {"right.py": example(), "wrong.py": wrong}.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(environment.python), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)  # noqa: S603, PLW1510, RUF100
    errors = re.findall(r"(\w+\.py):(\d+): error: .*\[([\w-]+)\]", done.stdout)
    assert errors == [("wrong.py", "3", "call-arg"), ("wrong.py", "4", "arg-type")], done.stdout + done.stderr
