"""How many tokens of context the GPU memory holds beside the weights."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from services.engine.load_error import EngineLoadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.engine.model.checkpoint import Checkpoint
    from services.engine.tensorrt_llm.gpus import Gpu
    from services.engine.tensorrt_llm.options import Options

log = logging.getLogger(__name__)

_GIB: Final = 1 << 30
# For activations, CUDA graphs and the CUDA context; an estimate, on the safe side for batches of 8,192 tokens.
_RESERVE: Final = 3 * _GIB
_SMALLEST_CONTEXT: Final = 1024
_KV_BYTES: Final = {"fp8": 1.0, "int8": 1.0, "nvfp4": 0.5}


def kv_bytes_per_token(checkpoint: Checkpoint, kv_cache_dtype: str) -> float:
    """Keys and values of all layers: for Llama 3.1 8B 128 KiB in 16 bits, 64 KiB in FP8.

    `kv_cache_dtype` is the setting's; for auto the checkpoint's own counts.
    """
    numbers = 2 * checkpoint.layers * checkpoint.kv_heads * checkpoint.head_dim
    dtype = checkpoint.kv_cache_dtype if kv_cache_dtype == "auto" else kv_cache_dtype
    return numbers * _KV_BYTES.get(dtype, 2.0)


def cache_tokens(checkpoint: Checkpoint, options: Options, free_bytes: int) -> int:
    """Tokens that the KV cache will hold on a GPU with `free_bytes`; may be negative."""
    left = free_bytes - checkpoint.weight_bytes / options.ranks - _RESERVE
    per_token = kv_bytes_per_token(checkpoint, options.kv_cache_dtype) / options.ranks
    return int(left * options.kv_cache_fraction / per_token)


def context_that_fits(checkpoint: Checkpoint, options: Options, gpus: Sequence[Gpu], wanted: int) -> int:
    """`wanted`, or for 0 the model's context as far as the memory of the GPU with the least allows.

    EngineLoadError with the arithmetic if that does not fit, or if nothing is `wanted` and the memory is unknown.
    """
    if wanted > checkpoint.context_length:
        raise EngineLoadError(
            f"The context length is set to {wanted:,} tokens, but the model has {checkpoint.context_length:,}."
        )
    unknown = [gpu.name for gpu in gpus if gpu.free_bytes is None]
    if unknown and not wanted:
        raise EngineLoadError(
            f"The free memory of {unknown[0]} cannot be read, so CHASQUI_CONTEXT_LENGTH has to be set; the formula "
            "is in docker/README.md."
        )
    if unknown:
        log.warning("the free memory of %s cannot be read; whether the context fits is not checked", unknown[0])
        return wanted
    return _checked_context(checkpoint, options, gpus, wanted)


def _checked_context(checkpoint: Checkpoint, options: Options, gpus: Sequence[Gpu], wanted: int) -> int:
    free, gpu = min((gpu.free_bytes or 0, gpu.name) for gpu in gpus)
    tokens = cache_tokens(checkpoint, options, free)
    per_token = kv_bytes_per_token(checkpoint, options.kv_cache_dtype) / options.ranks
    arithmetic = (
        f"({free / _GIB:.1f} GiB free - {checkpoint.weight_bytes / options.ranks / _GIB:.1f} GiB weights - "
        f"{_RESERVE / _GIB:.0f} GiB reserve) x {options.kv_cache_fraction:g} / {per_token / 1024:g} KiB per token = "
        f"{max(0, tokens):,} tokens on {gpu}"
    )
    if tokens < max(wanted, _SMALLEST_CONTEXT):
        raise EngineLoadError(
            f"The KV cache cannot hold a context of {max(wanted, _SMALLEST_CONTEXT):,} tokens: {arithmetic}. A smaller "
            "CHASQUI_CONTEXT_LENGTH, CHASQUI_KV_CACHE_DTYPE=fp8, an FP8 checkpoint or more GPUs help."
        )
    context = wanted or min(checkpoint.context_length, tokens // _SMALLEST_CONTEXT * _SMALLEST_CONTEXT)
    log.info("context of %s tokens: %s", f"{context:,}", arithmetic)
    return context
