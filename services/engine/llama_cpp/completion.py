"""Translates a generation into llama.cpp's completion request, and llama.cpp's messages into events; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.engine.api import ChoiceEnd, EndReason, Generation, TokenDelta, TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# llama.cpp takes a seed of 32 bits; the largest of them means a random one.
_SEEDS = 2**32 - 1
# Replaces the message whose text violates the grammar.
GRAMMAR_LOST: dict[str, Any] = {"error": {"message": "llama.cpp stopped enforcing the grammar."}}


def completion_request(generation: Generation) -> dict[str, Any]:
    """The body of a completion request to llama.cpp's server."""
    sampling = generation.sampling
    request: dict[str, Any] = {
        "prompt": list(generation.prompt),
        "stream": True,
        "max_tokens": generation.max_tokens,
        "n": generation.n,
        "ignore_eos": generation.ignore_eos,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": max(sampling.top_k, 0),
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repeat_last_n": len(generation.prompt) + generation.max_tokens,  # penalties count all tokens, not the last 64
        "logit_bias": [[token, bias] for token, bias in sampling.logit_bias.items()],
        "return_progress": True,  # callbacks during prefill too, which can then be cancelled
        "timings_per_token": True,  # every message carries the number of tokens so far
    }
    if generation.grammar is not None:
        request["grammar"] = generation.grammar
    if generation.top_logprobs is not None:
        # At least 1: with 0, llama.cpp returns no log probabilities.
        request["n_probs"] = max(generation.top_logprobs, 1)
    if sampling.seed is not None:
        request["seed"] = sampling.seed % _SEEDS
    return request


class CompletionState:
    """The state of one completion of `n` choices, updated by llama.cpp's messages."""

    def __init__(self, n: int, prompt_tokens: int, top_logprobs: int | None = None) -> None:
        self.open_choices = set(range(n))
        self.delivered_tokens = 0  # incremented by the engine as it pushes the deltas
        self.cached_tokens = 0
        self.prefill_seconds = 0.0
        self.decode_seconds = 0.0
        self.error: str | None = None
        self.grammar_lost = False
        self._prompt_tokens = prompt_tokens
        self._top = top_logprobs
        self._counted = [0] * n

    def events(self, message: dict[str, Any]) -> Iterator[TokenDelta | ChoiceEnd]:
        """The events of a message. An error message fails the whole generation and sets `error`.

        The token that ends the turn arrives with empty text before the finish reason, as do tokens inside a character.
        Tokens without text are therefore counted with the next text; with the finish reason "stop", all but the last.
        """
        if "error" in message:
            self.error = str(message["error"].get("message", message["error"]))
            self.grammar_lost = message is GRAMMAR_LOST
            return
        timings = message.get("timings")
        if timings is not None:
            self._take_timings(timings)
        for choice in message.get("choices", ()):
            index: int = choice["index"]
            total: int = timings["predicted_n"] if timings is not None else 0
            finish = choice["finish_reason"]
            if index not in self.open_choices:
                continue
            if finish is None and not choice["text"]:
                continue
            if finish == "stop":
                total -= 1
            new = max(total - self._counted[index], 0)
            if new or choice["text"]:
                self._counted[index] += new
                yield TokenDelta(index, new, text=choice["text"], logprobs=self._logprobs(choice.get("logprobs")))
            if finish is not None:
                self.open_choices.discard(index)
                yield ChoiceEnd(index, EndReason.STOP if finish == "stop" else EndReason.LENGTH)

    def _logprobs(self, reported: dict[str, Any] | None) -> Sequence[TokenLogprob]:
        """The entries of a message, with as many candidates as were requested."""
        if self._top is None or reported is None:
            return ()
        return [
            TokenLogprob(
                bytes(entry["bytes"]),
                entry["logprob"],
                [(bytes(other["bytes"]), other["logprob"]) for other in entry["top_logprobs"][: self._top]],
            )
            for entry in reported["content"]
        ]

    def _take_timings(self, timings: dict[str, Any]) -> None:
        """Prefill and decode seconds. The choices share the prefill; the last message has the final values."""
        self.prefill_seconds = timings["prompt_ms"] / 1e3
        self.decode_seconds = timings["predicted_ms"] / 1e3
        self.cached_tokens = min(timings["cache_n"], self._prompt_tokens)
