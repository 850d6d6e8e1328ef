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
_IN_CPP: Final = _ALWAYS | _PENALTIES | {"logit_bias", "min_p", "seed"}
# Eagle3 applies temperature, top_p and top_k only. Whether a release without TRTLLMSampler has seeds (#17172) is not
# known.
PARAMETERS: Final = {
    Sampler.COMPILED: _IN_CPP,
    Sampler.TRTLLM: _IN_CPP,
    Sampler.TORCH: _ALWAYS | {"logit_bias"},
    Sampler.TORCH_ALONE: _ALWAYS | _PENALTIES | {"logit_bias", "min_p"},
    Sampler.NGRAM: _ALWAYS | {"logit_bias"},
    Sampler.EAGLE3: _ALWAYS,
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
