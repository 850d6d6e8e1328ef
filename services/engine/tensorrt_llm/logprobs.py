"""Translates TensorRT-LLM's log probabilities. Pure.

For each token the PyTorch sampler reports the `logprobs=K` most probable ones with their ranks: the model's own
probabilities, before temperature, top_p and top_k. On 1.2 the sampled token can be missing (TensorRT-LLM#9374).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from services.engine.api import TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Always the most that a caller may ask for, because the sampled token is then most likely among them. 0 means off.
REQUESTED: Final = 20
# OpenAI's value for a token that is not among the most probable; also in place of minus infinity, which JSON lacks.
LOWEST: Final = -9999.0


class LogprobsError(Exception):
    """The engine's log probabilities do not go with its tokens; the message is one sentence."""


def token_logprobs(
    ids: Sequence[int], reported: Sequence[Any], top: int, token_bytes: Callable[[int], bytes]
) -> list[TokenLogprob]:
    """One entry per id, with the `top` most probable tokens.

    `reported` must have, for each id, a mapping of token to logprob and rank; LogprobsError if it has not.
    """
    if len(reported) < len(ids):
        raise LogprobsError(f"The engine reported {len(reported)} log probabilities for {len(ids)} tokens.")
    try:
        return [_entry(token, found, top, token_bytes) for token, found in zip(ids, reported, strict=False)]
    except (AttributeError, TypeError) as error:
        raise LogprobsError(f"The engine's log probabilities are not understood: {error}.") from error


def _entry(token: int, found: Any, top: int, token_bytes: Callable[[int], bytes]) -> TokenLogprob:
    own = found.get(token)
    ranked = sorted(found.items(), key=lambda candidate: candidate[1].rank)[:top]
    return TokenLogprob(
        token_bytes(token),
        LOWEST if own is None else max(own.logprob, LOWEST),
        [(token_bytes(other), max(value.logprob, LOWEST)) for other, value in ranked],
    )
