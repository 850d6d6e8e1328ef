"""Tiny Llamas of random weights that llama.cpp loads, with whatever tokenizer a test describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from services.engine.model.gguf_file import GgufModel

_HIDDEN, _FEED_FORWARD, _HEADS, _CONTEXT = 32, 64, 2, 512
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, _, BYTE = range(1, 7)


def write_byte_level_llama(path: Path, vocabulary: GgufModel, family: str, *, user_defined: Sequence[str] = ()) -> Path:
    """A model with the tokens and merges of another one, the pre-tokenizer of `family`, and `user_defined` tokens."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(family)
    writer.add_token_list([*vocabulary.tokens, *user_defined])
    writer.add_token_types([*vocabulary.token_types, *[USER_DEFINED] * len(user_defined)])
    writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(vocabulary.bos_id)
    writer.add_eos_token_id(vocabulary.eos_id)
    return _finish(writer, path, len(vocabulary.tokens) + len(user_defined))


def write_sentence_piece_llama(path: Path, words: Sequence[str], others: dict[str, int], template: str = "") -> Path:
    """A SentencePiece model: `others` by their type, the bytes, then `words`, of which the first merge first."""
    writer = gguf.GGUFWriter(path, "llama")
    tokens = [*others, *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_types([*others.values(), *[BYTE] * 256, *[NORMAL] * len(words)])
    writer.add_token_scores([*[0.0] * (len(others) + 256), *(-float(rank) for rank in range(len(words)))])
    control = [token for token, kind in others.items() if kind == CONTROL]
    writer.add_bos_token_id(tokens.index(control[0]))
    writer.add_eos_token_id(tokens.index(control[1]))
    writer.add_add_space_prefix(False)
    if template:
        writer.add_chat_template(template)
    return _finish(writer, path, len(tokens))


def _finish(writer: gguf.GGUFWriter, path: Path, vocabulary: int) -> Path:
    writer.add_name(path.stem)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_HIDDEN // _HEADS)
    writer.add_vocab_size(vocabulary)
    random = np.random.default_rng(0)
    for name, shape in _shapes(vocabulary):
        writer.add_tensor(name, random.standard_normal(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shapes(vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes (outputs, inputs) of the tensors, as llama.cpp expects them."""
    yield "token_embd.weight", (vocabulary, _HIDDEN)
    yield "output_norm.weight", (_HIDDEN,)
    for name in ("attn_norm", "ffn_norm"):
        yield f"blk.0.{name}.weight", (_HIDDEN,)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        yield f"blk.0.{name}.weight", (_HIDDEN, _HIDDEN)
    yield "blk.0.ffn_gate.weight", (_FEED_FORWARD, _HIDDEN)
    yield "blk.0.ffn_up.weight", (_FEED_FORWARD, _HIDDEN)
    yield "blk.0.ffn_down.weight", (_HIDDEN, _FEED_FORWARD)
