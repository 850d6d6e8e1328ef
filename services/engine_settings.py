"""The settings of the model and of the engine that runs it."""

from __future__ import annotations

from dataclasses import dataclass

from services.setting_values import setting

ENGINES = ("llama-cpp", "tensorrt-llm", "simulated")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What is served, by which engine, and what memory and parallelism it may use."""

    engine: str = setting("llama-cpp", "Inference engine.", choices=ENGINES)
    model: str = setting(
        "",
        "GGUF file, smollm2, or org/repo[:file] on the Hugging Face hub; empty: the demo model. For TensorRT-LLM: "
        "checkpoint directory, org/repo, or compiled engine.",
    )
    chat_template: str = setting("", "File with a Jinja chat template to use instead of the model's own.")
    model_name: str = setting("", "Model name in responses; empty: the name in the model file.")
    model_aliases: tuple[str, ...] = setting(
        ("meta-llama/Meta-Llama-3.1-8B-Instruct",), "Other model names that requests may use, separated by commas."
    )
    context_length: int = setting(
        0,
        "Context length, prompt and completion together; 0: the model's own.",
        unit="tokens",
        minimum=0,
        maximum=1_048_576,
    )
    parallel: int = setting(
        4,
        "Sequences that are generated at the same time; llama.cpp allocates a KV cache of the context length for each.",
        minimum=1,
        maximum=4096,
    )
    max_queue: int = setting(
        256,
        "Sequences that may wait for a slot (a request with n choices needs n slots); further requests are "
        "refused. One caller may take at most half.",
        minimum=0,
    )
    max_queue_tokens: int = setting(
        2_097_152,
        "Tokens that may wait: prompt plus max_tokens of every queued sequence.",
        unit="tokens",
        minimum=1,
    )
    threads: int = setting(0, "llama.cpp: CPU threads; 0: one per core.", minimum=0, maximum=1024)
    tensor_parallel: int = setting(
        1,
        "TensorRT-LLM: tensor parallel size, the GPUs that share every layer; less time per token and less memory "
        "on each.",
        minimum=1,
        maximum=64,
    )
    pipeline_parallel: int = setting(
        1,
        "TensorRT-LLM: pipeline parallel size, the groups of GPUs that divide the layers among them; less memory "
        "on each.",
        minimum=1,
        maximum=64,
    )
    batch_tokens: int = setting(
        8192,
        "TensorRT-LLM: tokens of a step, prompts included (max_num_tokens); more is faster on long prompts and "
        "takes memory.",
        unit="tokens",
        minimum=64,
        maximum=1_048_576,
    )
    kv_cache_fraction: float = setting(
        0.85,
        "TensorRT-LLM: fraction of the GPU memory beside the weights that becomes KV cache; more holds more sequences.",
        minimum=0.01,
        maximum=0.98,
    )
    kv_cache_dtype: str = setting(
        "auto",
        "Data type of the KV cache; auto: 16 bits, or the checkpoint's on TensorRT-LLM. Half its size: q8_0 on "
        "llama.cpp, fp8 on TensorRT-LLM.",
        choices=("auto", "fp8", "q8_0"),
    )
    flash_attention: str = setting(
        "auto",
        "llama.cpp: flash attention; auto: where the device has it. A KV cache of q8_0 needs it.",
        choices=("auto", "on", "off"),
    )
    kv_cache_reuse: bool = setting(True, "TensorRT-LLM: reuse the KV cache of prompts that begin with the same tokens.")
    chunked_prefill: bool = setting(
        True,
        "TensorRT-LLM: prefill long prompts in chunks between decoding steps; off: prompts longer than a step are "
        "refused.",
    )
    guided_decoding: bool = setting(True, "TensorRT-LLM: enforce grammars; off: structured output is refused.")
    sampler: str = setting(
        "auto",
        "TensorRT-LLM: on release 1.2 trtllm honours penalties, min_p, seed and min_tokens, torch log probabilities; "
        "auto takes the one that honours most.",
        choices=("auto", "trtllm", "torch"),
    )
    speculative: str = setting(
        "none",
        "TensorRT-LLM: speculative decoding, faster at small loads; ngram drafts from the text so far, eagle3 with "
        "a draft model.",
        choices=("none", "ngram", "eagle3"),
    )
    speculative_model: str = setting("", "TensorRT-LLM: directory of the eagle3 draft model.")
    speculative_tokens: int = setting(4, "TensorRT-LLM: longest draft.", unit="tokens", minimum=1, maximum=64)
    load_format: str = setting(
        "auto", "TensorRT-LLM: dummy loads random weights, to measure speed.", choices=("auto", "dummy")
    )
    simulated_rate: float = setting(
        50.0, "Simulated engine: pace of each sequence; 0: as fast as possible.", unit="tokens/s", minimum=0.0
    )
    simulated_shape: str = setting(
        "step",
        "Simulated engine: step delivers the tokens of all sequences together, call those of each sequence by "
        "itself, as TensorRT-LLM does.",
        choices=("step", "call"),
    )
