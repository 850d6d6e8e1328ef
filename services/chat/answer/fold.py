"""Folds the events of an answer into the whole answer; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.stream_pb2 import StreamEvent


def fold_response(events: Sequence[StreamEvent]) -> chat_service_pb2.ChatResponse:
    """The answer that the events tell, from Started to Completed; ValueError if they are not whole."""
    response = chat_service_pb2.ChatResponse()
    texts: dict[int, list[str]] = {}
    calls: dict[int, dict[int, tool_pb2.ToolCall]] = {}
    logprobs: dict[int, list[chat_pb2.TokenLogprob]] = {}
    for event in events:
        kind = event.WhichOneof("event")
        if kind == "started":
            started = event.started
            response.id, response.model = started.id, started.model
            response.created.CopyFrom(started.created)
            response.system_fingerprint = started.system_fingerprint
        elif kind == "delta":
            texts.setdefault(event.delta.index, []).append(event.delta.content)
            logprobs.setdefault(event.delta.index, []).extend(event.delta.logprobs.content)
            for delta in event.delta.tool_calls:
                _add_call(calls.setdefault(event.delta.index, {}), delta)
        elif kind == "finish":
            finish = event.finish
            text, made = "".join(texts.get(finish.index, ())), calls.get(finish.index, {})
            message = chat_pb2.Message(
                role=chat_pb2.ROLE_ASSISTANT,
                content=[chat_pb2.ContentPart(text=text)] if text or not made else None,
                tool_calls=made.values(),
            )
            choice = response.choices.add(index=finish.index, message=message, finish_reason=finish.finish_reason)
            if finish.HasField("stop_reason"):
                choice.stop_reason = finish.stop_reason
            if logprobs.get(finish.index):
                choice.logprobs.content.extend(logprobs[finish.index])
        elif kind == "completed":
            response.usage.CopyFrom(event.completed.usage)
            response.timings.CopyFrom(event.completed.timings)
            response.choices.sort(key=lambda choice: choice.index)
            return response
    raise ValueError("the events end before the answer is complete")


def _add_call(calls: dict[int, tool_pb2.ToolCall], delta: tool_pb2.ToolCallDelta) -> None:
    """Add a piece to the call that it belongs to; calls begin in the order of their index."""
    call = calls.setdefault(delta.index, tool_pb2.ToolCall())
    if delta.HasField("id"):
        call.id = delta.id
    if delta.HasField("name"):
        call.function.name = delta.name
    call.function.arguments += delta.arguments
