"""Names and defaults of the `tensorrt_llm` API, release 1.2.1, as far as the adapter or the double uses them.

The double is built from this table, and inside NVIDIA's container a test compares the table with the package itself.
"""

from __future__ import annotations

from typing import Any, Final

REQUIRED: Final = object()

# Parameters of LLM.__init__ that are no fields of its arguments, in their order.
LLM_INIT: Final[dict[str, Any]] = {
    "model": REQUIRED,
    "tokenizer": None,
    "tokenizer_mode": "auto",
    "skip_tokenizer_init": False,
    "trust_remote_code": False,
    "tensor_parallel_size": 1,
    "dtype": "auto",
    "revision": None,
    "tokenizer_revision": None,
}

# Fields that both argument classes have.
COMMON_ARGUMENTS: Final[dict[str, Any]] = {
    "pipeline_parallel_size": 1,
    "load_format": "auto",
    "enable_lora": False,
    "kv_cache_config": None,
    "enable_chunked_prefill": False,
    "guided_decoding_backend": None,
    "speculative_config": None,
    "max_batch_size": None,
    "max_input_len": None,
    "max_seq_len": None,
    "max_beam_width": None,
    "max_num_tokens": 8192,
    "gather_generation_logits": False,
    "num_postprocess_workers": 0,
    "return_perf_metrics": False,
    "otlp_traces_endpoint": None,
}
TORCH_ARGUMENTS: Final[dict[str, Any]] = COMMON_ARGUMENTS | {
    "cuda_graph_config": None,
    "disable_overlap_scheduler": False,
    "attn_backend": "TRTLLM",
    "sampler_type": "auto",
    "enable_iter_perf_stats": False,
    "enable_iter_req_stats": False,
    "max_stats_len": 1000,
    "perf_metrics_max_requests": 0,
    "print_iter_log": False,
    "stream_interval": 1,
}
TENSORRT_ARGUMENTS: Final[dict[str, Any]] = COMMON_ARGUMENTS | {"build_config": None, "quant_config": None}
TENSORRT_ONLY: Final = frozenset({"quant_config"})

GENERATE_ASYNC: Final[dict[str, Any]] = {
    "inputs": REQUIRED,
    "sampling_params": None,
    "lora_request": None,
    "prompt_adapter_request": None,
    "streaming": False,
    "kv_cache_retention_config": None,
    "disaggregated_params": None,
    "trace_headers": None,
    "_postproc_params": None,
    "scheduling_params": None,
    "cache_salt": None,
}

SAMPLING_PARAMS: Final[dict[str, Any]] = {
    **{"end_id": None, "pad_id": None, "max_tokens": 32, "bad": None, "bad_token_ids": None, "stop": None},
    **{"stop_token_ids": None, "include_stop_str_in_output": False, "embedding_bias": None, "logits_processor": None},
    **{"apply_batched_logits_processor": False, "n": 1, "best_of": None, "use_beam_search": False, "top_k": None},
    **{"top_p": None, "top_p_min": None, "top_p_reset_ids": None, "top_p_decay": None, "seed": None},
    **{"temperature": None, "min_tokens": None, "beam_search_diversity_rate": None, "repetition_penalty": None},
    **{"presence_penalty": None, "frequency_penalty": None, "prompt_ignore_length": None, "length_penalty": None},
    **{"early_stopping": None, "no_repeat_ngram_size": None, "min_p": None, "beam_width_array": None},
    **{"logprobs": None, "prompt_logprobs": None, "return_context_logits": False, "return_generation_logits": False},
    **{"exclude_input_from_output": True, "return_encoder_output": False, "return_perf_metrics": False},
    **{"additional_model_outputs": None, "_context_logits_auto_enabled": False},
    **{"_generation_logits_auto_enabled": False, "_return_log_probs": False, "lookahead_config": None},
    **{"guided_decoding": None, "ignore_eos": False, "detokenize": True, "add_special_tokens": True},
    **{"truncate_prompt_tokens": None, "skip_special_tokens": True, "spaces_between_special_tokens": True},
}
GUIDED_DECODING_PARAMS: Final[dict[str, Any]] = {
    "json": None,
    "regex": None,
    "grammar": None,
    "json_object": False,
    "structural_tag": None,
}
KV_CACHE_CONFIG: Final[dict[str, Any]] = {
    "enable_block_reuse": True,
    "max_tokens": None,
    "max_attention_window": None,
    "sink_token_length": None,
    "free_gpu_memory_fraction": 0.9,
    "host_cache_size": None,
    "onboard_blocks": True,
    "event_buffer_max_size": 0,
    "enable_partial_reuse": True,
    "copy_on_partial_reuse": True,
    "dtype": "auto",
    "tokens_per_block": 32,
}
BUILD_CONFIG: Final[dict[str, Any]] = {
    "max_input_len": 1024,
    "max_seq_len": None,
    "opt_batch_size": 8,
    "max_batch_size": 2048,
    "max_beam_width": 1,
    "max_num_tokens": 8192,
    "gather_context_logits": False,
    "gather_generation_logits": False,
}
QUANT_CONFIG: Final[dict[str, Any]] = {"quant_algo": None, "kv_cache_quant_algo": None}
CUDA_GRAPH_CONFIG: Final[dict[str, Any]] = {"batch_sizes": None, "max_batch_size": 0, "enable_padding": False}
NGRAM_DECODING_CONFIG: Final[dict[str, Any]] = {"max_draft_len": None, "max_matching_ngram_size": 0}
EAGLE_DECODING_CONFIG: Final[dict[str, Any]] = {
    "max_draft_len": None,
    "speculative_model": None,
    "eagle3_one_model": True,
    "allow_advanced_sampling": False,
}
SAMPLER_TYPES: Final = ("TRTLLMSampler", "TorchSampler", "auto")

COMPLETION_OUTPUT: Final = (
    *("index", "text", "token_ids", "cumulative_logprob", "logprobs", "prompt_logprobs", "finish_reason"),
    *("stop_reason", "generation_logits", "additional_context_outputs", "additional_generation_outputs"),
    *("disaggregated_params", "request_perf_metrics"),
    *("_last_text_len", "_last_token_ids_len", "_last_logprobs_len", "_incremental_states", "_postprocess_result"),
)
REQUEST_OUTPUT: Final = (
    *("request_id", "prompt", "prompt_token_ids", "outputs", "finished", "cached_tokens", "metrics_dict"),
    *("abort", "aborted", "result", "aresult", "__await__", "__aiter__", "__anext__"),
)
TIMING_METRICS: Final = ("arrival_time", "first_scheduled_time", "first_token_time", "last_token_time")
