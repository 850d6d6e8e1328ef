"""Tokenizes with llama.cpp's own code, for the families that `services.engine.model.byte_level` does not have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from services.engine.load_error import EngineLoadError
from services.engine.model.tokenizer import Tokenizer, TooManyTokensError
from services.engine.model.vocabulary import SPELLINGS, vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from services.engine.llama_cpp.listener import PrivateListener
    from services.engine.model.gguf_file import GgufModel


def core_tokenizer(model: GgufModel, listener: PrivateListener) -> Tokenizer:
    """The tokenizer of a GGUF file, which encodes through `listener`; EngineLoadError if its tokens have no bytes."""
    if model.tokenizer_model not in SPELLINGS:
        raise EngineLoadError(
            f"{model.path} has a tokenizer of kind {model.tokenizer_model}; supported are {', '.join(SPELLINGS)}."
        )
    vocabulary = vocabulary_of(model)

    def ids_of(text: str) -> list[int]:
        body = {"content": text, "add_special": False, "parse_special": False}
        ids: list[int] = listener.post("/tokenize", body)["tokens"]
        return ids

    plain = PlainText(ids_of, vocabulary.special)

    def encode(text: str, most: int | None) -> list[int]:
        ids = plain.encode(text)
        if most is not None and len(ids) > most:
            raise TooManyTokensError(len(ids))
        return ids

    return Tokenizer(encode, vocabulary, (model.bos_id,) if model.adds_bos else (), remote=True)


class PlainText:
    """Encodes text without special tokens, by an encoder that may return some of them.

    With `parse_special` off llama.cpp still returns user-defined tokens for text that spells them, and SentencePiece's
    merges can produce control tokens. Where that happens, the spelling is cut in two and its halves are encoded alone.
    """

    def __init__(self, ids_of: Callable[[str], list[int]], special: Mapping[str, int]) -> None:
        self._ids_of = ids_of
        self._spelling = {token: text for text, token in special.items()}

    def encode(self, text: str) -> list[int]:
        """The ids of the text, none of which is a special token."""
        ids = self._ids_of(text)
        found = [self._spelling[token] for token in ids if token in self._spelling]
        if not found:
            return ids
        if len(text) == 1:
            return [token for token in ids if token not in self._spelling]
        return [token for half in _cut(text, found) for token in self.encode(half)]


def _cut(text: str, spellings: list[str]) -> list[str]:
    """The text, cut behind the first character of every spelling in it; in the middle, if there is none."""
    longest_first = sorted({one for one in spellings if len(one) > 1}, key=len, reverse=True)
    pattern = "|".join(f"{re.escape(one[0])}(?={re.escape(one[1:])})" for one in longest_first)
    cuts = [match.end() for match in re.finditer(pattern, text)] if pattern else []
    if not cuts:
        cuts = [len(text) // 2]
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
