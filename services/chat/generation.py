"""From the contract's sampling options to the engine's; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine.api import Sampling

if TYPE_CHECKING:
    from chasqui.v1.chat_pb2 import SamplingOptions


def sampling_of(options: SamplingOptions) -> Sampling:
    """The engine's sampling; `options` have been validated, and absent ones take the neutral defaults."""
    given = {field.name: value for field, value in options.ListFields() if field.name != "logit_bias"}
    # -1 is a spelling of 0, off.
    if given.get("top_k") == -1:
        given["top_k"] = 0
    return Sampling(**given, logit_bias=dict(options.logit_bias))
