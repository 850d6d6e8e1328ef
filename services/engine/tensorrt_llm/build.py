"""Compiles a checkpoint into an engine for this machine's GPU, with a manifest of what it was built for."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.engine.load_error import EngineLoadError
from services.engine.model.checkpoint import METADATA_FILES, Checkpoint, read_checkpoint
from services.engine.tensorrt_llm.manifest import FILE, TOKENIZER_FOLDER, Manifest, read_manifest
from services.engine.tensorrt_llm.model import is_compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from services.engine.tensorrt_llm.gpus import Gpu
    from services.engine.tensorrt_llm.runtime import Runtime


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What to compile and within which limits; sizes are in tokens, batches in sequences."""

    model: Path
    out: Path
    precision: str  # "bfloat16" or "fp8"
    kv_cache_dtype: str  # "auto" (as the weights' activations, 16 bits) or "fp8"
    max_batch_size: int
    max_seq_len: int
    max_num_tokens: int
    max_beam_width: int
    tensor_parallel: int
    pipeline_parallel: int


def build_engine(plan: BuildPlan, runtime: Runtime, gpus: Sequence[Gpu], report: Callable[[str], None]) -> bool:
    """Compile the engine; returns False if `plan.out` already holds it. EngineLoadError if it cannot be compiled.

    The directory `plan.out` is created by a rename once the engine is complete. `report` gets one line per step.
    """
    if runtime.compiled_llm_class is None:
        raise EngineLoadError(f"TensorRT-LLM {runtime.version} has no compiled engines; serve the checkpoint directly.")
    checkpoint = read_checkpoint(plan.model)
    manifest = _manifest(plan, checkpoint, runtime, gpus[0])
    if is_compiled(plan.out) and (plan.out / FILE).exists():
        if read_manifest(plan.out) == manifest:
            report(f"{plan.out} is up to date")
            return False
    elif plan.out.exists() and any(plan.out.iterdir()):
        raise EngineLoadError(f"{plan.out} holds other files; choose another directory for the engine.")
    unfinished = plan.out.with_name(f".{plan.out.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    report(f"compiling {checkpoint.name} for {gpus[0].name} (compute capability {gpus[0].capability})")
    try:
        _compile(plan, runtime, unfinished)
    except EngineLoadError:
        raise
    except Exception as error:
        raise EngineLoadError(f"TensorRT-LLM cannot compile {plan.model}: {error}") from error
    (unfinished / TOKENIZER_FOLDER).mkdir()
    for name in METADATA_FILES:
        if (plan.model / name).is_file():
            shutil.copy(plan.model / name, unfinished / TOKENIZER_FOLDER / name)
    manifest.write(unfinished)
    shutil.rmtree(plan.out, ignore_errors=True)
    unfinished.rename(plan.out)
    report(f"{plan.out} is ready")
    return True


def _manifest(plan: BuildPlan, checkpoint: Checkpoint, runtime: Runtime, gpu: Gpu) -> Manifest:
    if plan.max_seq_len > checkpoint.context_length:
        raise EngineLoadError(
            f"--max-seq-len is {plan.max_seq_len:,}, but the model has {checkpoint.context_length:,} tokens."
        )
    return Manifest(
        tensorrt_llm=runtime.version,
        gpu=gpu.name,
        architecture=gpu.capability,
        model=checkpoint.name,
        model_digest=checkpoint.digest,
        precision=plan.precision,
        kv_cache_dtype=plan.kv_cache_dtype,
        max_batch_size=plan.max_batch_size,
        max_seq_len=plan.max_seq_len,
        max_num_tokens=plan.max_num_tokens,
        max_beam_width=plan.max_beam_width,
        tensor_parallel=plan.tensor_parallel,
        pipeline_parallel=plan.pipeline_parallel,
    )


def _compile(plan: BuildPlan, runtime: Runtime, out: Path) -> None:
    """Building happens while the LLM is constructed; `save` copies what was built."""
    api = runtime.llmapi
    limits = {
        name: getattr(plan, name) for name in ("max_batch_size", "max_seq_len", "max_num_tokens", "max_beam_width")
    }
    arguments: dict[str, Any] = {
        "model": str(plan.model),
        "tensor_parallel_size": plan.tensor_parallel,
        "pipeline_parallel_size": plan.pipeline_parallel,
        "build_config": api.BuildConfig(max_input_len=plan.max_seq_len, **limits),
    }
    quantized: dict[str, Any] = {}
    if plan.precision == "fp8":
        quantized["quant_algo"] = api.QuantAlgo.FP8
    else:
        arguments["dtype"] = plan.precision
    if plan.kv_cache_dtype == "fp8":
        quantized["kv_cache_quant_algo"] = api.QuantAlgo.FP8
    if quantized:
        arguments["quant_config"] = api.QuantConfig(**quantized)
    llm = runtime.compiled_llm_class(**arguments)  # type: ignore[misc]  # build_engine has checked that it is there
    try:
        llm.save(str(out))
    finally:
        llm.shutdown()
