"""Prompts of megabytes: what a running call holds of them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gguf_files import write_gguf
from tests.support.http import open_call, read_until
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STREAMS = 10
PROMPT = "x" * 900_000
BOTH = ("server", "edge")


# The test model's template drops the messages; a bare prompt is as many tokens, which the chat server does hold.
@pytest.mark.parametrize(
    ("path", "fields", "parts"),
    [
        ("chat/completions", lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 5000}, BOTH),
        ("completions", lambda text: {"prompt": text, "max_tokens": 5000}, ("edge",)),
        ("messages", lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 5000}, BOTH),
        ("responses", lambda text: {"input": text, "store": False, "max_output_tokens": 5000}, BOTH),
    ],
    ids=["chat", "completions", "messages", "responses"],
)
def test_a_running_stream_holds_no_copy_of_its_prompt(
    tmp_path: Path, path: str, fields: Callable[[str], dict[str, Any]], parts: tuple[str, ...]
) -> None:
    model = write_gguf(tmp_path / "long.gguf", llama__context_length=1_000_000)
    long: dict[str, Any] = {"model": model, "context_length": 1_000_000}
    with Service(engine="simulated", simulated_rate=20, parallel=64, **long) as service, ExitStack() as streams:

        def begin(number: int) -> None:
            body = {"model": "tiny-simulated", "stream": True, **fields(f"{number}{PROMPT}")}
            stream = streams.enter_context(open_call(f"{service.url}/v1/{path}", body))
            assert "data: " in read_until(stream, "data: ")

        def held() -> dict[str, int]:
            return {part: service.parts()[part].memory_info().rss for part in parts}

        for number in range(2):  # what is held once, caches among it
            begin(number)
        before = held()
        for number in range(STREAMS):
            begin(number)
        after = held()
    copies = {part: (after[part] - before[part]) / STREAMS / len(PROMPT) for part in parts}
    assert max(copies.values()) < 1
