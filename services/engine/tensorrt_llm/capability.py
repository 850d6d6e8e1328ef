"""Which sampling parameters each sampler of TensorRT-LLM supports. It accepts the others and ignores them.

Sources: NVIDIA/TensorRT-LLM pull requests #16485 (penalties), #16590 (min_p), #17172 (seed) and #18232 (end of
`sampler_type`), and issue #9442 (penalties without effect on 1.2).
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Sampler(Enum):
    """The component that samples the tokens."""

    COMPILED = "compiled"  # inside a compiled engine, in C++
    TRTLLM = "trtllm"  # the C++ sampler under the PyTorch back end, on releases that offer the choice
    TORCH = "torch"  # the PyTorch sampler of those releases, their default
    TORCH_ALONE = "torch-alone"  # the PyTorch sampler of releases that have no other


_EVERYWHERE: Final = frozenset(
    {"temperature", "top_p", "top_k", "logit_bias", "n", "ignore_eos", "stop_token_ids"},
)
_PENALTIES: Final = frozenset({"repetition_penalty", "presence_penalty", "frequency_penalty"})
# The last row is for releases after 1.2, which have penalties and min_p (#16485, #16590). Whether a release without the
# C++ sampler already has per-request seeds (#17172) is not known, so seeds are not advertised.
PARAMETERS: Final = {
    Sampler.COMPILED: _EVERYWHERE | _PENALTIES | {"min_p", "seed"},
    Sampler.TRTLLM: _EVERYWHERE | _PENALTIES | {"min_p", "seed"},
    Sampler.TORCH: _EVERYWHERE,
    Sampler.TORCH_ALONE: _EVERYWHERE | _PENALTIES | {"min_p"},
}


def choose_sampler(setting: str, *, compiled: bool, takes_sampler_type: bool, speculative: bool) -> Sampler:
    """The sampler for CHASQUI_SAMPLER; ValueError with a reason if the setting cannot be met.

    `setting` is auto, trtllm or torch; auto selects the sampler with the most parameters. Speculative decoding always
    verifies drafts in the PyTorch sampler.
    """
    if compiled:
        if setting == "torch":
            raise ValueError("a compiled engine has its own sampler, not the PyTorch one")
        return Sampler.COMPILED
    if not takes_sampler_type:
        if setting == "trtllm":
            raise ValueError("this release of TensorRT-LLM has no C++ sampler any more")
        return Sampler.TORCH_ALONE
    if speculative:
        if setting == "trtllm":
            raise ValueError("speculative decoding needs the PyTorch sampler")
        return Sampler.TORCH
    return Sampler.TORCH if setting == "torch" else Sampler.TRTLLM
