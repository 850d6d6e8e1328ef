"""Starts llama.cpp's server core in this process."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.engine.load_error import EngineLoadError

if TYPE_CHECKING:
    from pathlib import Path

    from services.engine.llama_cpp.listener import PrivateListener

log = logging.getLogger(__name__)

# Prompt tokens between two checks for cancellation; the core computes 512 at a time anyway.
_PREFILL_BATCH = 512


@dataclass(frozen=True, slots=True)
class CoreOptions:
    """How a model is run: `parallel` slots of `context_length` tokens each."""

    path: Path
    context_length: int
    parallel: int
    threads: int = 0  # one per core
    kv_cache_dtype: str = "auto"  # 16 bits, or "q8_0", which needs half the memory
    flash_attention: str = "auto"  # or "on" or "off"


def load_core(xllamacpp: Any, options: CoreOptions, listener: PrivateListener, first_token: int) -> Any:
    """The server core with the weights loaded; blocking. EngineLoadError if llama.cpp rejects the model.

    The number of layers on GPUs is llama.cpp's choice: as many as fit where its build finds any, else none.
    """
    params = xllamacpp.CommonParams()
    params.model.path = str(options.path)
    params.n_parallel = options.parallel
    params.n_ctx = options.parallel * options.context_length
    params.n_batch = _PREFILL_BATCH
    if options.threads:
        params.cpuparams.n_threads = options.threads
    if options.kv_cache_dtype == "q8_0":
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    if options.flash_attention != "auto":
        kind = xllamacpp.llama_flash_attn_type
        on = options.flash_attention == "on"
        params.flash_attn_type = kind.LLAMA_FLASH_ATTN_TYPE_ENABLED if on else kind.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.warmup = False  # the token below does that
    params.cache_ram_mib = 0  # no second copy of the KV cache in host memory
    params.verbosity = 1  # errors only
    params.api_keys = [listener.key]
    params.hostnames = [str(listener.path)]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise EngineLoadError(f"llama.cpp cannot load {options.path}: {error}") from error
    # Generating a token reads all weights into memory. It also shows that the core's loop has begun: a stop request
    # sent before that is lost, and destroying the core would block for ever.
    server.handle_completions({"prompt": [first_token], "max_tokens": 1, "stream": True}, lambda _: False)
    devices = {device["name"]: device["description"] for device in xllamacpp.get_device_info()}
    log.info("model loaded", extra={"fields": {"model": str(options.path), "devices": devices}})
    return server
