"""Where the CPU-bound work on a request runs."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2
from services.chat.request.input_processor import (
    LARGE_BYTES,
    MAX_SCORES,
    MAX_TEXT_BYTES,
    SMALL_BYTES,
    InputProcessor,
)
from services.engine.factory import build_engine
from services.engine.model.tokenizer import Tokenizer
from services.engine.model.vocabulary import Vocabulary
from services.errors import InvalidValue
from services.settings import Settings
from tests.support.recording_engine import RecordingEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOL = tool_pb2.Tool(function=tool_pb2.FunctionTool(name="ring", parameters_json='{"type": "object"}'))


class Encoder:
    """Encodes as nothing, and remembers in which threads it did."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def __call__(self, text: str, most: int | None) -> list[int]:
        self.threads.add(threading.get_ident())
        return [1]


@pytest.fixture(scope="module")
def engine() -> RecordingEngine:
    return RecordingEngine(build_engine(Settings(engine="simulated")))


@pytest.fixture(params=[False, True], ids=["local", "remote"])
def remote(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
def processor(engine: RecordingEngine, encoder: Encoder, remote: bool) -> Iterator[InputProcessor]:
    vocabulary = Vocabulary([b"a", b"b"], dict(engine.tokenizer.special_tokens), {})
    engine.tokenizer = Tokenizer(encoder, vocabulary, remote=remote)
    processor = InputProcessor(engine)
    yield processor
    processor.close()


def chat(text: str, **fields: object) -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text=text)])
    return chat_service_pb2.ChatRequest(model="demo", messages=[message], **fields)  # type: ignore[arg-type]


async def test_a_small_request_is_processed_on_the_loop_unless_its_tokenizer_waits(
    processor: InputProcessor, encoder: Encoder, remote: bool
) -> None:
    await processor.process(chat("Hello!"), "anyone")
    assert (encoder.threads == {threading.get_ident()}) is not remote


@pytest.mark.parametrize(
    "request_",
    [chat("a" * SMALL_BYTES), chat("Hello!", tools=[TOOL])],
    ids=["a large one", "with tools"],
)
async def test_other_requests_leave_the_loop_free(
    processor: InputProcessor, encoder: Encoder, request_: chat_service_pb2.ChatRequest
) -> None:
    await processor.process(request_, "anyone")
    assert threading.get_ident() not in encoder.threads


async def test_a_large_request_and_a_text_that_is_counted_delay_no_other(
    processor: InputProcessor, encoder: Encoder
) -> None:
    used: list[set[int]] = []
    for work in (
        processor.process(chat("a" * SMALL_BYTES), "anyone"),
        processor.process(chat("a" * LARGE_BYTES), "anyone"),
        processor.text_tokens("a" * LARGE_BYTES, opened=False),
    ):
        encoder.threads.clear()
        await work
        used.append(set(encoder.threads))
    assert len(set.union(*used)) == sum(map(len, used)) == 3


async def test_the_largest_small_request_is_a_matter_of_its_bytes(
    processor: InputProcessor, encoder: Encoder, remote: bool
) -> None:
    overhead = chat("").ByteSize() + 9  # the longer lengths of the text and of what holds it
    request = chat("a" * (SMALL_BYTES - overhead))
    assert SMALL_BYTES - 9 <= request.ByteSize() <= SMALL_BYTES
    await asyncio.wait_for(processor.process(request, "anyone"), 60)
    assert (threading.get_ident() in encoder.threads) is not remote


async def test_an_echo_beyond_the_limit_is_refused(processor: InputProcessor) -> None:
    def asked(size: int) -> chat_service_pb2.ChatRequest:
        return chat_service_pb2.ChatRequest(model="demo", prompt=chat_pb2.Prompt(text="a" * size, echo=True), n=4)

    assert len((await processor.process(asked(MAX_TEXT_BYTES // 4), "anyone")).echo) == MAX_TEXT_BYTES // 4
    with pytest.raises(InvalidValue) as raised:
        await processor.process(asked(MAX_TEXT_BYTES // 4 + 1), "anyone")
    assert raised.value.param == "echo"


async def test_more_log_probabilities_of_a_prompt_than_the_limit_are_refused(processor: InputProcessor) -> None:
    def asked(tokens: int) -> chat_service_pb2.ChatRequest:
        ids = chat_pb2.TokenIds(ids=[0] * tokens)
        prompt = chat_pb2.Prompt(tokens=ids, echo=True)
        return chat_service_pb2.ChatRequest(model="demo", prompt=prompt, n=4, logprobs=True, top_logprobs=15)

    assert await processor.process(asked(MAX_SCORES // 64), "anyone")
    with pytest.raises(InvalidValue) as raised:
        await processor.process(asked(MAX_SCORES // 64 + 1), "anyone")
    assert raised.value.param == "echo"
