"""The only file that imports `tensorrt_llm`; detects what the installed release has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.engine.load_error import EngineLoadError


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of the package that the adapter uses. `Any`, because the package has no type stubs."""

    version: str
    llmapi: Any  # the module, for its parameter classes
    llm_class: Any  # of the PyTorch back end
    compiled_llm_class: Any | None  # of the back end for compiled engines; None on releases without it
    torch: Any

    @property
    def takes_sampler_type(self) -> bool:
        """Whether the release has a choice of samplers."""
        return "sampler_type" in self.llmapi.TorchLlmArgs.model_fields


def load_runtime() -> Runtime:
    """EngineLoadError if the package is not installed or cannot be loaded."""
    try:
        import tensorrt_llm
        import torch  # comes with it
        from tensorrt_llm import llmapi
    except (ImportError, OSError) as error:
        raise EngineLoadError(
            f"TensorRT-LLM cannot be loaded ({error}). It needs an NVIDIA GPU and runs in the image of "
            "docker/server-gpu.Dockerfile."
        ) from error
    try:
        from tensorrt_llm._tensorrt_engine import LLM as compiled  # noqa: N811 - both classes have one name
    except ImportError:
        compiled = None
    return Runtime(tensorrt_llm.__version__, llmapi, tensorrt_llm.LLM, compiled, torch)
