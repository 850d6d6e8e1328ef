"""Builds the engine that the settings name; back ends are imported here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine.api import EngineLoadError
from services.engine.gguf_file import read_gguf
from services.engine.model_file import resolve_model

if TYPE_CHECKING:
    from services.engine.api import Engine
    from services.settings import Settings

# A slot's KV cache is reserved at start: 128 KiB a token for an 8B model, so 4 slots of this take 4 GiB.
_LARGEST_DEFAULT_CONTEXT = 8192


def build_engine(settings: Settings) -> Engine:
    """The engine, not yet started; EngineLoadError if its model cannot be used."""
    if settings.engine == "tensorrt-llm":
        from services.engine.tensorrt_llm.factory import build_tensorrt_llm

        return build_tensorrt_llm(settings)
    gguf = read_gguf(resolve_model(settings.model))
    context_length = settings.context_length or min(gguf.context_length, _LARGEST_DEFAULT_CONTEXT)
    if context_length > gguf.context_length:
        raise EngineLoadError(
            f"The context length is set to {context_length} tokens, but {gguf.path} has {gguf.context_length}."
        )
    if settings.engine == "simulated":
        from services.engine.simulated import SimulatedEngine

        name = settings.model_name or f"{gguf.name}-simulated"
        return SimulatedEngine(gguf, name, context_length, settings.parallel, settings.simulated_rate)
    from services.engine.llama_cpp import LlamaCppEngine

    name = settings.model_name or gguf.name
    return LlamaCppEngine(gguf, name, context_length, settings.parallel, settings.threads)
