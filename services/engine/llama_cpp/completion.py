"""Translates a generation into llama.cpp's completion request, and llama.cpp's messages into events; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from services.engine.api import ChoiceEnd, EndReason, Generation, TokenDelta, TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TokenRange = tuple[int, int]  # ids, both ends included
# llama.cpp takes a seed of 32 bits; the largest of them means a random one.
_SEEDS = 2**32 - 1
# Replaces the message whose text violates the grammar.
GRAMMAR_LOST: dict[str, Any] = {"error": {"message": "llama.cpp stopped enforcing the grammar."}}


def completion_request(
    generation: Generation,
    slot: int | None = None,
    visible_tokens: Sequence[str] = (),
    text_tokens: Sequence[TokenRange] = (),
) -> dict[str, Any]:
    """The body of a completion request to llama.cpp's server.

    Without a `slot` llama.cpp chooses one. `visible_tokens` are special tokens whose spelling is part of the text,
    `text_tokens` all tokens that are text.
    """
    request = _sampled(generation)
    if visible_tokens:
        request["preserved_tokens"] = list(visible_tokens)
    if slot is not None:
        request["id_slot"] = slot
    if generation.grammar is not None:
        request["grammar"] = generation.grammar
    elif generation.min_tokens_left and not generation.ignore_eos:
        request["grammar"] = _at_least(generation.min_tokens_left, text_tokens, generation.stop_token_ids)
    if generation.reports_ids:
        request["return_tokens"] = request["verbose"] = True
    if generation.top_logprobs is not None or generation.stop_token_ids:
        # At least 1: with 0, llama.cpp returns neither log probabilities nor token ids.
        request["n_probs"] = max(generation.top_logprobs or 0, 1)
    return request


def _sampled(generation: Generation) -> dict[str, Any]:
    """The prompt, the length, and how tokens are sampled."""
    sampling = generation.sampling
    request: dict[str, Any] = {
        "prompt": list(generation.context),
        "stream": True,
        "max_tokens": generation.tokens_left,
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
    if sampling.seed is not None:
        request["seed"] = sampling.seed % _SEEDS
    return request


def token_ranges(ids: Iterable[int]) -> list[TokenRange]:
    """Ascending ids as ranges."""
    ranges: list[TokenRange] = []
    for token in ids:
        if ranges and ranges[-1][1] == token - 1:
            ranges[-1] = (ranges[-1][0], token)
        else:
            ranges.append((token, token))
    return ranges


def _at_least(count: int, text_tokens: Sequence[TokenRange], stops: frozenset[int]) -> str:
    """A grammar of so many tokens or more, because llama.cpp has no such parameter; it ends with an end token.

    `stops` may come behind the first `count` only.
    """
    first, any_text = _token_set(_without(text_tokens, stops)), _token_set(text_tokens)
    return f"%llguidance {{}}\nstart: {first}{{{count}}} {any_text}*"


def _without(ranges: Iterable[TokenRange], left_out: Iterable[int]) -> Iterator[TokenRange]:
    """The ranges, cut at the ids that are left out."""
    cuts = sorted(left_out)
    for start, last in ranges:
        first = start
        for cut in cuts:
            if first <= cut <= last:
                yield first, cut - 1
                first = cut + 1
        yield first, last


def _token_set(ranges: Iterable[TokenRange]) -> str:
    """A token set of llguidance's Lark; empty ranges are left out."""
    return f"<[{','.join(f'{first}-{last}' for first, last in ranges if first <= last)}]>"


def nothing_generated(n: int) -> dict[str, Any]:
    """A message that ends `n` choices without a token."""
    return {"choices": [{"index": index, "text": "", "finish_reason": "length"} for index in range(n)]}


class CompletionState:
    """The state of one generation, updated by llama.cpp's messages.

    llama.cpp has no stop token ids: a choice that reaches one ends here, and the engine then cancels it. Of the tokens
    of a character that spans several, only the last one's id is known.
    """

    def __init__(self, generation: Generation) -> None:
        self.open_choices = set(range(generation.n))
        self.delivered_tokens = 0  # incremented by the engine as it pushes the deltas
        self.cached_tokens = 0
        self.prefill_seconds = 0.0
        self.decode_seconds = 0.0
        self.error: str | None = None
        self.grammar_lost = False
        # A prompt that was scored is in the cache because all of it was computed for this call.
        self._cacheable_tokens = 0 if generation.prompt_logprobs else len(generation.prompt)
        self._top = generation.top_logprobs
        self._min_tokens = generation.min_tokens_left
        self._shows_ends = generation.prompt_logprobs
        self._stop_ids = generation.stop_token_ids
        self._counted = [0] * generation.n
        self._reports_ids = generation.reports_ids
        self._ids: list[int] = []  # of tokens that are not delivered yet

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
        predicted: int = timings["predicted_n"] if timings is not None else 0
        for choice in message.get("choices", ()):
            if choice["index"] in self.open_choices:
                if self._reports_ids and predicted:  # reports of the prefill have an id, too
                    self._ids += message["__verbose"]["tokens"]
                yield from self._choice_events(choice, predicted)
            if self.error is not None:
                return

    def _choice_events(self, choice: dict[str, Any], predicted: int) -> Iterator[TokenDelta | ChoiceEnd]:
        """The events of one choice, of which `predicted` tokens have been generated in all."""
        index: int = choice["index"]
        text, finish, logprobs = choice["text"], choice["finish_reason"], choice.get("logprobs")
        stopped = self._stop_ids and logprobs is not None and logprobs["content"][-1]["id"] in self._stop_ids
        if stopped:
            text, finish = "", "stop"
        if self._shows_ends and not text and logprobs is not None:
            yield TokenDelta(index, 0, logprobs=[replace(entry, data=b"") for entry in self._logprobs(logprobs)])
        if stopped:
            logprobs = None
        if finish is None and not text:
            return
        if finish == "stop":
            predicted -= 1
            if predicted < self._min_tokens:
                # It stops enforcing a grammar that exceeds its limits, and reports that nowhere.
                self.error = "llama.cpp ended the answer before min_tokens."
                return
        new = max(predicted - self._counted[index], 0)
        if new or text:
            self._counted[index] += new
            delta = TokenDelta(index, new, text=text, logprobs=self._logprobs(logprobs))
            if self._reports_ids and text:  # ids without text would be decoded
                delta.ids, self._ids = self._ids, []
            yield delta
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
        self.cached_tokens = min(timings["cache_n"], self._cacheable_tokens)
