"""Log probabilities of a prompt's tokens from llama.cpp's server core, which reports those of generated tokens only.

The core generates the prompt: a grammar allows nothing but its next tokens, and the core reports the probabilities that
the model gave them before any grammar. That takes the time of decoding, not of prefill.
"""

from __future__ import annotations

import math
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from services.engine.api import TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.engine.model.tokenizer import Tokenizer

# Tokens of one request to the core, which runs to its end when the call is cancelled.
_CHUNK: Final = 32
# Added to the logits of two tokens, so that no other can be chosen, and to one of them on top, so that it is.
_BIAS: Final = 100.0
_PREFERENCE: Final = 40.0


class PromptScoreError(Exception):
    """The core does not report the probability of a token; the message is one sentence."""


class PromptScorer:
    """Scores prompts with one core."""

    def __init__(self, server: Any, tokenizer: Tokenizer) -> None:
        self._server = server
        self._tokenizer = tokenizer
        self._plain = tokenizer.plain_ids()[0]

    def scores(self, prompt: Sequence[int], top: int, slot: int | None) -> Iterator[Sequence[TokenLogprob]]:
        """The log probabilities of all tokens, in pieces, with the `top` candidates of each.

        Blocking. PromptScoreError if the core does not report one.
        """
        yield [TokenLogprob(self._tokenizer.token_bytes(prompt[0]), None)]
        begin = 1
        while begin < len(prompt):
            if self._ends_inside_character(prompt[begin]):
                entries = [self._fragment(prompt, begin, top, slot)]
            elif prompt[begin] in self._tokenizer.duplicates:
                entries = [self._biased(prompt, begin, top, slot)]
            else:
                entries = self._chunk(prompt, begin, top, slot)
            yield entries
            begin += len(entries)

    def _chunk(self, prompt: Sequence[int], begin: int, top: int, slot: int | None) -> list[TokenLogprob]:
        """At least one token; the core stops behind a token that ends a turn."""
        wanted = list(takewhile(self._has_grammar, prompt[begin : begin + _CHUNK]))
        reported = self._generate(prompt[:begin], wanted, max(top, 1), slot)
        if not reported or [entry["id"] for entry in reported] != wanted[: len(reported)]:
            raise PromptScoreError("llama.cpp did not generate the tokens of the prompt.")
        return [self._entry(entry["id"], entry["logprob"], entry["top_logprobs"][:top]) for entry in reported]

    def _biased(self, prompt: Sequence[int], place: int, top: int, slot: int | None) -> TokenLogprob:
        """A token that shares its bytes with another: the core's grammars stop at one, so that a bias chooses it."""
        token = prompt[place]
        request = {"prompt": list(prompt[:place]), "max_tokens": 1, "n_probs": max(top, 1), "temperature": 0}
        reported = self._complete(request | {"logit_bias": [[token, _BIAS]]}, slot)
        if [entry["id"] for entry in reported] != [token]:
            raise PromptScoreError("llama.cpp did not generate a token of the prompt.")
        return self._entry(token, reported[0]["logprob"], reported[0]["top_logprobs"][:top])

    def _fragment(self, prompt: Sequence[int], place: int, top: int, slot: int | None) -> TokenLogprob:
        """A token that ends inside a character, which the core never reports as generated.

        It generates another one, which it reports. How much more probable that is, is read from the probabilities after
        a bias that leaves only the two.
        """
        token, other, before = prompt[place], self._plain, prompt[:place]
        plain = self._generate(before, [other], max(top, 1), slot)
        biased = {
            "logit_bias": [[token, _BIAS], [other, _BIAS + _PREFERENCE]],
            **{"n_probs": 2, "post_sampling_probs": True, "samplers": ["temperature"], "temperature": 1},
        }
        both = self._complete({"prompt": list(before), "max_tokens": 1, **biased}, slot)
        found = {entry["id"]: entry["prob"] for entry in both[0]["top_probs"]} if both else {}
        if not plain or not all(found.get(one, 0) > 0 for one in (token, other)):
            raise PromptScoreError(f"llama.cpp does not report the log probability of token {place} of the prompt.")
        logprob = plain[0]["logprob"] + math.log(found[token] / found[other]) + _PREFERENCE
        return self._entry(token, min(logprob, 0.0), plain[0]["top_logprobs"][:top])

    def _generate(self, prompt: Sequence[int], ids: Sequence[int], candidates: int, slot: int | None) -> list[Any]:
        """What the core reports of `ids`, which it is made to generate."""
        grammar = "%llguidance {}\nstart: " + " ".join(f"<[{token}]>" for token in ids)
        request = {"prompt": list(prompt), "max_tokens": len(ids), "n_probs": candidates, "grammar": grammar}
        return self._complete(request | {"temperature": 0}, slot)

    def _complete(self, request: dict[str, Any], slot: int | None) -> list[Any]:
        """The tokens that the core reports as generated."""
        messages: list[dict[str, Any]] = []

        def on_message(message: dict[str, Any]) -> bool:
            messages.append(message)
            return False

        place = {} if slot is None else {"id_slot": slot}
        self._server.handle_completions({**request, "stream": False, **place}, on_message)
        for message in messages:
            if "error" in message:
                raise PromptScoreError(f"llama.cpp failed: {message['error'].get('message', message['error'])}")
        logprobs = messages[-1]["choices"][0]["logprobs"] if messages else None
        return [] if logprobs is None else list(logprobs["content"])

    def _entry(self, token: int, logprob: float, candidates: Sequence[dict[str, Any]]) -> TokenLogprob:
        data = self._tokenizer.token_bytes
        return TokenLogprob(data(token), logprob, [(data(other["id"]), other["logprob"]) for other in candidates])

    def _has_grammar(self, token: int) -> bool:
        """Whether a grammar of token ids can make the core generate the token and report it."""
        return not self._ends_inside_character(token) and token not in self._tokenizer.duplicates

    def _ends_inside_character(self, token: int) -> bool:
        """Whether the last character of the token's bytes is cut, as the core sees it."""
        data = self._tokenizer.token_bytes(token)
        for back, byte in enumerate(reversed(data[-3:]), start=1):
            if byte & 0xC0 == 0x80:
                continue  # a byte inside a character
            return back < (4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1)
        return False
