"""An engine that generates scripted text, one token delta per turn of the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.engine.api import (
    Capabilities,
    ChoiceEnd,
    End,
    EndReason,
    EngineState,
    EngineTimings,
    Generation,
    Heartbeat,
    ModelInfo,
    Sink,
    TokenDelta,
)
from services.engine.model.byte_level import tokenizer_from_gguf
from services.engine.model.gguf_file import read_gguf
from services.settings import DEMO_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ScriptedHandle:
    """A scripted generation: a task that pushes its token deltas."""

    def __init__(self, generation: Generation, deltas: Sequence[str], sink: Sink) -> None:
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pushed = 0
        self._cancelled: set[int] = set()
        self._task = asyncio.create_task(self._run(generation, deltas, sink))

    def cancel(self, choice: int | None = None) -> None:
        """No further token delta for the choice, or for any."""
        self._cancelled |= set(range(4)) if choice is None else {choice}

    async def _run(self, generation: Generation, deltas: Sequence[str], sink: Sink) -> None:
        for choice in range(generation.n):
            reason = EndReason.STOP
            for count, delta in enumerate(deltas):
                await asyncio.sleep(0)
                if choice in self._cancelled:
                    reason = EndReason.CANCELLED
                    break
                if count == generation.max_tokens:
                    reason = EndReason.LENGTH
                    break
                sink.token_delta(TokenDelta(choice, 1, text=delta))
                self.pushed += 1
            sink.choice_end(ChoiceEnd(choice, reason))
        sink.end(End(len(generation.prompt), 0, self.pushed, EngineTimings()))
        self.released.set_result(None)


class ScriptedEngine:
    """`script` gets the text of a prompt, special tokens left out, and returns the texts of the token deltas.

    With `guided` it says that it enforces grammars: that is then for the script to do. `context_length` is that of the
    demo model unless given.
    """

    def __init__(
        self, script: Callable[[str], Sequence[str]], *, guided: bool = False, context_length: int | None = None
    ) -> None:
        gguf = read_gguf(DEMO_MODEL)
        self.handles: list[ScriptedHandle] = []
        self.capabilities = Capabilities(
            context_length or gguf.context_length,
            len(gguf.tokens),
            frozenset({"n", "temperature", "top_p"}),
            4,
            guided=guided,
        )
        self.model = ModelInfo("scripted", "none", "scripted-1", gguf.chat_template, "<|begin_of_text|>", "<|eot_id|>")
        self.tokenizer = tokenizer_from_gguf(gguf)
        self._script = script

    async def start(self) -> None:
        """Nothing to load."""

    def submit(self, generation: Generation, sink: Sink) -> ScriptedHandle:
        """Answer as the script says."""
        prompt = self.tokenizer.decoder().push(generation.prompt)
        handle = ScriptedHandle(generation, self._script(prompt), sink)
        self.handles.append(handle)
        return handle

    def heartbeat(self) -> Heartbeat:
        """Always idle."""
        return Heartbeat(EngineState.IDLE, 0, 0, 0)

    async def close(self) -> None:
        """Wait for what still runs."""
        await asyncio.gather(*(handle.released for handle in self.handles))
