"""`chasqui ask` and `chasqui chat`, against the whole service."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from services.cli import main
from tests.support.ports import free_port
from tests.support.service import Service

if TYPE_CHECKING:
    from pathlib import Path

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
WEATHER = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Current weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


def chasqui(command: str, service: Service, *arguments: str, typed: str = "") -> Result:
    given = [command, "--url", service.url, "--temperature", "0", *arguments]
    return CliRunner().invoke(main, given, input=typed)


def test_a_question_is_answered_and_the_status_is_0(llama_cpp: Service) -> None:
    done = chasqui("ask", llama_cpp, "What is the capital of Peru?")
    assert (done.exit_code, done.stdout) == (0, "The capital of Peru is Lima.\n")


def test_what_is_piped_in_is_asked_too_and_the_answer_follows_the_schema(llama_cpp: Service, tmp_path: Path) -> None:
    (tmp_path / "person.json").write_text(json.dumps(PERSON), encoding="utf-8")
    options = ["--json-schema", str(tmp_path / "person.json")]
    done = chasqui("ask", llama_cpp, *options, typed="Maria is 34 years old and lives in Cusco.\n")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"name": "Maria", "age": 34})


def test_an_answer_that_is_cut_off_is_printed_and_the_status_is_1(llama_cpp: Service) -> None:
    done = chasqui("ask", llama_cpp, "--max-tokens", "2", "Tell me a story about a llama")
    assert done.exit_code == 1
    assert done.stdout.strip()
    assert "cut off" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--temperature", "3"], "chasqui: temperature is 3.0, but must be a number from 0 to 2.\n"),
        (["--model", "gpt-4"], "chasqui: The model 'gpt-4' does not exist"),
        (["--url", "ftp://host"], "chasqui: ftp://host is no address of a service"),
    ],
)
def test_what_is_refused_is_a_sentence_and_the_status_is_1(
    llama_cpp: Service, arguments: list[str], words: str
) -> None:
    done = chasqui("ask", llama_cpp, *arguments, "Hello!")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(words)


def test_without_a_question_the_status_is_2(llama_cpp: Service) -> None:
    assert chasqui("ask", llama_cpp).exit_code == 2


def test_a_chat_has_instructions_tools_and_a_file_that_keeps_it(llama_cpp: Service, tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text(json.dumps(WEATHER), encoding="utf-8")
    lines = [
        "/system Be brief.",
        f"/tools {tmp_path / 'tools.json'}",
        "What is the weather in Paris?",
        '{"temperature": 3}',
        "/tools",
        "/nothing",
        f"/save {tmp_path / 'chat.json'}",
    ]
    done = chasqui("chat", llama_cpp, typed="\n".join(lines) + "\n")
    assert done.exit_code == 0, done.output
    assert 'get_weather({"city": "Paris"})' in done.stdout
    assert "There is no command /nothing" in done.stdout
    messages = json.loads((tmp_path / "chat.json").read_text(encoding="utf-8"))
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert messages[3] == {
        "role": "tool",
        "content": '{"temperature": 3}',
        "tool_call_id": messages[2]["tool_calls"][0]["id"],
    }
    assert "3" in messages[4]["content"]


def test_a_file_without_tools_and_a_refused_message_leave_the_chat_as_it_was(
    llama_cpp: Service, tmp_path: Path
) -> None:
    (tmp_path / "tools.json").write_text("{}", encoding="utf-8")
    lines = [f"/tools {tmp_path / 'tools.json'}", "/tools /nowhere.json", "x" * 5000, f"/save {tmp_path / 'chat.json'}"]
    done = chasqui("chat", llama_cpp, typed="\n".join(lines) + "\n")
    assert done.exit_code == 0
    assert "No such file" in done.stdout
    assert "context" in done.stdout
    assert json.loads((tmp_path / "chat.json").read_text(encoding="utf-8")) == []


def test_nobody_answers_at_the_address() -> None:
    done = CliRunner().invoke(main, ["ask", "--url", f"http://127.0.0.1:{free_port()}", "Hello!"])
    assert done.exit_code == 1
    assert "Nobody answers at 127.0.0.1" in done.stderr


def test_ctrl_c_stops_the_answer_and_not_the_chat(tmp_path: Path) -> None:
    with Service(engine="simulated", simulated_rate=5, model_name="slow", api_keys="s3cret") as service:
        terminal, ours = pty.openpty()
        command = [sys.executable, "-m", "services", "chat", "--url", service.url, "--key", "s3cret"]
        with subprocess.Popen(command, stdin=ours, stdout=ours, stderr=ours, start_new_session=True) as chat:  # noqa: S603
            os.close(ours)
            read_until(terminal, "> ")
            os.write(terminal, b"Talk for long\n")
            # What is typed is echoed once by the terminal, and a second time if readline began only then.
            read_until(terminal, r"for long\r\n(?!Talk)\w{4}")
            chat.send_signal(signal.SIGINT)
            read_until(terminal, "stopped")
            os.write(terminal, f"/save {tmp_path / 'chat.json'}\n".encode())
            read_until(terminal, "saved to")
            while chat.poll() is None:  # one that comes before readline is ready is lost
                os.write(terminal, b"\x04")
                time.sleep(0.1)
            assert chat.returncode == 0
        os.close(terminal)
    messages = json.loads((tmp_path / "chat.json").read_text(encoding="utf-8"))
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[1]["content"]


def read_until(terminal: int, pattern: str) -> None:
    seen = ""
    while not re.search(pattern, seen):
        seen += os.read(terminal, 4096).decode(errors="replace")
