"""A whole response over gRPC, serialized as its events come.

At the end of an answer with log probabilities protobuf would hold the event loop for 0.1 s: it has hundreds of
thousands of messages in it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from chasqui.v1 import chat_pb2, chat_service_pb2
from services.fold import ResponseFold

if TYPE_CHECKING:
    from chasqui.v1.chat_pb2 import Timings
    from chasqui.v1.stream_pb2 import StreamEvent


def _tag(kind: Any, field: str) -> bytes:
    """What a field of a message's bytes begins with: https://protobuf.dev/programming-guides/encoding/."""
    return _varint(kind.DESCRIPTOR.fields_by_name[field].number << 3 | 2)


def _varint(value: int) -> bytes:
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


_CHOICES: Final = _tag(chat_service_pb2.ChatResponse, "choices")
_LOGPROBS: Final = _tag(chat_pb2.Choice, "logprobs")


class SerializedResponse:
    """Takes the events of one call as they come; `data` is the ChatResponse once it is `complete`, after Completed."""

    def __init__(self) -> None:
        self.size = 0  # bytes of the events; the response has a few more for each choice
        self._fold = ResponseFold()
        # By choice. The bytes of messages of which the one is all fields of the other are those of one with both.
        self._logprobs: defaultdict[int, list[bytes]] = defaultdict(list)

    @property
    def complete(self) -> bool:
        """Whether Completed has come."""
        return self._fold.complete

    @property
    def timings(self) -> Timings:
        """Those of the answer, once it is complete."""
        return self._fold.response.timings

    def add(self, event: StreamEvent) -> None:
        """The next event, which changes."""
        if event.delta.logprobs.content:
            logprobs = event.delta.logprobs.SerializeToString()
            self.size += len(logprobs)
            self._logprobs[event.delta.index].append(logprobs)
            event.delta.ClearField("logprobs")
        self.size += event.ByteSize()
        self._fold.add(event)

    def data(self) -> bytes:
        """The response, in the bytes that protobuf has for it, but for the order of fields."""
        response = self._fold.response
        if not self._logprobs:
            return response.SerializeToString()
        choices: list[bytes] = []
        for choice in response.choices:
            fields = [choice.SerializeToString(), *self._logprobs_of(choice.index)]
            choices += [_CHOICES, _varint(sum(map(len, fields))), *fields]
        response.ClearField("choices")
        return b"".join([response.SerializeToString(), *choices])

    def _logprobs_of(self, index: int) -> list[bytes]:
        """The field of a choice, in pieces; none if it has no log probabilities."""
        pieces = self._logprobs.get(index, [])
        return [_LOGPROBS, _varint(sum(map(len, pieces))), *pieces] if pieces else []
