"""Writes the events of an answer as those of a Responses stream; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chasqui.v1 import chat_pb2
from edge.api.errors import failure_of
from edge.api.whole_answer import without_brackets
from edge.api.writer import ENCODER, KEEP_ALIVE, around_text, calls_around_text, frame
from edge.openai.response import logprob_entries
from edge.responses.answer_schema import (
    ArgumentsDelta,
    ArgumentsDone,
    ContentPartAdded,
    ContentPartDone,
    OutputCall,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    OutputMessage,
    OutputText,
    OutputTextDelta,
    OutputTextDone,
    ResponseCompleted,
    ResponseCreated,
    ResponseErrorBody,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
)
from edge.responses.response import CANCELLED, COMPLETED, FAILED, IN_PROGRESS, INCOMPLETE, Ids, begun, ended

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chasqui.v1.stream_pb2 import ChoiceDelta, Completed, StreamEvent
    from chasqui.v1.tool_pb2 import ToolCallDelta
    from edge.responses.answer_schema import ResponseObject
    from services.errors import ChasquiError

_RATE_LIMIT: Final = "rate_limit_exceeded"
_SERVER_ERROR: Final = "server_error"
_LAST: Final = {COMPLETED: ResponseCompleted, INCOMPLETE: ResponseIncomplete, FAILED: ResponseFailed}


class ResponseWriter:
    """A `Writer` of one response: items of text and calls, one open at a time.

    Of the text events of an item only text and number differ: the bytes around them are encoded once per item.
    """

    keep_alive = KEEP_ALIVE

    def __init__(self, repeated: ResponseObject) -> None:
        """`repeated` is what the response repeats of its request; its `store` may change until the last event."""
        self._repeated = repeated
        self._response = repeated
        self._ids = Ids("")
        self._next = 0  # the number of the next event
        self._output: list[OutputItem] = []
        self._parts: list[str] = []  # texts of the open item
        self._around: tuple[bytes, bytes] | None = None  # of the message that is open
        self._call: int | None = None  # the index of the call that is open
        self._logprobs: list[Any] = []  # of that message, as parts of JSON
        self._reason = chat_pb2.FINISH_REASON_STOP
        self._closed = b""  # what ends the open item of a response that has failed

    def text(self, _: int, content: str) -> bytes:
        """The next text of the answer."""
        opened, around = b"", self._around
        if around is None:
            opened, around = self._open_message()
        before, after = around
        self._parts.append(content)
        number = self._next
        self._next += 1
        return b"%b%b%b%b%d}\n\n" % (opened, before, ENCODER.encode(content), after, number)

    def others(self, events: Iterable[StreamEvent]) -> bytes:
        """Any other events."""
        return b"".join([self._other(event) for event in events])

    def end(self) -> bytes:
        """The last event: the whole response."""
        return self._last()

    def failed(self, error: ChasquiError) -> bytes:
        """The end of the open item, and the response as it has failed."""
        self.fail(error)
        return self._closed + self._last()

    def response(self) -> ResponseObject:
        """The response as the last event will have it, once Completed is written or it has failed."""
        return self._response

    def fail(self, error: ChasquiError | None) -> None:
        """End a response that is not complete: it has failed, or without an error its caller has gone away."""
        if self._response.status != IN_PROGRESS:
            return
        self._closed = self._close(INCOMPLETE)
        body = None
        if error is not None:
            failure = failure_of(error)
            body = ResponseErrorBody(_RATE_LIMIT if failure.status == 429 else _SERVER_ERROR, failure.message)
        status = CANCELLED if body is None else FAILED
        self._response = msgspec.structs.replace(self._response, status=status, error=body, output=self._output)

    def _last(self) -> bytes:
        self._response.store = self._repeated.store
        return self._event(_LAST[self._response.status], response=self._response)

    def _event(self, kind: Any, **fields: Any) -> bytes:
        """The next event, named by the tag of its struct."""
        event = kind(sequence_number=self._next, **fields)
        self._next += 1
        return frame(ENCODER.encode(event), kind.__struct_config__.tag)

    def _other(self, event: StreamEvent) -> bytes:
        kind = event.WhichOneof("event")
        if kind == "delta":
            return self._delta(event.delta)
        if kind == "started":
            self._ids = Ids(event.started.id)
            self._response = begun(self._response, event.started)
            response = self._response
            return self._event(ResponseCreated, response=response) + self._event(ResponseInProgress, response=response)
        if kind == "finish":
            # The last items come with the whole response: they hold the text again, more than may wait for a client.
            self._reason = event.finish.finish_reason
            return b""
        return self._completed(event.completed)

    def _delta(self, delta: ChoiceDelta) -> bytes:
        open_call, calls = calls_around_text(delta, self._call)
        written = b"" if open_call is None else self._arguments(open_call)
        if delta.logprobs.content:
            written += self._scored_text(delta)
        elif delta.content:
            written += self.text(delta.index, delta.content)
        return written + b"".join([self._arguments(call) for call in calls])

    def _scored_text(self, delta: ChoiceDelta) -> bytes:
        """A text with the log probabilities of its tokens."""
        opened = b"" if self._around is not None else self._open_message()[0]
        entries = logprob_entries(delta.logprobs)
        self._parts.append(delta.content)
        self._logprobs.append(without_brackets(entries))
        place = {"item_id": self._output[-1].id, "output_index": len(self._output) - 1}
        return opened + self._event(OutputTextDelta, delta=delta.content, logprobs=entries, **place)

    def _completed(self, completed: Completed) -> bytes:
        opened = b"" if self._output else self._open_message()[0]
        closed = self._close(INCOMPLETE if self._reason == chat_pb2.FINISH_REASON_LENGTH else COMPLETED)
        self._response = ended(self._response, self._output, self._reason, completed.usage)
        return opened + closed

    def _open_message(self) -> tuple[bytes, tuple[bytes, bytes]]:
        """The beginning of a message, and the bytes around its texts, but for the number at the end."""
        closed = self._close(COMPLETED)
        index = len(self._output)
        message = OutputMessage(self._ids.message(index), IN_PROGRESS, [])
        added = self._event(OutputItemAdded, output_index=index, item=message)
        place = {"item_id": message.id, "output_index": index}
        added += self._event(ContentPartAdded, part=OutputText(""), **place)
        self._output.append(message)

        def written(text: str) -> bytes:
            event = OutputTextDelta(delta=text, sequence_number=0, item_id=message.id, output_index=index)
            return frame(ENCODER.encode(event), "response.output_text.delta")

        before, after = around_text(written)
        self._around = before, after.removesuffix(b"0}\n\n")
        return closed + added, self._around

    def _arguments(self, call: ToolCallDelta) -> bytes:
        opened = b""
        if call.index != self._call:
            opened = self._close(COMPLETED)
            index = len(self._output)
            item = OutputCall(self._ids.call(index), call.id, call.name, "", IN_PROGRESS)
            self._output.append(item)
            self._call = call.index
            opened += self._event(OutputItemAdded, output_index=index, item=item)
        if not call.arguments:
            return opened
        self._parts.append(call.arguments)
        last = self._output[-1]
        return opened + self._event(
            ArgumentsDelta, item_id=last.id, output_index=len(self._output) - 1, delta=call.arguments
        )

    def _close(self, status: str) -> bytes:
        """The end of the open item, if there is one."""
        if self._around is None and self._call is None:
            return b""
        item, index, text = self._output[-1], len(self._output) - 1, "".join(self._parts)
        self._around = self._call = None
        self._parts = []
        item.status = status
        place = {"item_id": item.id, "output_index": index}
        if isinstance(item, OutputMessage):
            item.content = [OutputText(text, logprobs=self._logprobs)]
            done = self._event(OutputTextDone, text=text, logprobs=self._logprobs, **place)
            self._logprobs = []
            done += self._event(ContentPartDone, part=item.content[0], **place)
        else:
            item.arguments = text
            done = self._event(ArgumentsDone, name=item.name, arguments=text, **place)
        return done + self._event(OutputItemDone, output_index=index, item=item)
