"""A sink that remembers what an engine pushed, and lets a test wait for it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.engine.api import ChoiceEnd, End, Piece
    from services.engine.model.tokenizer import Tokenizer


class RecordingSink:
    """Records events in the order of their arrival, and the threads that pushed them."""

    def __init__(self) -> None:
        self.events: list[Piece | ChoiceEnd | End] = []
        self.pieces: list[Piece] = []
        self.choice_ends: list[ChoiceEnd] = []
        self.ends: list[End] = []
        self.threads: set[int] = set()
        self.first_piece = asyncio.Event()
        self.ended = asyncio.Event()

    def piece(self, piece: Piece) -> None:
        """Record."""
        self._note(piece)
        self.pieces.append(piece)
        self.first_piece.set()

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
        """How many tokens the pieces of a choice, or of all, stand for."""
        return sum(piece.tokens for piece in self.pieces if choice in (None, piece.choice))

    def text(self, tokenizer: Tokenizer, choice: int = 0) -> str:
        """The text of a choice."""
        decoder = tokenizer.decoder()
        parts = [piece.text or decoder.push(piece.ids) for piece in self.pieces if piece.choice == choice]
        return "".join(parts) + decoder.flush()

    def _note(self, event: Piece | ChoiceEnd | End) -> None:
        self.events.append(event)
        self.threads.add(threading.get_ident())
