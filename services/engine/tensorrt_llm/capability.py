"""Which parameters a release of TensorRT-LLM really honours, by sampler. Elsewhere it accepts them without effect.

Sources: NVIDIA/TensorRT-LLM pull requests #16485 (penalties), #16590 (min_p), #17172 (seed) and #18232 (end of
`sampler_type`), and issue #9442 (penalties without effect on 1.2).
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Sampler(Enum):
    """What picks the tokens."""

    COMPILED = "compiled"  # inside a compiled engine, in C++
    TRTLLM = "trtllm"  # the C++ sampler under the PyTorch back end, on releases that offer the choice
    TORCH = "torch"  # the PyTorch sampler of those releases, their default
    TORCH_ALONE = "torch-alone"  # the PyTorch sampler of releases that have no other


_EVERYWHERE: Final = frozenset(
    {"temperature", "top_p", "top_k", "logit_bias", "n", "ignore_eos", "stop_token_ids"},
)
_PENALTIES: Final = frozenset({"repetition_penalty", "presence_penalty", "frequency_penalty"})
# The last row is of development branches of summer 2026, whose order of changes says so much of penalties and min_p;
# whether seeds had come in by then is not known, and they are not advertised.
PARAMETERS: Final = {
    Sampler.COMPILED: _EVERYWHERE | _PENALTIES | {"min_p", "seed"},
    Sampler.TRTLLM: _EVERYWHERE | _PENALTIES | {"min_p", "seed"},
    Sampler.TORCH: _EVERYWHERE,
    Sampler.TORCH_ALONE: _EVERYWHERE | _PENALTIES | {"min_p"},
}


def choose_sampler(setting: str, *, compiled: bool, takes_sampler_type: bool, speculative: bool) -> Sampler:
    """The sampler that will run; ValueError with a sentence if it cannot be the one of the setting.

    `setting` is auto, trtllm or torch; auto takes the one that honours most. Speculative decoding verifies drafts
    in the PyTorch sampler whatever is asked for.
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
