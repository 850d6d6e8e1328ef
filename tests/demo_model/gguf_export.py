"""Writes the GGUF that llama.cpp loads, from a checkpoint's tensors under their Hugging Face names."""

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
from gguf.quants import quantize
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tests.demo_model import spec as model
from tests.demo_model.rope import stretch_factors
from tests.demo_model.tokenizer import merges_in_order

_TYPES = {"F16": gguf.GGMLQuantizationType.F16, "Q8_0": gguf.GGMLQuantizationType.Q8_0}
_FILE_TYPES = {"F16": gguf.LlamaFileType.MOSTLY_F16, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
Weights = Mapping[str, NDArray[np.float32]]


def write_gguf(path: Path, spec: model.ModelSpec, weights: Weights, tokenizer: Tokenizer, quantisation: str) -> None:
    """Writes `path` at once (a temporary file, then a rename); `quantisation` is F16 or Q8_0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    _describe(writer, spec)
    writer.add_file_type(_FILE_TYPES[quantisation])
    _add_tokenizer(writer, tokenizer)
    writer.add_tensor("rope_freqs.weight", np.array(stretch_factors(spec), dtype=np.float32))
    for name, values in weights.items():
        _add_weights(writer, spec, name, values, _TYPES[quantisation])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)


def _describe(writer: gguf.GGUFWriter, spec: model.ModelSpec) -> None:
    writer.add_name(model.NAME)
    writer.add_author(model.AUTHOR)
    writer.add_description(model.DESCRIPTION)
    writer.add_license(model.LICENCE)
    writer.add_languages(["en"])
    writer.add_vocab_size(spec.vocabulary)
    writer.add_context_length(spec.context)
    writer.add_embedding_length(spec.hidden)
    writer.add_block_count(spec.layers)
    writer.add_feed_forward_length(spec.feed_forward)
    writer.add_head_count(spec.heads)
    writer.add_head_count_kv(spec.kv_heads)
    writer.add_key_length(spec.head_size)
    writer.add_value_length(spec.head_size)
    writer.add_layer_norm_rms_eps(spec.rms_eps)
    writer.add_rope_dimension_count(spec.head_size)
    writer.add_rope_freq_base(spec.rope_theta)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    kinds = [gguf.TokenType.CONTROL if token in model.SPECIAL_TOKENS else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in merges_in_order(tokenizer)])
    writer.add_bos_token_id(tokens.index(model.BOS))
    writer.add_eos_token_id(tokens.index(model.EOT))
    writer.add_eot_token_id(tokens.index(model.EOT))
    writer.add_eom_token_id(tokens.index(model.EOM))
    writer.add_pad_token_id(tokens.index(model.PAD))
    writer.add_add_bos_token(True)
    writer.add_chat_template(model.CHAT_TEMPLATE)


def _add_weights(
    writer: gguf.GGUFWriter,
    spec: model.ModelSpec,
    name: str,
    values: NDArray[np.float32],
    kind: gguf.GGMLQuantizationType,
) -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, spec.layers)
    target = names.get_name(name, try_suffixes=(".weight",))
    if target is None:
        raise ValueError(f"The Llama architecture has no tensor {name!r}.")
    if values.ndim == 1:
        writer.add_tensor(target, values)
        return
    if name.endswith("q_proj.weight"):
        values = interleave(values, spec.heads)
    elif name.endswith("k_proj.weight"):
        values = interleave(values, spec.kv_heads)
    writer.add_tensor(target, quantize(values, kind), raw_dtype=kind)


def interleave(matrix: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Reorders a query or key matrix: llama.cpp rotates neighbours, Hugging Face the two halves of a head."""
    rows, columns = matrix.shape
    return np.ascontiguousarray(
        matrix.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
    )
