"""Folds the events of an answer into the whole answer; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chasqui.v1 import chat_pb2, chat_service_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.stream_pb2 import StreamEvent


def fold_response(events: Sequence[StreamEvent]) -> chat_service_pb2.ChatResponse:
    """The answer that the events tell, from Started to Completed; ValueError if they are not whole."""
    response = chat_service_pb2.ChatResponse()
    texts: dict[int, list[str]] = {}
    for event in events:
        kind = event.WhichOneof("event")
        if kind == "started":
            started = event.started
            response.id, response.model = started.id, started.model
            response.created.CopyFrom(started.created)
            response.system_fingerprint = started.system_fingerprint
        elif kind == "delta":
            texts.setdefault(event.delta.index, []).append(event.delta.content)
        elif kind == "finish":
            finish = event.finish
            message = chat_pb2.Message(
                role=chat_pb2.ROLE_ASSISTANT,
                content=[chat_pb2.ContentPart(text="".join(texts.get(finish.index, ())))],
            )
            choice = response.choices.add(index=finish.index, message=message, finish_reason=finish.finish_reason)
            if finish.HasField("stop_reason"):
                choice.stop_reason = finish.stop_reason
        elif kind == "completed":
            response.usage.CopyFrom(event.completed.usage)
            response.timings.CopyFrom(event.completed.timings)
            response.choices.sort(key=lambda choice: choice.index)
            return response
    raise ValueError("the events end before the answer is complete")
