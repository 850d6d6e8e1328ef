"""Translates a generation into TensorRT-LLM's SamplingParams. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.engine.tensorrt_llm.logprobs import REQUESTED

if TYPE_CHECKING:
    from services.engine.api import Generation, Sampling
    from services.engine.model.checkpoint import Checkpoint
    from services.engine.tensorrt_llm.runtime import Runtime


def end_ids(generation: Generation, checkpoint: Checkpoint) -> frozenset[int]:
    """The tokens that end a choice; they are neither pushed nor counted."""
    own = () if generation.ignore_eos else checkpoint.end_ids
    return generation.stop_token_ids.union(own)


def sampling_params(runtime: Runtime, generation: Generation, seed: int, checkpoint: Checkpoint) -> Any:
    """A new SamplingParams for one choice; generate_async mutates it, so an object is never reused.

    `end_id` is always set: without it, generate_async adds the end tokens of the model's files as stop tokens, which
    `ignore_eos` does not undo. Stop strings are matched by the chat server, because the engine misses those that span
    tokens. `seed` is always sent (64 bits without sign): the C++ samplers take an unset one for 0, for each request.
    """
    sampling = generation.sampling
    own = checkpoint.end_ids[0]
    arguments: dict[str, Any] = {
        "end_id": own,
        "pad_id": own,
        "ignore_eos": generation.ignore_eos,
        "max_tokens": generation.tokens_left,
        "seed": seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "detokenize": False,
        "return_perf_metrics": True,
        **_ends(generation, checkpoint),
        **_shaping(generation),
    }
    if sampling.logit_bias:
        arguments["embedding_bias"] = _bias(runtime, sampling, checkpoint.vocabulary_size)
    if generation.grammar is not None:
        arguments["guided_decoding"] = runtime.llmapi.GuidedDecodingParams(grammar=generation.grammar)
    if generation.top_logprobs is not None:
        arguments["logprobs"] = REQUESTED
    return runtime.llmapi.SamplingParams(**arguments)


def _ends(generation: Generation, checkpoint: Checkpoint) -> dict[str, Any]:
    """What ends a choice.

    With min_tokens the engine only masks `end_id`, so it is sent no other end token; TensorRtLlmHandle.read ends the
    choice at those. Without an end token it would mask the last token of the vocabulary (TensorRT-LLM#12358).
    """
    if generation.min_tokens_left:
        return {} if generation.ignore_eos else {"min_tokens": generation.min_tokens_left}
    others = end_ids(generation, checkpoint) - (set() if generation.ignore_eos else {checkpoint.end_ids[0]})
    return {"stop_token_ids": sorted(others) or None}


def _shaping(generation: Generation) -> dict[str, Any]:
    """Parameters that are set only if they differ from the neutral value.

    Presence and frequency penalties count the completion alone, and the engine would count the prompt, too.
    repetition_penalty counts both, as its definition has it (arXiv:1909.05858); `prompt_ignore_length` does not change
    that.
    """
    sampling = generation.sampling
    shaping: dict[str, Any] = {}
    if sampling.min_p:
        shaping["min_p"] = sampling.min_p
    if sampling.repetition_penalty != 1.0:
        shaping["repetition_penalty"] = sampling.repetition_penalty
    if sampling.presence_penalty:
        shaping["presence_penalty"] = sampling.presence_penalty
    if sampling.frequency_penalty:
        shaping["frequency_penalty"] = sampling.frequency_penalty
    if sampling.presence_penalty or sampling.frequency_penalty:
        shaping["prompt_ignore_length"] = len(generation.prompt)
    return shaping


def _bias(runtime: Runtime, sampling: Sampling, vocabulary_size: int) -> Any:
    """A tensor as wide as the logits: `vocab_size` of the model's config, which may exceed the tokenizer's."""
    bias = runtime.torch.zeros(vocabulary_size, dtype=runtime.torch.float32)
    for token, value in sampling.logit_bias.items():
        bias[token] = value
    return bias
