"""Collects an unstreamed answer from the events of its calls, and gives its JSON in parts of a bounded size; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edge.api.writer import calls_around_text
from services.fold import ResponseFold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from chasqui.v1.chat_pb2 import ChoiceLogprobs
    from chasqui.v1.chat_service_pb2 import ChatResponse
    from chasqui.v1.stream_pb2 import ChoiceDelta, StreamEvent
    from chasqui.v1.tool_pb2 import ToolCall


class Logprobs(Protocol):
    """Collects the log probabilities of one choice."""

    def add(self, logprobs: ChoiceLogprobs) -> None:
        """Those of the next tokens, at least one."""

    def body(self) -> msgspec.Struct:
        """All of them."""


class WholeAnswer:
    """The sink of an unstreamed answer.

    Log probabilities become JSON as they come: an answer may have megabytes of them, and whatever is done to all at
    once delays every other call of the worker.
    """

    def __init__(
        self,
        encode: Callable[[ChatResponse, Mapping[int, Any]], Iterable[bytes]],
        new_logprobs: Callable[[], Logprobs] | None = None,
    ) -> None:
        """`encode` gets the response and, by choice, the bodies of its log probabilities, and gives the parts.

        Without `new_logprobs` they stay in the response.
        """
        self._encode = encode
        self._new_logprobs = new_logprobs
        self._logprobs: dict[int, Logprobs] = {}
        self._fold = ResponseFold()

    @property
    def response(self) -> ChatResponse:
        """The response so far."""
        return self._fold.response

    def add_text(self, index: int, content: str) -> None:
        """The next text of a choice."""
        self._fold.add_text(index, content)

    def add_all(self, events: Sequence[StreamEvent]) -> None:
        """The next events."""
        for event in events:
            delta = event.delta
            if self._new_logprobs is not None and delta.logprobs.content:
                if delta.index not in self._logprobs:
                    self._logprobs[delta.index] = self._new_logprobs()
                self._logprobs[delta.index].add(delta.logprobs)
                delta.ClearField("logprobs")
            self._fold.add(event)

    def json(self) -> Iterable[bytes]:
        """The parts of the JSON, which may be made as they are taken."""
        return self._encode(self.response, {index: each.body() for index, each in self._logprobs.items()})


class OrderedAnswer(WholeAnswer):
    """The same for an API in which the order of texts and calls can be seen; the answer has one choice."""

    def __init__(
        self,
        encode: Callable[[ChatResponse, Sequence[str | ToolCall], Any], bytes],
        new_logprobs: Callable[[], Logprobs] | None = None,
    ) -> None:
        """`encode` gets the response, its texts and calls in their order, and the log probabilities or None."""
        super().__init__(lambda response, logprobs: [encode(response, self._parts(), logprobs.get(0))], new_logprobs)
        self._order: list[list[str] | int] = []  # texts, and indexes of calls
        self._text: list[str] | None = None  # the last of them, if it is a text
        self._call: int | None = None  # or a call

    def add_text(self, index: int, content: str) -> None:
        """The next text."""
        self._add_part(content)
        super().add_text(index, content)

    def add_all(self, events: Sequence[StreamEvent]) -> None:
        """The next events."""
        for event in events:
            if event.HasField("delta"):
                self._add_parts(event.delta)
        super().add_all(events)

    def _add_parts(self, delta: ChoiceDelta) -> None:
        _, begun = calls_around_text(delta, self._call)
        if delta.content or delta.logprobs.content:
            self._add_part(delta.content)
        for call in begun:
            self._order.append(call.index)
            self._text, self._call = None, call.index

    def _add_part(self, content: str) -> None:
        if self._text is None:
            self._text, self._call = [], None
            self._order.append(self._text)
        self._text.append(content)

    def _parts(self) -> list[str | ToolCall]:
        [choice] = self.response.choices
        calls = choice.message.tool_calls
        return [calls[part] if isinstance(part, int) else "".join(part) for part in self._order]


def without_brackets(values: list[Any]) -> msgspec.Raw:
    """The JSON of a list's items, which stands for all of them in a longer list; the list has at least one."""
    return msgspec.Raw(msgspec.json.encode(values)[1:-1])
