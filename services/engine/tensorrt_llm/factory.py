"""Builds the TensorRT-LLM engine from the settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from services.engine.model.checkpoint import read_checkpoint
from services.engine.model.model_file import resolve_checkpoint
from services.engine.tensorrt_llm.engine import TensorRtLlmEngine
from services.engine.tensorrt_llm.gpus import check_precision, read_gpus, settled_gpus, used_gpus
from services.engine.tensorrt_llm.model import gpu_count, is_compiled, loadable_model
from services.engine.tensorrt_llm.options import Options
from services.engine.tensorrt_llm.runtime import load_runtime

if TYPE_CHECKING:
    from services.settings import Settings


def build_tensorrt_llm(settings: Settings) -> TensorRtLlmEngine:
    """The engine, not yet started; EngineLoadError if the package, the GPU or the model does not fit.

    What the model's small files and the GPU decide is checked before gigabytes of weights are downloaded.
    """
    runtime, options, gpus = load_runtime(), options_of(settings), read_gpus()
    metadata = resolve_checkpoint(settings.model, weights=False)
    if not is_compiled(metadata):
        check_precision(read_checkpoint(metadata).quantization, used_gpus(gpus, options.ranks))
    path = resolve_checkpoint(settings.model)
    model = loadable_model(path, runtime, options, settled_gpus(gpu_count(path, options)))
    return TensorRtLlmEngine(runtime, model, settings.model_name or model.name)


def options_of(settings: Settings) -> Options:
    """The settings of the TensorRT-LLM engine."""
    return Options(
        context_length=settings.context_length,
        parallel=settings.parallel,
        tensor_parallel=settings.tensor_parallel,
        pipeline_parallel=settings.pipeline_parallel,
        batch_tokens=settings.batch_tokens,
        kv_cache_fraction=settings.kv_cache_fraction,
        kv_cache_dtype=settings.kv_cache_dtype,
        kv_cache_reuse=settings.kv_cache_reuse,
        chunked_prefill=settings.chunked_prefill,
        guided=settings.guided_decoding,
        sampler=settings.sampler,
        speculative=settings.speculative,
        speculative_model=settings.speculative_model,
        speculative_tokens=settings.speculative_tokens,
        load_format=settings.load_format,
        traces_endpoint=_traces_endpoint(),
    )


def _traces_endpoint() -> str:
    """The OTLP endpoint of OpenTelemetry's variables, or "". TensorRT-LLM adds a span of its own to each trace."""
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
