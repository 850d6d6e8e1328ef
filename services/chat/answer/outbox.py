"""The events of one call that wait to be written. It has no timers.

Without load each token is written at once. Under load the text of a choice merges until the writer collects it, so that
batches grow with the load. Events of one choice keep their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from chasqui.v1 import stream_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chasqui.v1.chat_pb2 import FinishReason, TokenLogprob
    from services.errors import ChasquiError

# Characters of an answer that may wait for a caller who does not read them.
MOST_UNREAD: Final = 1024 * 1024
# Characters that are collected at once, if they are more than text: no answer makes a message of its own size, and none
# that takes long to build and to read.
BATCH: Final = 64 * 1024
# About what a log probability takes, in characters of text.
LOGPROB_CHARACTERS: Final = 32

# The text before it, id and name, if the call has begun since the last message, and its arguments as they came.
_GatheredCall = tuple[str, str | None, str | None, list[str]]


class Outbox:
    """Filled by the engine's callbacks, emptied by one writer; both run in the event loop's thread.

    `on_ready` is called with this outbox when there is something to collect, and not again before it is collected. Of
    an answer that is not `streamed`, that is when the call has ended or a batch is full.
    """

    def __init__(self, *, streamed: bool, on_ready: Callable[[Any], None]) -> None:
        self.streamed = streamed
        self.tokens = 0  # completion tokens of the call so far, counted by the owner
        self.unread = 0  # characters
        self.only_text = True  # whether there is only text to collect
        self.failure: ChasquiError | None = None  # set when the call has failed
        self._on_ready = on_ready
        self._counted_prompt: int | None = None  # tokens of the prompt, if events carry the usage so far
        self._batch = 0 if streamed else BATCH
        self.is_ready = False  # announced, and not collected since
        self._collected = False  # ever, if it is not streamed
        self._started: stream_pb2.Started | None = None
        # By choice.
        self._texts: dict[int, list[str]] = {}
        self._calls: dict[int, dict[int, _GatheredCall]] = {}
        self._logprobs: dict[int, list[TokenLogprob]] = {}
        self._finishes: list[stream_pb2.StreamEvent] = []
        self._completed: stream_pb2.Completed | None = None
        # Batches that are full and leave first: their events, their characters, and those of them in `unread`.
        self._full: deque[tuple[list[stream_pb2.StreamEvent], int, int]] = deque()
        self._unread_full = 0

    @property
    def next_size(self) -> int:
        """About how many characters will be collected next."""
        return self._full[0][1] if self._full else self.unread

    @property
    def can_begin_again(self) -> bool:
        """Whether the caller has nothing of the answer but Started, and nothing else is about to be sent."""
        return not self.tokens if self.streamed else not (self._collected or self.is_ready)

    def count_usage(self, prompt_tokens: int) -> None:
        """Have every event carry the usage so far; to be called before `start`."""
        self._counted_prompt = prompt_tokens
        self.only_text = False

    def start(self, started: stream_pb2.Started) -> None:
        """The call was accepted."""
        self._started = started
        self._added()

    def add_echo(self, text: str, n: int, logprobs: Sequence[TokenLogprob] = ()) -> None:
        """The prompt, or the next tokens of it, repeated in `n` choices behind `start` and before anything else.

        It is not counted as unread: it is there at once, and the caller has had no time to read it.
        """
        started = [] if self._started is None else [stream_pb2.StreamEvent(started=self._started)]
        self._started = None
        parts = [text[at : at + BATCH] for at in range(0, len(text), BATCH)] or [""]
        deltas = [
            stream_pb2.StreamEvent(delta=stream_pb2.ChoiceDelta(index=choice, content=part, echo=True))
            for choice in range(n)
            for part in parts
        ]
        for delta in deltas[len(parts) - 1 :: len(parts)] if logprobs else ():
            delta.delta.logprobs.content.extend(logprobs)
        self._count([*started, *deltas])
        size = sum(LOGPROB_CHARACTERS * (1 + len(token.top_logprobs)) for token in logprobs)
        batches = [deltas] if n * (len(text) + size) <= BATCH else [[delta] for delta in deltas]
        for batch in filter(None, (started, *batches)):
            characters = sum(len(event.delta.content) + size * event.delta.HasField("logprobs") for event in batch)
            self._full.append((batch, characters, 0))
        self.only_text = False
        self._announce()

    def add_text(self, choice: int, text: str) -> None:
        """The next text of a choice; runs for nearly every token."""
        parts = self._texts.get(choice)
        if parts is None:
            self._texts[choice] = [text]
        else:
            parts.append(text)
        self.unread += len(text)
        if not self.is_ready and self.unread >= self._batch:
            self.is_ready = True
            self._on_ready(self)

    def add_logprobs(self, choice: int, tokens: Sequence[TokenLogprob]) -> None:
        """The log probabilities of a choice's next tokens."""
        if tokens:
            self._logprobs.setdefault(choice, []).extend(tokens)
            self._added(sum(LOGPROB_CHARACTERS * (1 + len(token.top_logprobs)) for token in tokens))
            gathered = self.unread - self._unread_full
            if gathered >= BATCH:
                self._full.append((self._gathered(), gathered, gathered))
                self._unread_full = self.unread

    def start_call(self, choice: int, index: int, call_id: str, name: str) -> None:
        """A tool call of a choice begins; text that is added from now on is behind it."""
        before = "".join(self._texts.pop(choice, ()))
        self._calls.setdefault(choice, {})[index] = (before, call_id, name, [])
        self._added(len(name))

    def add_arguments(self, choice: int, index: int, text: str) -> None:
        """The next text of a call's arguments."""
        self._calls.setdefault(choice, {}).setdefault(index, ("", None, None, []))[3].append(text)
        self._added(len(text))

    def add_finish(self, choice: int, reason: FinishReason.ValueType, stop_reason: str | None) -> None:
        """The end of a choice, after all of its text."""
        finish = stream_pb2.ChoiceFinish(index=choice, finish_reason=reason, stop_reason=stop_reason)
        self._finishes.append(stream_pb2.StreamEvent(finish=finish))
        self._added()

    def complete(self, completed: stream_pb2.Completed) -> None:
        """The end of the answer."""
        self._completed = completed
        self.only_text = False
        self._announce()

    def fail(self, error: ChasquiError) -> None:
        """End with an error. Events of a streamed answer that have gathered are still delivered, others dropped."""
        self.failure = error
        self.only_text = False
        if not self.streamed:
            self._drop()
            self._started = None
        self._announce()

    def begin_again(self) -> None:
        """Drop what has gathered of the answer: its generation starts anew."""
        self.tokens = self.unread = self._unread_full = 0
        self._drop()

    def collect_texts(self) -> list[tuple[int, str]]:
        """The text that has gathered, by choice; to be called while there is `only_text`."""
        self.is_ready = False
        self.unread = 0
        texts = [(choice, "".join(parts)) for choice, parts in self._texts.items()]
        self._texts.clear()
        return texts

    def collect(self) -> list[stream_pb2.StreamEvent]:
        """The next batch; while there are more, the outbox is announced as ready again.

        The last batch of an answer ends with Completed, if there was no failure.
        """
        self.is_ready = False
        self._collected = True
        if self._full:
            events, _, unread = self._full.popleft()
            self.unread -= unread
            self._unread_full -= unread
            if self._full or self._texts or self._calls or self._logprobs or self._finishes or self._ended:
                self._announce()
            return events
        self.only_text = self._counted_prompt is None
        self.unread = 0
        return self._gathered()

    def _drop(self) -> None:
        self._full.clear()
        self._texts.clear()
        self._calls.clear()
        self._logprobs.clear()
        self._finishes.clear()

    @property
    def _ended(self) -> bool:
        return self._completed is not None or self.failure is not None

    def _gathered(self) -> list[stream_pb2.StreamEvent]:
        """Everything that has gathered behind the full batches."""
        events = []
        if self._started is not None:
            events.append(stream_pb2.StreamEvent(started=self._started))
            self._started = None
        texts = {choice: "".join(parts) for choice, parts in self._texts.items()}
        self._texts.clear()
        deltas = {choice: _with_calls(choice, calls, texts.pop(choice, "")) for choice, calls in self._calls.items()}
        self._calls.clear()
        for choice, text in texts.items():
            deltas[choice] = [stream_pb2.ChoiceDelta(index=choice, content=text)]
        for choice, tokens in self._logprobs.items():
            # Where there are calls, those are of the text before the first one.
            first = deltas.setdefault(choice, [stream_pb2.ChoiceDelta(index=choice)])[0]
            first.logprobs.content.extend(tokens)
        self._logprobs.clear()
        events += [stream_pb2.StreamEvent(delta=delta) for several in deltas.values() for delta in several]
        events += self._finishes
        self._finishes.clear()
        self._count(events)
        if self._completed is not None:
            events.append(stream_pb2.StreamEvent(completed=self._completed))
        return events

    def _count(self, events: Sequence[stream_pb2.StreamEvent]) -> None:
        """The usage so far, in events that are on their way, if it is wanted."""
        if self._counted_prompt is None:
            return
        total = self._counted_prompt + self.tokens
        for event in events:
            event.usage_so_far.prompt_tokens = self._counted_prompt
            event.usage_so_far.completion_tokens = self.tokens
            event.usage_so_far.total_tokens = total

    def _added(self, characters: int = 0) -> None:
        """Something other than text was added."""
        self.only_text = False
        self.unread += characters
        if self.unread >= self._batch:
            self._announce()

    def _announce(self) -> None:
        if not self.is_ready:
            self.is_ready = True
            self._on_ready(self)


def _with_calls(choice: int, calls: Mapping[int, _GatheredCall], text: str) -> list[stream_pb2.ChoiceDelta]:
    """The deltas of calls, and of the texts before each and behind the last: in order, and as few as can say it.

    What a delta holds is in this order: the rest of the call that was open before, text, new calls.
    """
    deltas = [stream_pb2.ChoiceDelta(index=choice)]
    begun = False  # whether the last delta has a new call: text behind that begins another delta
    for index, (before, call_id, name, arguments) in calls.items():
        if before:
            if begun:
                deltas.append(stream_pb2.ChoiceDelta(index=choice))
            deltas[-1].content = before
        deltas[-1].tool_calls.add(index=index, id=call_id, name=name, arguments="".join(arguments))
        begun = call_id is not None
    if text:
        if begun:
            deltas.append(stream_pb2.ChoiceDelta(index=choice))
        deltas[-1].content = text
    return deltas


class AwaitedOutbox(Outbox):
    """The outbox of an RPC that carries one call and waits for its events."""

    def __init__(self, *, streamed: bool) -> None:
        self._filled = asyncio.Event()
        super().__init__(streamed=streamed, on_ready=lambda _: self._filled.set())

    async def take(self) -> list[stream_pb2.StreamEvent]:
        """Everything that has gathered, at least one event; a failure is raised once the events before it are taken.

        The last batch ends with a Completed event; take() must not be called after that.
        """
        await self._filled.wait()
        self._filled.clear()
        events = self.collect()
        if self.failure is not None:
            if not events:
                try:
                    raise self.failure
                finally:
                    self.failure = None  # its traceback holds this frame: breaks the reference cycle
            self._filled.set()
        return events
