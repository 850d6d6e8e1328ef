"""A release of the double as modules, and a checkpoint that it can load."""

from __future__ import annotations

import json
from enum import StrEnum
from types import ModuleType
from typing import TYPE_CHECKING, Any

from services.engine.model.gguf_file import read_gguf
from services.settings import DEMO_MODEL
from tests.support.tensorrt_llm import table
from tests.support.tensorrt_llm.llm import LaterLlm, Llm, TensorRtLlm
from tests.support.tensorrt_llm.output import CompletionOutput, RequestError, RequestOutput
from tests.support.tensorrt_llm.parameters import config_class, guided_decoding_params_class, sampling_params_class

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.engine.model.gguf_file import GgufModel

CONTEXT_LENGTH = 4096


class Release:
    """The package as one release has it; `llms` are the instances that were made."""

    def __init__(self, version: str = "1.2.1") -> None:
        self.version = version
        self.has_compiled_engines = self.has_cpp_sampler = version.startswith("1.2.")
        self.llms: list[Llm] = []
        self.load_error: Exception | None = None
        self.loads_for_ever = False
        self.sampling_params_class = sampling_params_class()
        self.cuda_graph_config_class = config_class("CudaGraphConfig", table.CUDA_GRAPH_CONFIG)
        self._torch_arguments = config_class("TorchLlmArgs", table.TORCH_ARGUMENTS)
        self._tensorrt_arguments = config_class("TrtLlmArgs", table.TENSORRT_ARGUMENTS)

    def arguments_class(self, compiled: bool) -> Any:
        """TorchLlmArgs or TrtLlmArgs."""
        return self._tensorrt_arguments if compiled else self._torch_arguments

    def _sampler_types(self) -> type[StrEnum]:
        """Later releases have the enumeration, too, but without the C++ sampler."""
        names = [name for name in table.SAMPLER_TYPES if self.has_cpp_sampler or name != "TRTLLMSampler"]
        return StrEnum("SamplerType", {name: name for name in names})  # type: ignore[return-value]  # the functional API

    def modules(self) -> dict[str, ModuleType]:
        """What `import` finds, by name."""
        shared = Llm if self.has_compiled_engines else LaterLlm
        llm = type("LLM", (shared,), {"release": self, "arguments": table.TORCH_ARGUMENTS})
        llmapi = _module(
            "tensorrt_llm.llmapi",
            LLM=llm,
            SamplingParams=self.sampling_params_class,
            GuidedDecodingParams=guided_decoding_params_class(),
            KvCacheConfig=config_class("KvCacheConfig", table.KV_CACHE_CONFIG),
            CudaGraphConfig=self.cuda_graph_config_class,
            NGramDecodingConfig=config_class("NGramDecodingConfig", table.NGRAM_DECODING_CONFIG),
            EagleDecodingConfig=config_class("EagleDecodingConfig", table.EAGLE_DECODING_CONFIG),
            TorchLlmArgs=self._torch_arguments,
            RequestOutput=RequestOutput,
            CompletionOutput=CompletionOutput,
            RequestError=RequestError,
        )
        llmapi.__path__ = []
        found = {
            "tensorrt_llm.llmapi": llmapi,
            "tensorrt_llm.llmapi.llm_args": _module("tensorrt_llm.llmapi.llm_args", SamplerType=self._sampler_types()),
            "torch": _module("torch", zeros=_zeros, float32="float32"),
        }
        if self.has_compiled_engines:
            compiled = type("LLM", (TensorRtLlm,), {"release": self, "arguments": table.TENSORRT_ARGUMENTS})
            found["tensorrt_llm._tensorrt_engine"] = _module("tensorrt_llm._tensorrt_engine", LLM=compiled)
            llmapi.BuildConfig = config_class("BuildConfig", table.BUILD_CONFIG)  # type: ignore[attr-defined]
            llmapi.QuantConfig = config_class("QuantConfig", table.QUANT_CONFIG)  # type: ignore[attr-defined]
            llmapi.QuantAlgo = type("QuantAlgo", (), {"FP8": "FP8"})  # type: ignore[attr-defined]
        top = _module("tensorrt_llm", LLM=llm, SamplingParams=self.sampling_params_class, llmapi=llmapi)
        top.__version__ = self.version  # type: ignore[attr-defined]
        top.__path__ = []
        return {"tensorrt_llm": top} | found


def write_checkpoint(path: Path, *, end_ids: Sequence[int] = (), **config: Any) -> Path:
    """The demo model's metadata as a Hugging Face directory without weights."""
    gguf = read_gguf(DEMO_MODEL)
    path.mkdir(parents=True, exist_ok=True)
    sizes = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
    llama = {"model_type": "llama", "intermediate_size": 14336, "rms_norm_eps": 1e-5, "rope_theta": 500000.0}
    files: dict[str, Any] = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "vocab_size": len(gguf.tokens),
            "max_position_embeddings": CONTEXT_LENGTH,
            "torch_dtype": "bfloat16",
            **sizes,
            **llama,
            **config,
        },
        "generation_config.json": {"eos_token_id": [gguf.eos_id, *end_ids]},
        "tokenizer.json": _tokenizer_json(gguf),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": gguf.tokens[gguf.bos_id],
            "eos_token": gguf.tokens[gguf.eos_id],
            "chat_template": gguf.chat_template,
        },
    }
    for name, value in files.items():
        (path / name).write_text(json.dumps(value))
    return path


def _tokenizer_json(gguf: GgufModel) -> dict[str, Any]:
    """The demo model's tokenizer in the format of the tokenizers library."""
    special = [i for i, kind in enumerate(gguf.token_types) if kind in (3, 4)]
    names = {gguf.tokens[i] for i in special}
    added = [{"id": i, "content": gguf.tokens[i], "special": True, **_PLAIN_FLAGS} for i in special]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(gguf.tokens) if token not in names},
            "merges": [merge.split(" ") for merge in gguf.merges],
            "ignore_merges": True,
        },
    }


_PLAIN_FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


def _zeros(size: int, dtype: str) -> list[float]:
    """As much of a tensor as the adapter needs."""
    if dtype != "float32":
        raise TypeError("an embedding bias must be float32")
    return [0.0] * size
