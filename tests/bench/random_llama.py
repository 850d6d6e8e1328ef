"""A Llama of about 200 million random weights as a Q8_0 GGUF: as much work for llama.cpp as a trained one of its size.

The vocabulary and the chat template are the demo model's. Names and shapes of the tensors are llama.cpp's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import numpy as np
from gguf.quants import quantize

from services.engine.model.gguf_file import GgufModel, read_gguf
from services.settings import DEMO_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HIDDEN = 1024
FEED_FORWARD = 2816
LAYERS = 16
HEADS = 16
KV_HEADS = 8
HEAD_SIZE = HIDDEN // HEADS
CONTEXT = 4096
# The usual deviation at which a Llama's weights begin; activations stay finite.
_DEVIATION = 0.02
_Q8_0 = gguf.GGMLQuantizationType.Q8_0


def write_random_llama(path: Path) -> int:
    """Write the file unless it is there; returns the number of weights."""
    demo = read_gguf(DEMO_MODEL)
    shapes = dict(_matrices(len(demo.tokens)))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        writer = gguf.GGUFWriter(partial, "llama")
        _describe(writer)
        _copy_tokenizer(writer, demo)
        random = np.random.default_rng(0)
        for name, shape in shapes.items():
            values = random.standard_normal(shape, dtype=np.float32) * np.float32(_DEVIATION)
            writer.add_tensor(name, quantize(values, _Q8_0), raw_dtype=_Q8_0)
        for name in _norms():
            writer.add_tensor(name, np.ones(HIDDEN, dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        partial.replace(path)
    return sum(rows * columns for rows, columns in shapes.values())


def _describe(writer: gguf.GGUFWriter) -> None:
    writer.add_name("random-llama")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD_SIZE)
    writer.add_rope_freq_base(500000.0)


def _copy_tokenizer(writer: gguf.GGUFWriter, model: GgufModel) -> None:
    writer.add_vocab_size(len(model.tokens))
    writer.add_tokenizer_model(model.tokenizer_model)
    writer.add_tokenizer_pre(model.pre_tokenizer)
    writer.add_token_list(model.tokens)
    writer.add_token_types(model.token_types)
    writer.add_token_merges(model.merges)
    writer.add_bos_token_id(model.bos_id)
    writer.add_eos_token_id(model.eos_id)
    writer.add_add_bos_token(model.adds_bos)
    writer.add_chat_template(model.chat_template)


def _matrices(vocabulary: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Names and shapes (outputs, inputs)."""
    keys = KV_HEADS * HEAD_SIZE
    yield "token_embd.weight", (vocabulary, HIDDEN)
    yield "output.weight", (vocabulary, HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        yield block + "attn_q.weight", (HIDDEN, HIDDEN)
        yield block + "attn_k.weight", (keys, HIDDEN)
        yield block + "attn_v.weight", (keys, HIDDEN)
        yield block + "attn_output.weight", (HIDDEN, HIDDEN)
        yield block + "ffn_gate.weight", (FEED_FORWARD, HIDDEN)
        yield block + "ffn_up.weight", (FEED_FORWARD, HIDDEN)
        yield block + "ffn_down.weight", (HIDDEN, FEED_FORWARD)


def _norms() -> Iterator[str]:
    yield "output_norm.weight"
    for layer in range(LAYERS):
        yield f"blk.{layer}.attn_norm.weight"
        yield f"blk.{layer}.ffn_norm.weight"
