"""Token ids of texts that come again: system prompts, tools, and the turns of a conversation that continues."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.engine.model.tokenizer import Tokenizer

# Characters of all texts together: 4 bytes each at most, and 4 bytes for each token.
MAX_CHARACTERS: Final = 4_000_000
# Of the whole, so that no text displaces all others.
_LARGEST_SHARE: Final = 16


class TokenCache:
    """Encodes texts, and keeps the ids of those that were used last. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer, most_characters: int = MAX_CHARACTERS) -> None:
        self._tokenizer = tokenizer
        self._most = most_characters
        self._longest = most_characters // _LARGEST_SHARE
        self._characters = 0
        self._ids: OrderedDict[str, array[int]] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, text: str, most: int | None = None) -> Sequence[int]:
        """The ids of plain text; TooManyTokensError as `Tokenizer.encode` raises it."""
        with self._lock:
            ids = self._ids.get(text)
            if ids is not None:
                self._ids.move_to_end(text)
                return ids
        encoded = self._tokenizer.encode(text, most)
        if len(text) > self._longest:
            return encoded
        with self._lock:
            if text not in self._ids:
                self._ids[text] = array("I", encoded)
                self._characters += len(text)
            while self._characters > self._most:
                forgotten, _ = self._ids.popitem(last=False)
                self._characters -= len(forgotten)
        return encoded
