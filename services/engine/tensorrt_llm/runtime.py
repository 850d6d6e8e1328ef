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
    llm_args: Any  # the module of the constructor's arguments
    llm_class: Any  # of the PyTorch back end
    compiled_llm_class: Any | None  # of the back end for compiled engines; None on releases without it
    torch: Any

    @property
    def has_cpp_sampler(self) -> bool:
        """Whether TRTLLMSampler can be selected. Some releases without it still have the argument `sampler_type`."""
        sampler_types = getattr(self.llm_args, "SamplerType", None)
        return "TRTLLMSampler" in getattr(sampler_types, "__members__", ())


def load_runtime() -> Runtime:
    """EngineLoadError if the package is not installed or cannot be loaded."""
    try:
        import tensorrt_llm
        import torch  # comes with it
        from tensorrt_llm import llmapi
        from tensorrt_llm.llmapi import llm_args
    except (ImportError, OSError) as error:
        raise EngineLoadError(
            f"TensorRT-LLM cannot be loaded ({error}). It needs an NVIDIA GPU and runs in the image of "
            "docker/server-gpu.Dockerfile."
        ) from error
    try:
        from tensorrt_llm._tensorrt_engine import LLM as compiled  # noqa: N811 - both classes have one name
    except ImportError:
        compiled = None
    return Runtime(tensorrt_llm.__version__, llmapi, llm_args, tensorrt_llm.LLM, compiled, torch)
