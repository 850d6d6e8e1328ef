"""Scores of a prompt that llama.cpp's core does not report end the call with a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.engine.llama_cpp.prompt_scores import PromptScoreError, PromptScorer
from tests.support.gguf_files import demo_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable


class Core:
    """Answers every request with the same message."""

    def __init__(self, message: dict[str, Any]) -> None:
        self._message = message

    def handle_completions(self, _: dict[str, Any], on_message: Callable[[dict[str, Any]], bool]) -> None:
        """Generate nothing."""
        on_message(self._message)


def reported(*ids: int) -> dict[str, Any]:
    """A message with these tokens, and a candidate that is none of them."""
    other = {"id": 1, "logprob": -0.5}
    return {"choices": [{"logprobs": {"content": [{"id": i, "logprob": -1.0, "top_logprobs": [other]} for i in ids]}}]}


def scored(text: str, message: dict[str, Any]) -> None:
    """Score a text with a core that answers so."""
    prompt = [*demo_tokenizer().opening, *demo_tokenizer().encode(text)]
    for _ in PromptScorer(Core(message), demo_tokenizer()).scores(prompt, 1, None):
        pass


@pytest.mark.parametrize(
    ("text", "message", "words"),
    [
        ("Hello", reported(77), "did not generate the tokens of the prompt"),
        ("Hello", reported(), "did not generate the tokens of the prompt"),
        ("Hello", {"choices": [{"logprobs": None}]}, "did not generate the tokens of the prompt"),
        ("Hello", {"error": {"message": "no slot"}}, "llama.cpp failed: no slot"),
        ("世", {"choices": [{"logprobs": None}]}, "does not report the log probability of token 1 of the prompt"),
    ],
)
def test_a_token_without_a_probability_ends_the_call_with_a_sentence(
    text: str, message: dict[str, Any], words: str
) -> None:
    with pytest.raises(PromptScoreError, match=words):
        scored(text, message)
