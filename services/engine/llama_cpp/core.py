"""Starts llama.cpp's server core in this process."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.engine.load_error import EngineLoadError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.engine.llama_cpp.listener import PrivateListener

log = logging.getLogger(__name__)

# Tokens of a batch: one of each sequence that decodes, the rest of prompts. The sequences wait for it, and a prompt in
# it for its end. On CPUs a prompt token takes as long in a batch of 128 as in one of 512 (5.7 to 5.9 ms of a core, with
# 200 million weights); GPUs need more tokens to be busy, and are done with them sooner.
_BATCH_ON_CPUS: Final = 256
_BATCH_ON_GPUS: Final = 512
# How often a thread that waits for the others in an operation looks again before it sleeps: 250 us on an AMD EPYC.
# libgomp's own 300,000 are 7 ms, for which the thread may keep the CPU from the very one that it waits for: on two
# cores with much other work a token took 1,000 to 2,400 ms with those, and 510 to 620 with these. With 2,000 it took 42
# to 110 ms, but a machine without other work then lost 3 to 6 % of its speed.
_SPINS: Final = "10000"

# For its first grammar llama.cpp copies the bytes of all tokens to a buffer, in which each must find so many left. It
# has 16 bytes for each token and 1 MiB more. Where that is too little, llama.cpp aborts the process.
_TOKEN_ROOM: Final = 1024
_BYTES_PER_TOKEN: Final = 16
_MORE_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class CoreOptions:
    """How a model is run: `parallel` slots of `context_length` tokens each."""

    path: Path
    context_length: int
    parallel: int
    threads: int = 0  # one per core
    kv_cache_dtype: str = "auto"  # 16 bits, or "q8_0", which needs half the memory
    flash_attention: str = "auto"  # or "on" or "off"


def import_xllamacpp() -> Any:
    """The binding, whose threads leave the CPU soon unless the operator says when; heavy: llama.cpp's libraries."""
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = _SPINS  # libgomp reads it when it is loaded
    import xllamacpp

    return xllamacpp


def can_have_grammars(sizes: Sequence[int]) -> bool:
    """Whether llama.cpp's grammars can have a vocabulary whose tokens have so many bytes each."""
    room = _BYTES_PER_TOKEN * len(sizes) + _MORE_BYTES
    return max(sizes) <= _TOKEN_ROOM and sum(sizes) <= room - _TOKEN_ROOM


def load_core(xllamacpp: Any, options: CoreOptions, listener: PrivateListener, first_token: int) -> Any:
    """The server core with the weights loaded; blocking. EngineLoadError if llama.cpp rejects the model.

    The number of layers on GPUs is llama.cpp's choice: as many as fit where its build finds any, else none.
    """
    devices = xllamacpp.get_device_info()
    params = xllamacpp.CommonParams()
    params.model.path = str(options.path)
    params.n_parallel = options.parallel
    params.n_ctx = options.parallel * options.context_length
    params.n_batch = _batch_tokens(xllamacpp.ggml_backend_dev_type, devices, options.parallel)
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
    found = {device["name"]: device["description"] for device in devices}
    log.info("model loaded", extra={"fields": {"model": str(options.path), "devices": found}})
    return server


def _batch_tokens(kinds: Any, devices: Sequence[dict[str, Any]], parallel: int) -> int:
    """The most tokens of a batch. Half of it at least is left to prompts when all slots but one decode."""
    gpus = {kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU}
    if any(device["type"] in gpus for device in devices):
        return _BATCH_ON_GPUS
    return max(_BATCH_ON_CPUS, 2 * parallel)
