"""The operator's options for TensorRT-LLM, and the arguments of its LLM constructor that follow from them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.engine.load_error import EngineLoadError
from services.engine.tensorrt_llm.capability import Sampler

if TYPE_CHECKING:
    from pathlib import Path

    from services.engine.tensorrt_llm.runtime import Runtime

# The library that the chat server compiles grammars with, so a grammar that it accepts is enforced here; TensorRT-LLM
# passes `grammar` through unchanged. xgrammar, the only back end of compiled engines, has another grammar language and
# ignores schema keywords that it does not know.
GUIDED_BACK_END = "llguidance"


@dataclass(frozen=True, slots=True)
class Options:
    """The engine's options. Sizes are in tokens; `kv_cache_fraction` is of the GPU memory that weights leave free."""

    context_length: int
    parallel: int  # sequences in a batch
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    batch_tokens: int = 8192
    kv_cache_fraction: float = 0.85
    kv_cache_dtype: str = "auto"
    kv_cache_reuse: bool = True
    chunked_prefill: bool = True
    guided: bool = True
    sampler: str = "auto"
    speculative: str = "none"  # none, ngram or eagle3
    speculative_model: str = ""
    speculative_tokens: int = 4
    load_format: str = "auto"
    traces_endpoint: str = ""

    @property
    def ranks(self) -> int:
        """The number of GPUs that the model runs on."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def guides(self) -> bool:
        """Whether grammars are enforced. Not with speculative decoding: the combination is unproven."""
        return self.guided and self.speculative == "none"


def torch_arguments(runtime: Runtime, options: Options, sampler: Sampler, model: Path) -> dict[str, Any]:
    """Keyword arguments of the PyTorch back end's LLM.

    The tokenizer stays on, because guided decoding reads the vocabulary from it. Iteration statistics are on, because
    they are the only evidence of progress during a long prefill.
    """
    arguments = _arguments(runtime, options, model) | {
        "max_input_len": options.context_length,
        # By default there are graphs for 1 to 31, 32, 64 and 128 sequences, and batches between those run without one.
        "cuda_graph_config": runtime.llmapi.CudaGraphConfig(enable_padding=True, max_batch_size=options.parallel),
        "enable_iter_perf_stats": True,
        "load_format": options.load_format,
        "guided_decoding_backend": GUIDED_BACK_END if options.guides else None,
    }
    if runtime.has_cpp_sampler:
        arguments["sampler_type"] = "TRTLLMSampler" if sampler is Sampler.TRTLLM else "TorchSampler"
    if options.speculative != "none":
        arguments["speculative_config"] = _speculative_config(runtime, options)
    if sampler is Sampler.NGRAM:
        arguments["disable_overlap_scheduler"] = True  # drafts are taken from tokens that are already generated
    return arguments


def compiled_arguments(runtime: Runtime, options: Options, engine: Path, tokenizer: Path) -> dict[str, Any]:
    """Keyword arguments of the LLM for compiled engines."""
    return _arguments(runtime, options, engine) | {"tokenizer": str(tokenizer)}


def _arguments(runtime: Runtime, options: Options, model: Path) -> dict[str, Any]:
    cache: dict[str, Any] = {
        "enable_block_reuse": options.kv_cache_reuse,
        "free_gpu_memory_fraction": options.kv_cache_fraction,
    }
    if options.kv_cache_dtype != "auto":
        cache["dtype"] = options.kv_cache_dtype
    arguments = {
        "model": str(model),
        "tensor_parallel_size": options.tensor_parallel,
        "pipeline_parallel_size": options.pipeline_parallel,
        "max_batch_size": options.parallel,
        "max_num_tokens": options.batch_tokens,
        "max_seq_len": options.context_length,
        "enable_chunked_prefill": options.chunked_prefill,
        "kv_cache_config": runtime.llmapi.KvCacheConfig(**cache),
        "return_perf_metrics": True,
    }
    if options.traces_endpoint:
        arguments["otlp_traces_endpoint"] = options.traces_endpoint
    return arguments


def _speculative_config(runtime: Runtime, options: Options) -> Any:
    if options.speculative == "ngram":
        length = options.speculative_tokens
        return runtime.llmapi.NGramDecodingConfig(max_draft_len=length, max_matching_ngram_size=length)
    if not options.speculative_model:
        raise EngineLoadError(
            "CHASQUI_SPECULATIVE is eagle3, which needs the draft model in CHASQUI_SPECULATIVE_MODEL."
        )
    eagle = getattr(runtime.llmapi, "Eagle3DecodingConfig", None) or runtime.llmapi.EagleDecodingConfig
    # By default target and draft are one model, which ignores temperature, top_p and top_k unless this is set (#9885).
    if "allow_advanced_sampling" in eagle.model_fields:
        mode = {"allow_advanced_sampling": True}
    else:
        mode = {"eagle3_one_model": False}
    return eagle(max_draft_len=options.speculative_tokens, speculative_model=options.speculative_model, **mode)
