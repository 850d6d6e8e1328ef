"""The demo model's weights, as they ship."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import gguf

from tests.demo_model import spec as model
from tests.demo_model.answerers import Gguf


def field(reader: gguf.GGUFReader, name: str) -> Any:
    found = reader.get_field(name)
    assert found is not None, name
    return found.contents()


def test_the_shipped_gguf_is_small_and_says_what_it_is() -> None:
    assert model.WEIGHTS.stat().st_size < 16_000_000
    reader = gguf.GGUFReader(model.WEIGHTS)
    assert field(reader, "general.name") == "chasqui-demo"
    assert field(reader, "general.license") == "Apache-2.0"
    assert field(reader, "general.architecture") == "llama"
    assert field(reader, "llama.context_length") == 4096
    assert field(reader, "tokenizer.chat_template") == model.CHAT_TEMPLATE
    assert tuple(field(reader, "tokenizer.ggml.tokens")[-8:]) == model.SPECIAL_TOKENS


def test_the_shipped_gguf_greets_and_stops_by_itself() -> None:
    with closing(Gguf(model.WEIGHTS)) as demo:
        reply = demo.answer([{"role": "user", "content": "Hello!"}], [])
    assert reply.stopped
    assert "?" in reply.text or "!" in reply.text
