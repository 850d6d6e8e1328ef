"""A sink for the engine's own generations: it keeps nothing but an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.engine.api import ChoiceEnd, End, TokenDelta


class SilentSink:
    """Nobody reads what it gets."""

    def __init__(self) -> None:
        self.error: str | None = None

    def token_delta(self, delta: TokenDelta) -> None:
        """Nothing to do."""

    def choice_end(self, end: ChoiceEnd) -> None:
        """Nothing to do."""

    def end(self, end: End) -> None:
        """Keep the error."""
        self.error = end.error
