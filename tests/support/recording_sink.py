"""A sink that remembers what an engine pushed, and lets a test wait for it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.engine.api import ChoiceEnd, End, TokenDelta, TokenLogprob
    from services.engine.model.tokenizer import Tokenizer


class RecordingSink:
    """Records events in the order of their arrival, and the threads that pushed them."""

    def __init__(self) -> None:
        self.events: list[TokenDelta | ChoiceEnd | End] = []
        self.prompt_entries: list[TokenLogprob] = []
        self.deltas: list[TokenDelta] = []
        self.choice_ends: list[ChoiceEnd] = []
        self.ends: list[End] = []
        self.threads: set[int] = set()
        self.first_delta = asyncio.Event()
        self.ended = asyncio.Event()

    def prompt_logprobs(self, entries: Sequence[TokenLogprob]) -> None:
        """Record."""
        self.prompt_entries += entries
        self.threads.add(threading.get_ident())

    def token_delta(self, delta: TokenDelta) -> None:
        """Record."""
        self._note(delta)
        self.deltas.append(delta)
        self.first_delta.set()

    def choice_end(self, end: ChoiceEnd) -> None:
        """Record."""
        self._note(end)
        self.choice_ends.append(end)

    def end(self, end: End) -> None:
        """Record."""
        self._note(end)
        self.ends.append(end)
        self.ended.set()

    def tokens(self, choice: int | None = None) -> int:
        """How many tokens the deltas of a choice, or of all, stand for."""
        return sum(delta.tokens for delta in self.deltas if choice in (None, delta.choice))

    def text(self, tokenizer: Tokenizer, choice: int = 0) -> str:
        """The text of a choice."""
        decoder = tokenizer.decoder()
        parts = [delta.text or decoder.push(delta.ids) for delta in self.deltas if delta.choice == choice]
        return "".join(parts) + decoder.flush()

    def _note(self, event: TokenDelta | ChoiceEnd | End) -> None:
        self.events.append(event)
        self.threads.add(threading.get_ident())
