"""Text to token ids without special tokens, and ids back to text as they arrive."""

from __future__ import annotations

import codecs
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.engine.model.vocabulary import Vocabulary

# Encoding takes some 150 bytes of memory for each byte. A text that has more than this many for each token that it may
# have is encoded in slices, until there are too many; natural text has four.
_BYTES_PER_TOKEN = 6
_SLICE = 65_536
# Upper bound of the tokens that a cut adds, by splitting one word.
_CUT = 16


class TooManyTokensError(Exception):
    """A text has more tokens than allowed: at least `count`. It was not encoded to its end."""

    def __init__(self, count: int) -> None:
        super().__init__(f"at least {count} tokens")
        self.count = count


class Tokenizer:
    """A model's tokenizer, of `size` tokens.

    `special_tokens` maps the spelling of each special token to its id. `encode` never returns one of them, so text from
    a user can neither end a turn nor open one. `opening` are the ids that every prompt begins with: the begin-of-text
    token, or none.
    """

    def __init__(
        self,
        encode: Callable[[str, int | None], list[int]],
        vocabulary: Vocabulary,
        opening: Sequence[int] = (),
        *,
        remote: bool = False,
    ) -> None:
        """`encode` is the model's algorithm; it keeps the promise about `vocabulary.special`.

        It raises TooManyTokensError if a text has more tokens than its second argument. With `remote` it waits for
        somebody else, and not only for its own work.
        """
        self.opening = opening
        self.remote = remote
        self.special_tokens = vocabulary.special
        self._encode = encode
        self._token_bytes = vocabulary.token_bytes
        self._spelled = {token: text.encode() for text, token in vocabulary.special.items()}
        self.size = len(vocabulary.token_bytes)

    def encode(self, text: str, most: int | None = None) -> list[int]:
        """The ids of plain text; blocking, and CPU-bound outside the GIL.

        With `most`, time and memory are bounded by it: TooManyTokensError for a text that has more.
        """
        if most is not None and len(text.encode()) > most * _BYTES_PER_TOKEN:
            self._check(text, most)
        return self._encode(text, most)

    def _check(self, text: str, most: int) -> None:
        count = 0
        for start in range(0, len(text), _SLICE):
            count += len(self.encode(text[start : start + _SLICE])) - _CUT
            if count > most:
                raise TooManyTokensError(count)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, with special tokens spelled out; bytes that are not UTF-8 become U+FFFD."""
        spelled = self._spelled
        return b"".join([spelled.get(token, self._token_bytes[token]) for token in ids]).decode("utf-8", "replace")

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """The text of each id by itself, as `decode` has it."""
        spelled = {token: text.encode() for text, token in self.special_tokens.items()}
        return [spelled.get(token, self._token_bytes[token]).decode("utf-8", "replace") for token in ids]

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token adds to a text; none for a control token."""
        return self._token_bytes[token]

    @cached_property
    def duplicates(self) -> frozenset[int]:
        """Ids of the tokens whose bytes another one has, too: SentencePiece's "," and its byte token <0x2C>."""
        count = Counter(self._token_bytes)
        return frozenset(token for token, data in enumerate(self._token_bytes) if data and count[data] > 1)

    def decoder(self) -> TextDecoder:
        """A decoder for one choice."""
        return TextDecoder(self._token_bytes)

    def plain_ids(self) -> Sequence[int]:
        """Ids of the tokens that are printable ASCII text."""
        return [
            i for i, text in enumerate(self._token_bytes) if text and text.isascii() and text.decode().isprintable()
        ]


class TextDecoder:
    """Turns the ids of one choice into text as they arrive. Control tokens add nothing.

    A character that spans tokens is held back until it is whole; bytes that can never be UTF-8 become U+FFFD.
    """

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self.inside_character = False  # whether something is held back

    def push(self, ids: Sequence[int]) -> str:
        """The text that the ids complete; runs for every token."""
        table = self._token_bytes
        data = table[ids[0]] if len(ids) == 1 else b"".join([table[i] for i in ids])
        # Most tokens, without one more call.
        if data.isascii() and not self.inside_character:
            return data.decode()
        return self.push_bytes(data)

    def push_bytes(self, data: bytes) -> str:
        """The text that bytes complete."""
        # The incremental decoder is Python code and takes five times as long.
        if data.isascii() and not self.inside_character:
            return data.decode()
        text = self._utf8.decode(data)
        self.inside_character = self._utf8.getstate()[0] != b""
        return text

    def flush(self) -> str:
        """The end of the text: U+FFFD if the choice was cut inside a character."""
        return self._utf8.decode(b"", True)
