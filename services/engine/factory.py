"""Builds the engine that the settings name; the only module that imports back ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.engine.load_error import EngineLoadError
from services.engine.model.gguf_file import read_gguf
from services.engine.model.model_file import packaged_name, resolve_checkpoint, resolve_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.engine.api import Engine
    from services.engine.model.gguf_file import GgufModel
    from services.settings import Settings

# Of the setting's values, those that an engine has; the simulated engine has no cache, and takes all.
_KV_CACHE_DTYPES = {"llama-cpp": ("auto", "q8_0"), "tensorrt-llm": ("auto", "fp8")}
# The KV cache of all slots is allocated at start: 128 KiB per token for an 8B model, 4 GiB for 4 slots of this length.
_LARGEST_DEFAULT_CONTEXT = 8192


def build_engine(settings: Settings) -> Engine:
    """The engine, not yet started; EngineLoadError if its model cannot be used."""
    _check_kv_cache_dtype(settings)
    if settings.engine == "tensorrt-llm":
        from services.engine.tensorrt_llm.factory import build_tensorrt_llm

        engine = build_tensorrt_llm(settings)
        if settings.chat_template:
            engine.model = replace(engine.model, chat_template=_template(settings.chat_template), tool_template="")
        return engine
    gguf = read_gguf(resolve_model(settings.model))
    if settings.chat_template:
        gguf = replace(gguf, chat_template=_template(settings.chat_template), tool_template="")
    context_length = settings.context_length or min(gguf.context_length, _LARGEST_DEFAULT_CONTEXT)
    if context_length > gguf.context_length:
        raise EngineLoadError(
            f"The context length is set to {context_length} tokens, but {gguf.path} has {gguf.context_length}."
        )
    if settings.engine == "simulated":
        from services.engine.simulated.engine import SimulatedEngine

        name = settings.model_name or f"{gguf.name}-simulated"
        return SimulatedEngine(
            gguf,
            name,
            context_length,
            settings.parallel,
            settings.simulated_rate,
            wake_per_call=settings.simulated_shape == "call",
        )
    return _llama_cpp(settings, gguf, context_length)


def _llama_cpp(settings: Settings, gguf: GgufModel, context_length: int) -> Engine:
    from services.engine.llama_cpp.core import CoreOptions
    from services.engine.llama_cpp.engine import LlamaCppEngine

    name = settings.model_name or packaged_name(settings.model) or gguf.name
    options = CoreOptions(
        gguf.path,
        context_length,
        settings.parallel,
        settings.threads,
        settings.kv_cache_dtype,
        settings.flash_attention,
    )
    return LlamaCppEngine(gguf, name, options)


def _check_kv_cache_dtype(settings: Settings) -> None:
    known = _KV_CACHE_DTYPES.get(settings.engine)
    if known is not None and settings.kv_cache_dtype not in known:
        raise EngineLoadError(
            f"CHASQUI_KV_CACHE_DTYPE is {settings.kv_cache_dtype}, but {settings.engine} has {' and '.join(known)}."
        )
    if settings.engine == "llama-cpp" and settings.kv_cache_dtype == "q8_0" and settings.flash_attention == "off":
        raise EngineLoadError(
            "CHASQUI_KV_CACHE_DTYPE is q8_0, which llama.cpp has with flash attention alone: set "
            "CHASQUI_FLASH_ATTENTION to auto or on."
        )


def _template(file: str) -> str:
    try:
        return Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        raise EngineLoadError(f"The chat template {file} cannot be read: {error}.") from error


def compile_engine(model: str, out: Path, say: Callable[[str], None], **limits: Any) -> bool:
    """Compile a checkpoint with TensorRT-LLM; `limits` are the other fields of its `BuildPlan`.

    False if `out` already holds that engine, EngineLoadError if it cannot be compiled here.
    """
    from services.engine.tensorrt_llm.build import BuildPlan, build_engine
    from services.engine.tensorrt_llm.gpus import check_precision, read_gpus
    from services.engine.tensorrt_llm.runtime import load_runtime

    runtime = load_runtime()
    gpus = read_gpus()
    check_precision(limits["precision"], gpus[:1])  # before the weights are downloaded
    return build_engine(BuildPlan(resolve_checkpoint(model), out, **limits), runtime, gpus, say)
