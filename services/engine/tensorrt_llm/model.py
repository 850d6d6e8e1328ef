"""The model formats that TensorRT-LLM loads: a checkpoint directory, or a compiled engine with its manifest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.engine.load_error import EngineLoadError
from services.engine.model.checkpoint import Checkpoint, read_checkpoint
from services.engine.tensorrt_llm.capability import Sampler, choose_sampler
from services.engine.tensorrt_llm.gpus import used_gpus
from services.engine.tensorrt_llm.manifest import TOKENIZER_FOLDER, check_fit, read_manifest
from services.engine.tensorrt_llm.memory import context_that_fits
from services.engine.tensorrt_llm.options import Options, compiled_arguments, torch_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.engine.tensorrt_llm.gpus import Gpu
    from services.engine.tensorrt_llm.runtime import Runtime


@dataclass(frozen=True, slots=True)
class LoadableModel:
    """A model that was checked against this machine and this release."""

    path: Path
    name: str
    checkpoint: Checkpoint
    options: Options
    sampler: Sampler
    quantization: str

    @property
    def guided(self) -> bool:
        """Whether grammars are enforced. Compiled engines lack llguidance, which reads them."""
        return self.sampler is not Sampler.COMPILED and self.options.guides

    def load(self, runtime: Runtime) -> Any:
        """The LLM; blocks for minutes, and raises what the package raises."""
        if self.sampler is Sampler.COMPILED and runtime.compiled_llm_class is not None:
            arguments = compiled_arguments(runtime, self.options, self.path, self.checkpoint.path)
            return runtime.compiled_llm_class(**arguments)
        return runtime.llm_class(**torch_arguments(runtime, self.options, self.sampler, self.path))


def is_compiled(path: Path) -> bool:
    """Whether a directory holds a compiled engine."""
    return bool(_engine_files(path))


def gpu_count(path: Path, options: Options) -> int:
    """The number of GPUs that the model at `path` runs on."""
    return read_manifest(path).ranks if is_compiled(path) else options.ranks


def loadable_model(path: Path, runtime: Runtime, options: Options, gpus: Sequence[Gpu]) -> LoadableModel:
    """The model at `path`; EngineLoadError with the reason if it cannot run. Context length 0: as much as fits."""
    compiled = is_compiled(path)
    try:
        sampler = choose_sampler(
            options.sampler,
            compiled=compiled,
            has_cpp_sampler=runtime.has_cpp_sampler,
            speculative=options.speculative,
        )
    except ValueError as error:
        raise EngineLoadError(f"CHASQUI_SAMPLER is {options.sampler}, but {error}.") from error
    if compiled:
        return _compiled_model(path, runtime, options, gpus)
    checkpoint = read_checkpoint(path)
    context = context_that_fits(checkpoint, options, used_gpus(gpus, options.ranks), options.context_length)
    fitting = dataclasses.replace(options, context_length=context)
    return LoadableModel(path, checkpoint.name, checkpoint, fitting, sampler, checkpoint.quantization)


def _compiled_model(path: Path, runtime: Runtime, options: Options, gpus: Sequence[Gpu]) -> LoadableModel:
    if runtime.compiled_llm_class is None:
        raise EngineLoadError(
            f"{path} is a compiled engine, which TensorRT-LLM {runtime.version} no longer runs; serve the checkpoint "
            "directory instead, or use release 1.2."
        )
    if options.speculative != "none":
        raise EngineLoadError("CHASQUI_SPECULATIVE is for checkpoints; a compiled engine cannot take a draft model.")
    manifest = read_manifest(path)
    check_fit(manifest, path, runtime.version, gpus, options)
    fitting = dataclasses.replace(
        options,
        tensor_parallel=manifest.tensor_parallel,
        pipeline_parallel=manifest.pipeline_parallel,
        batch_tokens=min(options.batch_tokens, manifest.max_num_tokens),
        kv_cache_dtype="auto",  # fixed at build time
        # An FP8 cache with block reuse gives wrong results (TensorRT-LLM#2699).
        kv_cache_reuse=options.kv_cache_reuse and manifest.kv_cache_dtype != "fp8",
    )
    checkpoint = dataclasses.replace(
        read_checkpoint(path / TOKENIZER_FOLDER),
        context_length=manifest.max_seq_len,
        weight_bytes=sum(file.stat().st_size for file in _engine_files(path)),
        kv_cache_dtype=manifest.kv_cache_dtype,
    )
    context = context_that_fits(checkpoint, fitting, used_gpus(gpus, fitting.ranks), options.context_length)
    fitting = dataclasses.replace(fitting, context_length=context)
    return LoadableModel(path, manifest.model, checkpoint, fitting, Sampler.COMPILED, manifest.precision)


def _engine_files(path: Path) -> list[Path]:
    """One file per rank, with its shard of the weights."""
    return list(path.glob("rank*.engine"))
