"""The engine's side of a call, for tests that push its events by hand."""

from __future__ import annotations

import asyncio

from services.engine.api import End, EngineTimings, TokenDelta


class FakeHandle:
    """A generation that only remembers what was cancelled, a choice, or None for all; and its sink, if it gets one."""

    def __init__(self) -> None:
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.cancels: list[int | None] = []
        self.sink: object = None

    def cancel(self, choice: int | None = None) -> None:
        """Remember."""
        self.cancels.append(choice)


def text_delta(text: str, *, choice: int = 0, tokens: int = 1) -> TokenDelta:
    """A token delta as llama.cpp pushes it."""
    return TokenDelta(choice, tokens, text=text)


def an_end(*, prompt: int = 10, cached: int = 0, error: str | None = None) -> End:
    """The end of a generation with distinct times of 1, 2 and 3 seconds."""
    return End(prompt, cached, 0, EngineTimings(queue=1.0, prefill=2.0, decode=3.0), error)
