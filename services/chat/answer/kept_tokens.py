"""The tokens of a call that may be preempted, kept so that the engine can go on behind them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.engine.api import Generation, Sink, TokenDelta


class KeptTokens:
    """A sink between engine and call: it keeps the ids of the tokens, and passes all events on.

    Calls that are never preempted are spared it: they are their engine's sink themselves.
    """

    def __init__(self, generation: Generation, call: Sink) -> None:
        self._generation = replace(generation, reports_ids=True) if generation.can_resume else generation
        self._call = call
        self._ids: list[int] = []
        self._complete = generation.can_resume  # whether all tokens so far are among the ids
        self.prompt_logprobs = call.prompt_logprobs
        self.choice_end = call.choice_end
        self.end = call.end

    @property
    def resumable(self) -> bool:
        """Whether the engine can go on behind the tokens, to an answer as likely as without the interruption."""
        return self._complete

    @property
    def generation(self) -> Generation:
        """What the engine has to do next: all of the generation, or what is left of it."""
        return replace(self._generation, generated=tuple(self._ids)) if self._ids else self._generation

    def drop(self) -> None:
        """The generation begins again."""
        self._ids.clear()
        self._complete = self._generation.can_resume

    def token_delta(self, delta: TokenDelta) -> None:
        """Keep the tokens; runs for every token of such a call."""
        if self._complete:
            self._ids += delta.ids
            self._complete = len(delta.ids) == delta.tokens
        self._call.token_delta(delta)
