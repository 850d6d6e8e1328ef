"""Byte-level BPE tokenisers: text to ids without special tokens, and ids back to text as they arrive."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Final

from tokenizers import Regex, models, pre_tokenizers
from tokenizers import Tokenizer as BpeTokenizer

from services.engine.load_error import EngineLoadError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from services.engine.model.checkpoint import Checkpoint
    from services.engine.model.gguf_file import GgufModel

# GGUF's token types, as the ggml project numbers them.
_CONTROL: Final = 3
_USER_DEFINED: Final = 4

# How each family cuts text before BPE; from the checkpoints' tokenizer.json.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PRE_TOKENIZERS: Final = {
    "llama-bpe": _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _TAIL,
    "qwen2": _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _TAIL,
}


# Encoding takes some 150 bytes of memory for each character. A text that has more than this many for each token that it
# may have is encoded in slices, until there are too many; natural text has four.
_CHARACTERS_PER_TOKEN = 6
_SLICE = 65_536
# What a cut may add to the number of tokens, amply: it parts one word.
_CUT = 16


class TooManyTokensError(Exception):
    """A text has more tokens than were allowed; it was not encoded to its end, and has `count` at least."""

    def __init__(self, count: int) -> None:
        super().__init__(f"at least {count} tokens")
        self.count = count


class Tokenizer:
    """A model's byte-level BPE vocabulary with `size` tokens.

    `special_tokens` maps the text of each special token to its id; `encode` never yields one of them, so text from a
    user cannot end a turn or open one. `opening` is what every prompt begins with: the begin-of-text token or nothing.
    """

    def __init__(
        self,
        bpe: BpeTokenizer,
        token_bytes: list[bytes],
        special_tokens: dict[str, int],
        opening: Sequence[int] = (),
    ) -> None:
        self.opening = opening
        self._bpe = bpe
        self._token_bytes = token_bytes
        self.special_tokens = special_tokens
        self.size = len(token_bytes)

    def encode(self, text: str, most: int | None = None) -> list[int]:
        """The ids of plain text; releases the GIL while it works.

        With `most`, time and memory are bounded by it: TooManyTokensError for a text far longer than that.
        """
        if most is not None and len(text) > most * _CHARACTERS_PER_TOKEN:
            self._check(text, most)
        ids: list[int] = self._bpe.encode(text, add_special_tokens=False).ids
        return ids

    def _check(self, text: str, most: int) -> None:
        count = 0
        for start in range(0, len(text), _SLICE):
            count += len(self.encode(text[start : start + _SLICE])) - _CUT
            if count > most:
                raise TooManyTokensError(count)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, with special tokens spelled out; bytes that are not UTF-8 become U+FFFD."""
        spelled = {token: text.encode() for text, token in self.special_tokens.items()}
        return b"".join([spelled.get(token, self._token_bytes[token]) for token in ids]).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """What a token adds to a text; nothing for a special token."""
        return self._token_bytes[token]

    def decoder(self) -> TextDecoder:
        """A decoder for one answer."""
        return TextDecoder(self._token_bytes)

    def plain_ids(self) -> Sequence[int]:
        """Ids of the tokens that are printable ASCII text."""
        return [
            i for i, text in enumerate(self._token_bytes) if text and text.isascii() and text.decode().isprintable()
        ]


class TextDecoder:
    """Turns the ids of one answer into text as they come. Special tokens are silent.

    A character that spans tokens is held back until it is whole; bytes that can never be UTF-8 become U+FFFD.
    """

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self.inside_character = False  # whether something is held back

    def push(self, ids: Sequence[int]) -> str:
        """The text that the ids complete."""
        table = self._token_bytes
        data = table[ids[0]] if len(ids) == 1 else b"".join([table[i] for i in ids])
        return self.push_bytes(data)

    def push_bytes(self, data: bytes) -> str:
        """The text that bytes complete."""
        # Most tokens; the incremental decoder is Python code and takes five times as long.
        if data.isascii() and not self.inside_character:
            return data.decode()
        text = self._utf8.decode(data)
        self.inside_character = self._utf8.getstate()[0] != b""
        return text

    def flush(self) -> str:
        """The end of the text: U+FFFD if the answer was cut inside a character."""
        return self._utf8.decode(b"", True)


def tokenizer_from_gguf(model: GgufModel) -> Tokenizer:
    """The tokeniser that a GGUF file describes; EngineLoadError if it is not byte-level BPE of a known family."""
    pattern = _PRE_TOKENIZERS.get(model.pre_tokenizer)
    if model.tokenizer_model != "gpt2" or pattern is None:
        raise EngineLoadError(
            f"{model.path} has a tokeniser of kind {model.tokenizer_model}/{model.pre_tokenizer}; "
            f"supported are gpt2/{' and gpt2/'.join(_PRE_TOKENIZERS)}."
        )
    special = {
        token: index
        for index, (token, kind) in enumerate(zip(model.tokens, model.token_types, strict=True))
        if kind in (_CONTROL, _USER_DEFINED)
    }
    # BPE does not even know the special tokens: what it cannot name it cannot yield.
    vocabulary = {token: index for index, token in enumerate(model.tokens) if token not in special}
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in model.merges)]
    # Llama 3's vocabulary holds words that its merges cannot build, hence ignore_merges.
    try:
        bpe = BpeTokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    except Exception as error:
        raise EngineLoadError(f"{model.path} has a tokeniser that contradicts itself: {error}.") from error
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    opening = (model.bos_id,) if model.adds_bos else ()
    return Tokenizer(bpe, _token_bytes(model.tokens, special, model.path), special, opening)


def tokenizer_from_checkpoint(model: Checkpoint) -> Tokenizer:
    """The tokeniser of a tokenizer.json; EngineLoadError if it is not byte-level BPE."""
    described = model.tokenizer
    vocabulary = described["model"]["vocab"]
    special = {entry["content"]: entry["id"] for entry in described["added_tokens"]}
    # Without them in its file the tokeniser does not know the special tokens and cannot yield one.
    plain = described | {"added_tokens": [], "post_processor": None}
    try:
        bpe = BpeTokenizer.from_str(json.dumps(plain))
        # What its post-processor puts before every text.
        opening = BpeTokenizer.from_str(json.dumps(described)).encode("").ids
    except Exception as error:
        raise EngineLoadError(f"{model.path}/tokenizer.json cannot be used: {error}.") from error
    if described["model"].get("type", "BPE") != "BPE" or "ByteLevel" not in json.dumps(described.get("pre_tokenizer")):
        raise EngineLoadError(f"{model.path} has a tokeniser that is not byte-level BPE.")
    # Ids beyond the tokeniser's are padding of the embedding, and silent.
    tokens = [""] * max(model.vocabulary_size, *(index + 1 for index in special.values()))
    for token, index in (vocabulary | special).items():
        tokens[index] = token
    return Tokenizer(bpe, _token_bytes(tokens, special, model.path), special, opening)


def _token_bytes(tokens: Sequence[str], special: Mapping[str, int], path: Path) -> list[bytes]:
    """What each token stands for in UTF-8; nothing for special tokens."""
    alphabet = _byte_alphabet()
    try:
        return [b"" if token in special else bytes(alphabet[character] for character in token) for token in tokens]
    except KeyError as error:
        raise EngineLoadError(f"{path} has a token that is not spelled in bytes: it holds {error}.") from error


def _byte_alphabet() -> dict[str, int]:
    """The printable characters that stand for the 256 bytes in a byte-level vocabulary, as GPT-2 defined them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + rank): byte for rank, byte in enumerate(others)}
