"""The events of streamed answers and the parts of whole ones, with fixed ids, times and prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from chasqui.v1 import chat_pb2, chat_service_pb2, stream_pb2, tool_pb2
from services.fold import ResponseFold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.chat.answer.outbox import AwaitedOutbox

ANSWER_ID = "chatcmpl-0123456789abcdef0123456789abcdef"
CREATED = 1_700_000_000
MODEL = "chasqui-demo"
FINGERPRINT = "simulated-1-abcdef"
PROMPT_TOKENS = 11


def started() -> stream_pb2.StreamEvent:
    """The first event."""
    return stream_pb2.StreamEvent(
        started=stream_pb2.Started(
            id=ANSWER_ID,
            created=Timestamp(seconds=CREATED),
            model=MODEL,
            system_fingerprint=FINGERPRINT,
            service_tier=chat_pb2.SERVICE_TIER_DEFAULT,
            prompt_tokens=PROMPT_TOKENS,
        )
    )


def delta(content: str, index: int = 0) -> stream_pb2.StreamEvent:
    """The next text of a choice."""
    return stream_pb2.StreamEvent(delta=stream_pb2.ChoiceDelta(index=index, content=content))


def finish(
    index: int = 0,
    reason: chat_pb2.FinishReason.ValueType = chat_pb2.FINISH_REASON_STOP,
    stop_reason: str | None = None,
) -> stream_pb2.StreamEvent:
    """The end of a choice."""
    return stream_pb2.StreamEvent(
        finish=stream_pb2.ChoiceFinish(index=index, finish_reason=reason, stop_reason=stop_reason)
    )


def counted(event: stream_pb2.StreamEvent, tokens: int) -> stream_pb2.StreamEvent:
    """The event with the usage up to it, of a prompt of 11 tokens."""
    event.usage_so_far.CopyFrom(chat_pb2.Usage(prompt_tokens=11, completion_tokens=tokens, total_tokens=11 + tokens))
    return event


def usage(completion_tokens: int = 3) -> chat_pb2.Usage:
    """A usage record in which every number is different."""
    total = PROMPT_TOKENS + completion_tokens
    return chat_pb2.Usage(
        prompt_tokens=PROMPT_TOKENS,
        completion_tokens=completion_tokens,
        total_tokens=total,
        cached_tokens=8,
        estimated_cost=total * 0.055 / 1e6,
    )


def timings() -> chat_pb2.Timings:
    """Times in which every number is different."""
    return chat_pb2.Timings(
        queue=Duration(nanos=500_000),
        tokenize=Duration(nanos=1_250_000),
        prefill=Duration(nanos=20_000_000),
        decode=Duration(seconds=1, nanos=1_000),
        total=Duration(seconds=61),
    )


def completed(completion_tokens: int = 3) -> stream_pb2.StreamEvent:
    """The last event."""
    return stream_pb2.StreamEvent(completed=stream_pb2.Completed(usage=usage(completion_tokens), timings=timings()))


def choice(
    content: str,
    index: int = 0,
    reason: chat_pb2.FinishReason.ValueType = chat_pb2.FINISH_REASON_STOP,
    stop_reason: str | None = None,
) -> chat_pb2.Choice:
    """One of the answers of a whole response."""
    parts = [chat_pb2.ContentPart(text=content)] if content else []
    return chat_pb2.Choice(
        index=index,
        message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=parts),
        finish_reason=reason,
        stop_reason=stop_reason,
    )


def response(*choices: chat_pb2.Choice) -> chat_service_pb2.ChatResponse:
    """A whole response."""
    return chat_service_pb2.ChatResponse(
        id=ANSWER_ID,
        created=Timestamp(seconds=CREATED),
        model=MODEL,
        choices=choices,
        usage=usage(),
        timings=timings(),
        system_fingerprint=FINGERPRINT,
        service_tier=chat_pb2.SERVICE_TIER_DEFAULT,
    )


def events_of(response: chat_service_pb2.ChatResponse) -> list[stream_pb2.StreamEvent]:
    """The events that a whole response is made of."""
    events = [
        stream_pb2.StreamEvent(
            started=stream_pb2.Started(
                id=response.id,
                created=response.created,
                model=response.model,
                system_fingerprint=response.system_fingerprint,
                service_tier=response.service_tier,
                prompt_tokens=response.usage.prompt_tokens,
            )
        )
    ]
    for choice in response.choices:
        calls = [
            tool_pb2.ToolCallDelta(index=index, id=call.id, name=call.function.name, arguments=call.function.arguments)
            for index, call in enumerate(choice.message.tool_calls)
        ]
        content = "".join(part.text for part in choice.message.content)
        logprobs = choice.logprobs if choice.HasField("logprobs") else None
        delta = stream_pb2.ChoiceDelta(index=choice.index, content=content, tool_calls=calls, logprobs=logprobs)
        stop_reason = choice.stop_reason if choice.HasField("stop_reason") else None
        events += [stream_pb2.StreamEvent(delta=delta), finish(choice.index, choice.finish_reason, stop_reason)]
    end = stream_pb2.Completed(usage=response.usage, timings=response.timings)
    return [*events, stream_pb2.StreamEvent(completed=end)]


def fold(events: Iterable[stream_pb2.StreamEvent]) -> chat_service_pb2.ChatResponse:
    """The whole response that events make."""
    folded = ResponseFold()
    for event in events:
        folded.add(event)
    return folded.response


async def all_taken(outbox: AwaitedOutbox) -> list[list[stream_pb2.StreamEvent]]:
    """Every batch of an answer, to its end."""
    batches: list[list[stream_pb2.StreamEvent]] = []
    while not (batches and batches[-1][-1].HasField("completed")):
        batches.append(await outbox.take())
    return batches
