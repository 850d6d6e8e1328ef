"""Messages of RPCs: small and large ones are parsed alike, and millions of fields never are."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from chasqui.v1 import chat_pb2, chat_service_pb2
from services.chat.transport.parsing import MessageParser
from services.errors import InvalidValue
from services.limits import MAX_MESSAGE_FIELDS

LARGE = "x" * 100_000


def request(**fields: object) -> chat_service_pb2.ChatRequest:
    return chat_service_pb2.ChatRequest(**fields)  # type: ignore[arg-type]


def in_a_message(parts: int) -> chat_service_pb2.ChatRequest:
    """A request of `parts` fields and two more: a message, its parts, and the text of the first."""
    content = [chat_pb2.ContentPart(text=LARGE), *[chat_pb2.ContentPart()] * (parts - 1)]
    return request(messages=[chat_pb2.Message(content=content)])


@pytest.mark.parametrize(
    "message",
    [
        request(),
        request(model="m", n=2, logprobs=True, sampling=chat_pb2.SamplingOptions(temperature=0.5, seed=2**62)),
        request(model=LARGE, sampling=chat_pb2.SamplingOptions(temperature=0.5, logit_bias={7: 1.5})),
        request(prompt=chat_pb2.Prompt(tokens=chat_pb2.TokenIds(ids=[128_000] * 1_000_000))),
        request(stop=[LARGE] * 2, stop_token_ids=[1, 2]),
        in_a_message(MAX_MESSAGE_FIELDS - 2),
    ],
    ids=["empty", "small", "large", "a million tokens", "texts", "as many fields as may be"],
)
async def test_a_message_is_parsed_whatever_its_size(message: Message) -> None:
    assert await MessageParser().parse(message.SerializeToString(), type(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        request(stop=["" for _ in range(MAX_MESSAGE_FIELDS + 1)]),
        in_a_message(MAX_MESSAGE_FIELDS - 1),
        chat_service_pb2.StreamChatRequest(chat=in_a_message(MAX_MESSAGE_FIELDS - 2)),
    ],
    ids=["of the request", "of a message in it", "of the request in a request"],
)
async def test_a_message_with_more_fields_than_the_limit_is_refused_before_it_is_parsed(message: Message) -> None:
    with pytest.raises(InvalidValue, match="more than 131,072 fields"):
        await MessageParser().parse(message.SerializeToString(), type(message))


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0b", b"\x0f"], ids=["varint", "length", "group", "wire type"]
)
async def test_bytes_that_are_not_a_message_are_refused(data: bytes, size: int) -> None:
    with pytest.raises(InvalidValue, match="not a message"):
        await MessageParser().parse(data * size, chat_service_pb2.ChatRequest)
