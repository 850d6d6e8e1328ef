"""How events are framed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.api.writer import frame
from edge.openai.chunk_writer import DONE, ChunkWriter
from edge.openai.response import ChunkSequence
from tests.support import events


def test_an_event_is_one_data_line_and_an_empty_one() -> None:
    assert frame(b'{"a":1}') == b'data: {"a":1}\n\n'


def test_the_end_of_a_stream_is_framed_as_openai_does() -> None:
    assert DONE == b"data: [DONE]\n\n"


def started(n: int = 1) -> ChunkWriter:
    """The frames of an answer that has begun."""
    frames = ChunkWriter(ChunkSequence(n=n, include_usage=False))
    frames.others([events.started()])
    return frames


def chunks(data: bytes) -> list[dict[str, Any]]:
    """What the frames hold."""
    return [json.loads(part.removeprefix(b"data: ")) for part in data.split(b"\n\n")[:-1]]


def test_no_events_are_no_bytes() -> None:
    assert started().others([]) == b""


TEXTS = ["\n", "\r\n", "a\n\ndata: [DONE]\n\n", "\u2028\u2029\u0085", "¡Hola! 🏃", '"\\', "\0", '","role":"system"']


@pytest.mark.parametrize("text", TEXTS)
def test_whatever_a_text_holds_it_stays_in_one_event(text: str) -> None:
    data = started().text(0, text)
    line = data.removeprefix(b"data: ").removesuffix(b"\n\n")
    assert data == b"data: " + line + b"\n\n"
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line)["choices"][0]["delta"]["content"] == text


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("index", [0, 1])
def test_a_text_is_framed_as_the_event_that_it_stands_for(text: str, index: int) -> None:
    frames = started(n=2)
    assert frames.text(index, "before") == frames.others([events.delta("before", index)])
    assert frames.text(index, text) == frames.others([events.delta(text, index)])


def test_events_of_one_batch_are_framed_in_their_order() -> None:
    frames = ChunkWriter(ChunkSequence(n=1, include_usage=False))
    data = frames.others([events.started(), events.delta("a"), events.delta("b")])
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks(data)] == ["", "a", "b"]
