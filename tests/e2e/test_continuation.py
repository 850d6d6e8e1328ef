"""`continue_final_message`: an answer that begins in the request."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import post
from tests.support.service import Service

ASKED = {"role": "user", "content": "Hello!"}


def ask(service: Service, *messages: dict[str, Any], path: str = "/v1/chat/completions", **fields: Any) -> Any:
    """The JSON of the answer."""
    body = {"model": REFERENCE_MODEL, "messages": messages, **fields}
    answer = post(service.url + path, body)
    assert answer.status == 200, answer.body
    return answer.json()


@pytest.mark.parametrize("more", [{}, {"add_generation_prompt": False}], ids=["alone", "as vLLM's callers ask"])
def test_the_answer_is_what_the_model_writes_behind_the_beginning(llama_cpp: Service, more: dict[str, Any]) -> None:
    options: dict[str, Any] = {"temperature": 0, "max_tokens": 12}
    choice = ask(llama_cpp, ASKED, logprobs=True, **options)["choices"][0]
    tokens = [entry["token"] for entry in choice["logprobs"]["content"]]
    begun = {"role": "assistant", "content": "".join(tokens[:3])}
    continued = ask(llama_cpp, ASKED, begun, continue_final_message=True, **more, **options)
    rest = continued["choices"][0]["message"]["content"]
    assert rest
    assert (begun["content"] + rest).startswith(choice["message"]["content"])
    # Without it, the same message is a turn of its own.
    assert ask(llama_cpp, ASKED, begun, **options)["usage"]["prompt_tokens"] > continued["usage"]["prompt_tokens"]


def test_the_prompt_is_counted_as_it_is_tokenized(simulated: Service) -> None:
    begun = {"role": "assistant", "content": "I think "}
    fields: dict[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
    answer = ask(simulated, ASKED, begun, max_tokens=1, **fields)
    assert ask(simulated, ASKED, begun, path="/tokenize", **fields)["count"] == answer["usage"]["prompt_tokens"]
