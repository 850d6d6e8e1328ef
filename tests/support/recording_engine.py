"""An engine around an engine, which keeps what every call was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine.api import Capabilities, Generation, Handle, Heartbeat, ModelInfo, Sink
from tests.support.recording_sink import RecordingSink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.engine.api import ChoiceEnd, End, Engine, TokenDelta, TokenLogprob
    from services.engine.model.tokenizer import Tokenizer


class _Tee(RecordingSink):
    """Records, and passes on."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def prompt_logprobs(self, entries: Sequence[TokenLogprob]) -> None:
        """Record and pass on."""
        super().prompt_logprobs(entries)
        self._sink.prompt_logprobs(entries)

    def token_delta(self, delta: TokenDelta) -> None:
        """Record and pass on."""
        super().token_delta(delta)
        self._sink.token_delta(delta)

    def choice_end(self, end: ChoiceEnd) -> None:
        """Record and pass on."""
        super().choice_end(end)
        self._sink.choice_end(end)

    def end(self, end: End) -> None:
        """Record and pass on."""
        super().end(end)
        self._sink.end(end)


class RecordingEngine:
    """Everything goes to the engine inside; what it pushes is recorded on the way, call by call in `submitted`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.submitted: list[tuple[RecordingSink, Handle]] = []
        self.capabilities: Capabilities = engine.capabilities
        self.model: ModelInfo = engine.model
        self.tokenizer: Tokenizer = engine.tokenizer

    def texts(self) -> list[str]:
        """The text of the first choice of every call so far."""
        return [sink.text(self.tokenizer) for sink, _ in self.submitted]

    async def start(self) -> None:
        """Start the engine inside."""
        await self._engine.start()

    def submit(self, generation: Generation, sink: Sink) -> Handle:
        """Submit with a recording sink in between."""
        tee = _Tee(sink)
        handle = self._engine.submit(generation, tee)
        self.submitted.append((tee, handle))
        return handle

    def heartbeat(self) -> Heartbeat:
        """The heartbeat of the engine inside."""
        return self._engine.heartbeat()

    async def close(self) -> None:
        """Close the engine inside."""
        await self._engine.close()
