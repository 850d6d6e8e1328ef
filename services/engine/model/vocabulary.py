"""The tokens of a model: the bytes that each adds to a text, and those that ordinary text must never become."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.engine.model.gguf_file import GgufModel

# GGUF's token types, as the ggml project numbers them.
_NORMAL: Final = 1
_UNKNOWN: Final = 2
_CONTROL: Final = 3
_USER_DEFINED: Final = 4
_BYTE: Final = 6

# `tokenizer.ggml.model`: byte-level BPE as GPT-2 has it, and the two kinds of SentencePiece.
BYTE_LEVEL: Final = "gpt2"
_SENTENCE_PIECE: Final = ("llama", "t5")
SPELLINGS: Final = (BYTE_LEVEL, *_SENTENCE_PIECE)

# Tags of tool calls: part of the text of a choice, although some files declare them as control tokens.
_CALL_TAGS: Final = ("<tool_call>", "</tool_call>")

_BYTE_TOKEN: Final = re.compile(r"<0x([0-9A-F]{2})>")
_TAG: Final = re.compile(r"<[|｜].+[|｜]>", re.DOTALL)
_BRACKETED: Final = re.compile(r"[<\[{|].*\w.*[>\]}|]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A model's tokens by id.

    `special` are the control tokens and the markers of the chat template, by spelling: a text that spells one is
    encoded as other tokens. `added` are further tokens that a text is cut at before it is encoded.
    """

    token_bytes: Sequence[bytes]
    special: dict[str, int]
    added: dict[str, int]


def is_marker(token: str, templates: str) -> bool:
    """Whether a user-defined token structures prompts: it is spelled <|thus|>, or the templates write it in brackets.

    Other user-defined tokens, such as runs of white space or HTML tags, are ordinary parts of a text.
    """
    if _TAG.fullmatch(token):
        return True
    return token in templates and _BRACKETED.fullmatch(token) is not None


def control_bytes(token: str) -> bytes:
    """The bytes that a control token adds to a text: none, but for the tags of tool calls."""
    return token.encode() if token in _CALL_TAGS else b""


def vocabulary_of(model: GgufModel) -> Vocabulary:
    """The vocabulary of a GGUF file whose `tokenizer_model` is one of SPELLINGS."""
    spell = byte_level_bytes if model.tokenizer_model == BYTE_LEVEL else _sentence_piece_bytes
    templates = model.chat_template + model.tool_template
    token_bytes: list[bytes] = []
    special: dict[str, int] = {}
    added: dict[str, int] = {}
    for index, (token, kind) in enumerate(zip(model.tokens, model.token_types, strict=True)):
        data = b""
        if kind in (_CONTROL, _UNKNOWN):
            special[token] = index
            data = control_bytes(token)
        elif kind == _USER_DEFINED:
            data = token.encode()
            (special if is_marker(token, templates) else added)[token] = index
        elif kind in (_NORMAL, _BYTE):
            data = spell(token)
        token_bytes.append(data)
    return Vocabulary(token_bytes, special, added)


def byte_level_bytes(token: str) -> bytes:
    """The bytes of a byte-level token; a token that is not spelled in the byte alphabet stands for itself."""
    try:
        return bytes([BYTE_ALPHABET[character] for character in token])
    except KeyError:
        return token.encode()


def _sentence_piece_bytes(token: str) -> bytes:
    byte = _BYTE_TOKEN.fullmatch(token)
    return bytes.fromhex(byte[1]) if byte is not None else token.replace("▁", " ").encode()


def _byte_alphabet() -> dict[str, int]:
    """The printable characters that stand for the 256 bytes in a byte-level vocabulary, as GPT-2 defined them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + rank): byte for rank, byte in enumerate(others)}


BYTE_ALPHABET: Final = _byte_alphabet()
