"""Which parameters each sampler of TensorRT-LLM supports. It accepts the others and ignores them.

Sources: NVIDIA/TensorRT-LLM pull requests #16485 (penalties), #16590 (min_p), #17172 (seed), #9885 (sampling with
Eagle3), #12166 (min_tokens), #9675 (log probabilities), #18232 and #18513 (end of TRTLLMSampler), and issues #9442
(penalties without effect) and #12514 (log probabilities of TRTLLMSampler).
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Sampler(Enum):
    """The component that samples the tokens."""

    COMPILED = "compiled"  # inside a compiled engine, in C++
    TRTLLM = "trtllm"  # TRTLLMSampler: in C++, under the PyTorch back end, on releases that have it
    TORCH = "torch"  # TorchSampler on those releases, their default
    TORCH_ALONE = "torch-alone"  # TorchSampler on releases without TRTLLMSampler
    NGRAM = "ngram"  # TorchSampler, which verifies drafts taken from the text
    EAGLE3 = "eagle3"  # inside the combined target and draft model


_ALWAYS: Final = frozenset({"temperature", "top_p", "top_k", "n", "ignore_eos", "stop_token_ids"})
_PENALTIES: Final = frozenset({"repetition_penalty", "presence_penalty", "frequency_penalty"})
_LOGPROBS: Final = frozenset({"logprobs", "top_logprobs"})
_IN_CPP: Final = _ALWAYS | _PENALTIES | {"logit_bias", "min_p", "seed", "min_tokens"}
# TorchSampler of 1.2 may compare min_tokens with prompt and completion together (#12166). The C++ samplers report log
# probabilities after temperature (#12514), or crash on an abort (#10810). Eagle3 applies temperature, top_p and top_k
# only. Whether a release without TRTLLMSampler has seeds (#17172) is not known.
PARAMETERS: Final = {
    Sampler.COMPILED: _IN_CPP,
    Sampler.TRTLLM: _IN_CPP,
    Sampler.TORCH: _ALWAYS | _LOGPROBS | {"logit_bias"},
    Sampler.TORCH_ALONE: _ALWAYS | _LOGPROBS | _PENALTIES | {"logit_bias", "min_p", "min_tokens"},
    Sampler.NGRAM: _ALWAYS | {"logit_bias"},
    Sampler.EAGLE3: _ALWAYS,
}
# TorchSampler reports log probabilities after it has applied these, so they would not be the model's own.
EXCLUSIONS: Final = frozenset({("logprobs", "logit_bias"), ("logprobs", "min_tokens"), ("logprobs", "response_format")})

_WITHOUT_DRAFTS: Final = {
    **dict.fromkeys(_PENALTIES | {"min_p", "min_tokens", "logit_bias"}, "CHASQUI_SPECULATIVE=none supports it."),
    "seed": "CHASQUI_SPECULATIVE=none supports it on release 1.2.",
    **dict.fromkeys(_LOGPROBS, "CHASQUI_SPECULATIVE=none with CHASQUI_SAMPLER=torch supports it."),
}
# For the error message: which setting supports a parameter that the sampler does not.
REMEDIES: Final[dict[Sampler, dict[str, str]]] = {
    Sampler.COMPILED: dict.fromkeys(_LOGPROBS, "A checkpoint with CHASQUI_SAMPLER=torch supports it."),
    Sampler.TRTLLM: dict.fromkeys(
        _LOGPROBS, "CHASQUI_SAMPLER=torch supports it, without penalties, min_p, seed and min_tokens."
    ),
    Sampler.TORCH: dict.fromkeys(_IN_CPP - _ALWAYS, "CHASQUI_SAMPLER=trtllm supports it, without logprobs."),
    Sampler.TORCH_ALONE: {},
    Sampler.NGRAM: _WITHOUT_DRAFTS,
    Sampler.EAGLE3: _WITHOUT_DRAFTS,
}
_SPECULATIVE: Final = {"ngram": Sampler.NGRAM, "eagle3": Sampler.EAGLE3}


def choose_sampler(setting: str, *, compiled: bool, has_cpp_sampler: bool, speculative: str) -> Sampler:
    """The sampler for CHASQUI_SAMPLER; ValueError with a reason if the setting cannot be met.

    `setting` is auto, trtllm or torch; auto selects TRTLLMSampler where it exists, which supports most parameters.
    `speculative` is CHASQUI_SPECULATIVE; drafts are never verified by TRTLLMSampler.
    """
    if compiled:
        if setting == "torch":
            raise ValueError("a compiled engine has its own sampler, not the PyTorch one")
        return Sampler.COMPILED
    if setting == "trtllm" and not has_cpp_sampler:
        raise ValueError("this release of TensorRT-LLM no longer has the C++ sampler")
    if speculative != "none":
        if setting == "trtllm":
            raise ValueError("speculative decoding needs the PyTorch sampler")
        return _SPECULATIVE[speculative]
    if not has_cpp_sampler:
        return Sampler.TORCH_ALONE
    return Sampler.TORCH if setting == "torch" else Sampler.TRTLLM
