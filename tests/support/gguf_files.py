"""GGUF files: the demo model, read once, and tiny ones with the metadata that a test needs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

from services.engine.model.byte_level import tokenizer_from_gguf
from services.engine.model.gguf_file import GgufModel, read_gguf
from services.engine.model.tokenizer import Tokenizer
from services.settings import DEMO_MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The characters that a byte-level vocabulary spells as themselves, and the result of the only merge.
_ASCII = (*map(chr, range(ord("!"), ord("~") + 1)), "ab")
_NORMAL, _CONTROL = 1, 3


@cache
def demo_gguf() -> GgufModel:
    """The demo model's metadata."""
    return read_gguf(DEMO_MODEL)


@cache
def demo_tokenizer() -> Tokenizer:
    """The demo model's tokenizer."""
    return tokenizer_from_gguf(demo_gguf())


def write_gguf(
    path: Path,
    *,
    words: Sequence[str] = (),
    special: Sequence[str] = ("<|end|>",),
    leave_out: Sequence[str] = (),
    **changes: Any,
) -> Path:
    """A file with one tiny tensor and a vocabulary of ASCII characters, `words` and `special` tokens.

    `changes` replaces metadata; `.` in a key is written `__`. `leave_out` names keys that the file lacks.
    """
    tokens = [*_ASCII, *words, *special]
    metadata: dict[str, Any] = {
        "general.name": "tiny",
        "general.file_type": int(gguf.LlamaFileType.MOSTLY_Q8_0),
        "llama.context_length": 64,
        "tokenizer.chat_template": "{{ bos_token }}",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "llama-bpe",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [_NORMAL] * (len(tokens) - len(special)) + [_CONTROL] * len(special),
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
    } | {key.replace("__", "."): value for key, value in changes.items()}
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in metadata.items():
        if key in leave_out:
            continue
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        else:
            writer.add_string(key, value)
    writer.add_tensor("tensor", np.zeros((8, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
