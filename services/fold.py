"""Builds a whole chat response from the events of a stream, in both processes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chasqui.v1.stream_pb2 import ChoiceDelta, ChoiceFinish, StreamEvent


class ResponseFold:
    """Takes the events of one call as they come; `response` is whole once it is `complete`, after Completed."""

    def __init__(self) -> None:
        self.complete = False
        self.response = chat_service_pb2.ChatResponse()
        self._texts: defaultdict[int, list[str]] = defaultdict(list)
        self._calls: defaultdict[int, dict[int, tool_pb2.ToolCall]] = defaultdict(dict)
        self._arguments: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
        self._choices: dict[int, chat_pb2.Choice] = {}

    def add_text(self, index: int, content: str) -> None:
        """The next text of a choice."""
        self._texts[index].append(content)

    def add_all(self, events: Iterable[StreamEvent]) -> None:
        """The next events."""
        for event in events:
            self.add(event)

    def add(self, event: StreamEvent) -> None:
        """The next event."""
        kind = event.WhichOneof("event")
        if kind == "delta":
            self._add_delta(event.delta)
        elif kind == "finish":
            self._add_finish(event.finish)
        elif kind == "started":
            started = event.started
            self.response.id, self.response.model = started.id, started.model
            self.response.created.CopyFrom(started.created)
            self.response.system_fingerprint = started.system_fingerprint
            self.response.service_tier = started.service_tier
            if started.HasField("rate_limits"):
                self.response.rate_limits.CopyFrom(started.rate_limits)
        elif kind == "completed":
            self.response.usage.CopyFrom(event.completed.usage)
            self.response.timings.CopyFrom(event.completed.timings)
            if event.completed.HasField("shared_prompt"):
                self.response.shared_prompt.CopyFrom(event.completed.shared_prompt)
            self._choices.clear()
            self.response.choices.sort(key=lambda choice: choice.index)
            self.complete = True

    def _add_delta(self, delta: ChoiceDelta) -> None:
        if delta.content:
            self._texts[delta.index].append(delta.content)
        if delta.logprobs.content:
            self._choice(delta.index).logprobs.content.extend(delta.logprobs.content)
        for call_delta in delta.tool_calls:
            call = self._calls[delta.index].setdefault(call_delta.index, tool_pb2.ToolCall())
            if call_delta.HasField("id"):
                call.id = call_delta.id
            if call_delta.HasField("name"):
                call.function.name = call_delta.name
            self._arguments[delta.index, call_delta.index].append(call_delta.arguments)

    def _add_finish(self, finish: ChoiceFinish) -> None:
        """A choice is complete: its message has a text, calls, or both; an empty text if it has neither."""
        text, calls = "".join(self._texts.pop(finish.index, ())), self._calls.pop(finish.index, {})
        for index, call in calls.items():
            call.function.arguments = "".join(self._arguments.pop((finish.index, index)))
        choice = self._choice(finish.index)
        choice.message.role = chat_pb2.ROLE_ASSISTANT
        if text or not calls:
            choice.message.content.add(text=text)
        choice.message.tool_calls.extend(calls.values())
        choice.finish_reason = finish.finish_reason
        if finish.HasField("stop_reason"):
            choice.stop_reason = finish.stop_reason

    def _choice(self, index: int) -> chat_pb2.Choice:
        """The choice in the response: what is in its place from the beginning need not be copied at the end."""
        if index not in self._choices:
            self._choices[index] = self.response.choices.add(index=index)
        return self._choices[index]
