"""Turns an engine's token deltas of one choice into the text that a caller may see: decoding, then stop sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.chat.answer.logprobs import LogprobTrail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1 import chat_pb2
    from services.engine.api import TokenDelta
    from services.engine.model.tokenizer import TextDecoder


class StopMatcher:
    """Finds the first stop sequence to be completed, wherever the text is cut.

    Text that could still become part of one is held back, so that no part of a stop sequence is shown.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """`stops` has at least one."""
        self._stops = stops
        self._longest_prefix = max(len(stop) for stop in stops) - 1
        self._held = ""
        self.matched: str | None = None

    def push(self, text: str) -> str:
        """The text that can be shown; a match sets `matched`, and the text behind it is dropped."""
        if self.matched is not None:
            return ""
        buffer = self._held + text
        # The one that is completed first; of two that are completed by the same character, the longer.
        found = [(start + len(stop), start, stop) for stop in self._stops if (start := buffer.find(stop)) >= 0]
        if found:
            _, start, self.matched = min(found)
            self._held = ""
            return buffer[:start]
        keep = self._prefix_length(buffer)
        self._held = buffer[len(buffer) - keep :]
        return buffer[: len(buffer) - keep]

    def flush(self) -> str:
        """What was held back, once the choice has ended without a match."""
        held, self._held = self._held, ""
        return held

    def _prefix_length(self, buffer: str) -> int:
        """The length of the longest end of `buffer` that is the beginning of a stop sequence."""
        for length in range(min(self._longest_prefix, len(buffer)), 0, -1):
            if any(stop.startswith(buffer[-length:]) for stop in self._stops):
                return length
        return 0


class ChoiceText:
    """The visible text of one choice."""

    def __init__(
        self, decoder: TextDecoder, stops: Sequence[str], *, logprobs: bool = False, shows_ends: bool = False
    ) -> None:
        self._decoder = decoder
        self._trail = LogprobTrail(decoder, shows_ends=shows_ends) if logprobs else None
        self._stop = StopMatcher(stops) if stops else None
        self.ended = False

    @property
    def stop_reason(self) -> str | None:
        """The stop sequence that matched."""
        return None if self._stop is None else self._stop.matched

    def push(self, delta: TokenDelta) -> str:
        """The text that a token delta makes visible."""
        if self._trail is not None:
            text = self._trail.push(delta.logprobs)
        else:
            text = delta.text or self._decoder.push(delta.ids)
        return text if self._stop is None else self._stop.push(text)

    def logprobs(self, shown: int, *, last: bool = False) -> Sequence[chat_pb2.TokenLogprob]:
        """The log probabilities of `shown` more characters, the `last` ones of the choice; none if not asked for."""
        return () if self._trail is None else self._trail.take(shown, last=last)

    def end_logprobs(self) -> None:
        """Nothing that follows is shown with its log probabilities."""
        if self._trail is not None:
            self._trail.end()

    def flush(self) -> str:
        """The last text: bytes of an incomplete character as U+FFFD, and what a stop sequence held back."""
        text = self._decoder.flush() if self._trail is None else self._trail.flush()
        if self._stop is None:
            return text
        visible = self._stop.push(text)
        return visible if self.stop_reason is not None else visible + self._stop.flush()
