"""Where a caller's prompt parts from an earlier one: from there on, its KV cache could not be reused."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# Per caller; a program may have several conversations at a time.
_PROMPTS: Final = 8
# Of all callers together, 4 bytes each; the callers that were silent for the longest time are forgotten first.
_MOST_TOKENS: Final = 2_000_000
_TOKEN_BYTES: Final = 4
# Prompts are compared in blocks of this many bytes, in C.
_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class SharedPrompt:
    """The beginning that a prompt has in common with the most similar of its caller's last ones."""

    tokens: int
    previous_tokens: int  # of that earlier prompt in all; equal to `tokens` if the prompt continues it


class PromptHistory:
    """The last prompts of each caller. Thread-safe."""

    def __init__(self, most_tokens: int = _MOST_TOKENS) -> None:
        self._most_bytes = most_tokens * _TOKEN_BYTES
        self._bytes = 0
        self._callers: OrderedDict[str, deque[bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def compare(self, caller: str, prompt: Sequence[int]) -> SharedPrompt | None:
        """The beginning that the prompt shares with an earlier one of the caller, None for the first; remembers it."""
        ids = array("I", prompt).tobytes()
        with self._lock:
            earlier = self._callers.setdefault(caller, deque())
            longest = max(((_common(ids, one), -len(one)) for one in earlier), default=None)
            self._remember(caller, ids)
        return None if longest is None else SharedPrompt(longest[0], -longest[1] // _TOKEN_BYTES)

    def _remember(self, caller: str, ids: bytes) -> None:
        self._callers.move_to_end(caller)
        earlier = self._callers[caller]
        earlier.append(ids)
        self._bytes += len(ids)
        if len(earlier) > _PROMPTS:
            self._bytes -= len(earlier.popleft())
        while self._bytes > self._most_bytes and len(self._callers) > 1:
            _, forgotten = self._callers.popitem(last=False)
            self._bytes -= sum(map(len, forgotten))


def _common(one: bytes, other: bytes) -> int:
    """The number of equal ids at the beginning of both."""
    if one.startswith(other) or other.startswith(one):
        return min(len(one), len(other)) // _TOKEN_BYTES
    start = 0
    while one[start : start + _BLOCK] == other[start : start + _BLOCK]:
        start += _BLOCK
    while one[start : start + _TOKEN_BYTES] == other[start : start + _TOKEN_BYTES]:
        start += _TOKEN_BYTES
    return start // _TOKEN_BYTES
