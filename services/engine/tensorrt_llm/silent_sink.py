"""A sink for the engine's own generations; it keeps only the error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.engine.api import ChoiceEnd, End, TokenDelta, TokenLogprob


class SilentSink:
    """Drops all events but the error of the last one."""

    def __init__(self) -> None:
        self.error: str | None = None

    def prompt_logprobs(self, entries: Sequence[TokenLogprob]) -> None:
        """Drop them."""

    def token_delta(self, delta: TokenDelta) -> None:
        """Drop it."""

    def choice_end(self, end: ChoiceEnd) -> None:
        """Drop it."""

    def end(self, end: End) -> None:
        """Keep the error."""
        self.error = end.error
