"""The double's samplers: each applies the parameters that the real one applies, and ignores the others as silently."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.support.tensorrt_llm.language_model import FLOOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.tensorrt_llm.guided import GuidedChoice
    from tests.support.tensorrt_llm.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Rules:
    """What a sampler applies beside temperature, top_p and top_k."""

    samples: bool = True  # False: always the most probable token
    bias: bool = True
    penalties: bool = False
    min_p: bool = False
    seed: bool = False  # per request, and 0 where none is given
    min_tokens: str = ""  # what is compared with it: "completion", "total" (prompt and completion), or nothing
    logprobs: str = ""  # "top": the most probable tokens; "top-and-sampled"; "sampled": that one, after temperature
    temperature_first: bool = False  # before penalties


IN_CPP = Rules(
    penalties=True, min_p=True, seed=True, min_tokens="completion", logprobs="sampled", temperature_first=True
)
TORCH = Rules(min_tokens="total", logprobs="top")
LATER = Rules(penalties=True, min_p=True, min_tokens="completion", logprobs="top-and-sampled")
NGRAM = replace(TORCH, logprobs="")  # whether they come with drafts is not known
EAGLE3 = Rules(bias=False)
EAGLE3_GREEDY = Rules(bias=False, samples=False)


@dataclass(slots=True)
class Logprob:
    """The log probability of a token, and its rank from 1 on."""

    logprob: float
    rank: int


class RequestSampler:
    """Samples the tokens of one request. `shared` is the generator of an engine whose sampler has no seeds."""

    def __init__(
        self,
        rules: Rules,
        model: LanguageModel,
        prompt: Sequence[int],
        params: Any,
        guide: GuidedChoice | None,
        shared: random.Random,
    ) -> None:
        self._rules = rules
        self._model = model
        self._prompt = prompt
        self._params = params
        self._guide = guide
        self._shared = shared
        bias = params.embedding_bias if rules.bias else None
        self._bias = {token: value for token, value in enumerate(bias or ()) if value}
        self._ignored = min(max(params.prompt_ignore_length or 0, 0), len(prompt))

    def source(self) -> random.Random:
        """The generator of one sequence: with the same seed all sequences of a request are the same."""
        return random.Random(self._params.seed or 0) if self._rules.seed else self._shared  # noqa: S311 - no secret

    def sample(self, ids: Sequence[int], source: random.Random) -> tuple[int, dict[int, Logprob] | None]:
        """The next token after `ids`, and the log probabilities that go with it if they were asked for."""
        logits = self._model.logits(self._prompt, ids)
        for token, value in self._bias.items():
            logits[token] = logits.get(token, FLOOR) + value
        self._mask(logits, ids)
        shaped = self._shaped(logits, ids)
        token = self._pick(shaped, source)
        if self._guide is not None:
            self._guide.accept(token)
        return token, self._logprobs(logits, shaped, token)

    def _mask(self, logits: dict[int, float], ids: Sequence[int]) -> None:
        params = self._params
        count = len(ids) + (len(self._prompt) if self._rules.min_tokens == "total" else 0)
        if self._rules.min_tokens and count < (params.min_tokens or 0):
            # With ignore_eos the end token is -1, and what is masked is the last token of the vocabulary.
            logits[self._model.size - 1 if params.ignore_eos else params.end_id] = -math.inf
        if self._guide is not None and (allowed := self._guide.allowed()) is not None:
            for token in logits.keys() - allowed:
                logits[token] = -math.inf
            for token in allowed - logits.keys():
                logits[token] = FLOOR

    def _shaped(self, logits: dict[int, float], ids: Sequence[int]) -> dict[int, float]:
        params, shaped = self._params, dict(logits)
        if self._rules.temperature_first:
            shaped = {token: logit / (params.temperature or 1.0) for token, logit in shaped.items()}
        if self._rules.penalties:
            self._penalize(shaped, ids)
        if not self._rules.temperature_first:
            shaped = {token: logit / (params.temperature or 1.0) for token, logit in shaped.items()}
        return shaped

    def _penalize(self, logits: dict[int, float], ids: Sequence[int]) -> None:
        """Of the prompt, only repetition_penalty counts the first prompt_ignore_length tokens."""
        params = self._params
        if params.repetition_penalty is not None:
            for token in {*self._prompt, *ids} & logits.keys():
                divided = logits[token] >= 0
                logits[token] *= 1 / params.repetition_penalty if divided else params.repetition_penalty
        for token, count in Counter([*self._prompt[self._ignored :], *ids]).items():
            if token in logits:
                logits[token] -= (params.presence_penalty or 0) + count * (params.frequency_penalty or 0)

    def _pick(self, logits: dict[int, float], source: random.Random) -> int:
        params = self._params
        order = sorted(logits, key=lambda token: -logits[token])
        unset = params.temperature is None and params.top_p is None and params.top_k is None
        if unset or not self._rules.samples or params.temperature == 0 or params.top_k == 1 or params.top_p == 0:
            return order[0]
        weights = {token: math.exp(logits[token] - logits[order[0]]) for token in order}
        kept = order[: params.top_k] if params.top_k else order
        if params.top_p is not None and params.top_p < 1:
            limit, total = params.top_p * sum(weights.values()), 0.0
            nucleus = []
            for token in kept:
                nucleus.append(token)
                total += weights[token]
                if total >= limit:
                    break
            kept = nucleus
        if self._rules.min_p and params.min_p:
            kept = [token for token in kept if weights[token] >= params.min_p]
        return source.choices(kept, [weights[token] for token in kept])[0]

    def _logprobs(self, logits: dict[int, float], shaped: dict[int, float], token: int) -> dict[int, Logprob] | None:
        wanted, kind = self._params.logprobs, self._rules.logprobs
        if not wanted or not kind:
            return None
        if kind == "sampled":
            return {token: Logprob(self._model.log_probabilities(shaped)[token], 1)}
        found = self._model.log_probabilities(logits)
        order = sorted(found, key=lambda one: -found[one])
        top = {one: Logprob(found[one], rank) for rank, one in enumerate(order[:wanted], 1)}
        if kind == "top-and-sampled" and token not in top:
            top[token] = Logprob(found[token], order.index(token) + 1)
        return top
