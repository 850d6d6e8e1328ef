"""The manifest in a compiled engine's directory: model, GPU, release and limits that it was built for."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.engine.load_error import EngineLoadError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.engine.tensorrt_llm.gpus import Gpu
    from services.engine.tensorrt_llm.options import Options

FILE: Final = "chasqui-engine.json"
# Holds the files of the checkpoint that a compiled engine lacks: tokenizer, template, configuration.
TOKENIZER_FOLDER: Final = "tokenizer"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a compiled engine was built for. Sizes are in tokens, the batch size in sequences."""

    tensorrt_llm: str  # version
    gpu: str
    architecture: str  # compute capability
    model: str
    model_digest: str
    precision: str
    kv_cache_dtype: str
    max_batch_size: int
    max_seq_len: int
    max_num_tokens: int
    max_beam_width: int
    tensor_parallel: int
    pipeline_parallel: int

    @property
    def ranks(self) -> int:
        """The number of GPUs that the engine runs on."""
        return self.tensor_parallel * self.pipeline_parallel

    def write(self, engine: Path) -> None:
        """Write the file into the engine's directory."""
        (engine / FILE).write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")


def read_manifest(engine: Path) -> Manifest:
    """The manifest of the engine in that directory; EngineLoadError if it is missing or damaged."""
    path = engine / FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        kinds = {field.name: int if field.type == "int" else str for field in dataclasses.fields(Manifest)}
        if not isinstance(values, dict) or {name: type(value) for name, value in values.items()} != kinds:
            raise ValueError("its fields are not those of a manifest")
        return Manifest(**values)
    except FileNotFoundError as error:
        raise EngineLoadError(
            f"{engine} is a compiled engine without a {FILE}; `chasqui build-engine` writes both."
        ) from error
    except (OSError, ValueError) as error:
        raise EngineLoadError(f"{path} is damaged: {error}.") from error


def check_fit(manifest: Manifest, engine: Path, version: str, gpus: Sequence[Gpu], options: Options) -> None:
    """EngineLoadError with every reason why the engine cannot run on these GPUs with these settings."""
    reasons = []
    if manifest.tensorrt_llm != version:
        reasons.append(f"it was built with TensorRT-LLM {manifest.tensorrt_llm}, and this is {version}")
    others = sorted({gpu.capability for gpu in gpus[: manifest.ranks]} - {manifest.architecture})
    if others:
        reasons.append(
            f"it was built for compute capability {manifest.architecture} ({manifest.gpu}), and this machine has "
            f"{', '.join(others)} ({gpus[0].name})"
        )
    if len(gpus) < manifest.ranks:
        reasons.append(f"it runs on {manifest.ranks} GPUs, and this machine has {len(gpus)}")
    for name in ("tensor_parallel", "pipeline_parallel"):
        wanted, built = getattr(options, name), getattr(manifest, name)
        if wanted not in (1, built):
            reasons.append(f"CHASQUI_{name.upper()} is {wanted}, and it was built for {built}")
    if options.kv_cache_dtype not in ("auto", manifest.kv_cache_dtype):
        reasons.append(
            f"CHASQUI_KV_CACHE_DTYPE is {options.kv_cache_dtype}, and it was built with {manifest.kv_cache_dtype}"
        )
    limits = (
        ("CHASQUI_PARALLEL", options.parallel, manifest.max_batch_size),
        ("CHASQUI_CONTEXT_LENGTH", options.context_length, manifest.max_seq_len),
    )
    for name, wanted, most in limits:
        if wanted > most:
            reasons.append(f"{name} is {wanted:,}, and it was built for at most {most:,}")
    if reasons:
        raise EngineLoadError(
            f"The engine {engine} does not fit: {'; '.join(reasons)}. Build a new one with `chasqui build-engine`."
        )
