"""lm-evaluation-harness, `local-completions`: log likelihoods of continuations and whole texts, and generation."""

from __future__ import annotations

from pathlib import Path

import pytest
from openai import OpenAI

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS
from tests.support.service import Service

PROGRAM = """
import json, sys
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI

url, name, tokenizer = sys.argv[1:]
model = LocalCompletionsAPI(
    base_url=url + "/completions", model=name, tokenizer=tokenizer, tokenizer_backend="huggingface", max_length=1024,
    num_concurrent=2, max_retries=1,
)

def asked(kind, *arguments):
    return [Instance(request_type=kind, doc={}, arguments=given, idx=0) for given in arguments]

contexts = ["Hello, how are", "The 世界 is"]
likelihoods = model.loglikelihood(asked("loglikelihood", *((context, " you today?") for context in contexts)))
rolling = model.loglikelihood_rolling(asked("loglikelihood_rolling", ("Once upon a time, 🦙.",)))
written = model.generate_until(asked("generate_until", ("Once", {"until": ["zzz"], "max_gen_toks": 5})))
print(json.dumps({
    "likelihoods": likelihoods, "rolling": rolling, "written": written,
    "ids": [[model.tok_encode(context), model.tok_encode(context + " you today?")] for context in contexts],
}))
"""


@pytest.mark.parametrize("engine", ["llama_cpp", "simulated"])
def test_log_likelihoods_are_the_sums_of_the_tokens_own(
    request: pytest.FixtureRequest, engine: str, tokenizer: Path
) -> None:
    service: Service = request.getfixturevalue(engine)
    seen = CLIENTS["lm-evaluation-harness"].run(PROGRAM, service.url + "/v1", REFERENCE_MODEL, str(tokenizer))
    with OpenAI(base_url=service.url + "/v1", api_key="unused", max_retries=0) as client:
        for (likelihood, _), (context, whole) in zip(seen["likelihoods"], seen["ids"], strict=True):
            answer = client.completions.create(
                model=REFERENCE_MODEL, prompt=whole, echo=True, logprobs=1, max_tokens=0, temperature=0
            )
            logprobs = answer.choices[0].logprobs
            assert logprobs is not None
            scores = (logprobs.token_logprobs or [])[len(context) :]
            assert scores
            assert likelihood == pytest.approx(sum(scores), abs=0.1)
    assert seen["rolling"][0] < 0
    assert seen["written"][0]
