"""The TensorRT-LLM engine on the double: what a request carries, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.engine.api import EndReason, Sampling
from services.engine.tensorrt_llm.capability import Sampler
from services.engine.tensorrt_llm.gpus import read_gpus
from services.engine.tensorrt_llm.model import LoadableModel, loadable_model
from services.engine.tensorrt_llm.options import Options
from services.engine.tensorrt_llm.runtime import load_runtime
from tests.support.tensorrt_llm.modes import HOPPER, install, install_gpus
from tests.support.tensorrt_llm.release import Release, write_checkpoint
from tests.support.tensorrt_llm.running import END_IDS, STOP_ID, StartedEngines, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Release:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    return install(monkeypatch, Release())


@pytest.fixture
async def start(release: Release, tmp_path: Path) -> AsyncIterator[StartedEngines]:
    engines = StartedEngines(release, tmp_path)
    yield engines
    await engines.close()


async def test_a_request_carries_ids_an_explicit_limit_and_no_text_to_match(start: StartedEngines) -> None:
    engine = await start()
    await run(engine, sampling=Sampling(temperature=0.7, top_p=0.9, top_k=40))
    params = start.submitted["params"]
    assert (params.max_tokens, params.temperature, params.top_p, params.top_k) == (20, 0.7, 0.9, 40)
    assert (params.detokenize, params.stop, params.n, params.best_of) == (False, None, 1, 1)
    assert params.min_p is None
    assert params.repetition_penalty is None


async def test_the_other_end_tokens_of_the_model_are_stop_tokens(start: StartedEngines) -> None:
    engine = await start()
    await run(engine, stop_token_ids=frozenset({STOP_ID}))
    assert start.submitted["params"].stop_token_ids == sorted([*END_IDS, STOP_ID])


async def test_ignoring_the_end_of_the_answer_leaves_only_the_caller_s_stop_tokens(start: StartedEngines) -> None:
    engine = await start()
    sink = await run(engine, ignore_eos=True, stop_token_ids=frozenset({STOP_ID}), max_tokens=200)
    assert start.submitted["params"].stop_token_ids == [STOP_ID]
    assert sink.tokens() == 200


async def test_a_resumed_request_carries_what_is_generated_as_context_and_what_is_left_as_limits(
    start: StartedEngines,
) -> None:
    engine = await start()
    penalties = Sampling(temperature=0, presence_penalty=0.5)
    sink = await run(engine, sampling=penalties, max_tokens=20, min_tokens=8, generated=(300, 301, 302))
    context, params = list(start.submitted["prompt"]), start.submitted["params"]
    assert context[-3:] == [300, 301, 302]
    prompt = len(context) - 3
    assert (params.max_tokens, params.min_tokens, params.prompt_ignore_length) == (17, 5, prompt)
    assert (sink.ends[0].prompt_tokens, sink.tokens() <= 17) == (prompt, True)


async def test_no_parameters_object_is_used_twice(start: StartedEngines) -> None:
    engine = await start()
    await run(engine, n=3)
    submitted = start.llm.submitted
    assert len({id(one["params"]) for one in submitted}) == len(submitted)


async def test_every_shaping_field_reaches_the_engine_under_its_own_name(start: StartedEngines) -> None:
    engine = await start()
    sampling = Sampling(
        min_p=0.1, repetition_penalty=1.1, presence_penalty=0.2, frequency_penalty=0.3, seed=7, logit_bias={11: 100.0}
    )
    sink = await run(engine, sampling=sampling, max_tokens=3)
    params = start.submitted["params"]
    assert (params.min_p, params.repetition_penalty, params.presence_penalty) == (0.1, 1.1, 0.2)
    assert (params.frequency_penalty, params.seed) == (0.3, 7)
    assert len(params.embedding_bias) == engine.capabilities.vocabulary_size
    assert [list(delta.ids) for delta in sink.deltas] == [[11]] * 3


async def test_greedy_choices_are_generated_once_and_counted_for_each(start: StartedEngines) -> None:
    engine = await start()
    before = len(start.llm.submitted)
    sink = await run(engine, n=3, sampling=Sampling(temperature=0.0), ignore_eos=True)
    assert len(start.llm.submitted) == before + 1
    assert sink.ends[0].completion_tokens == 60
    assert len({sink.text(engine.tokenizer, choice) for choice in range(3)}) == 1


async def test_the_choices_of_a_long_prompt_share_its_cache(start: StartedEngines) -> None:
    engine = await start()
    prompt = engine.tokenizer.encode("word " * 600)[:400]
    sink = await run(engine, prompt=prompt, n=3)
    results = [one["result"] for one in start.llm.submitted[-3:]]
    assert [result.cached_tokens > 300 for result in results] == [False, True, True]
    assert sink.ends[0].cached_tokens == 0
    assert (await run(engine, prompt=prompt)).ends[0].cached_tokens > 300


async def test_a_stop_token_is_neither_shown_nor_counted(start: StartedEngines) -> None:
    engine = await start()
    sampling = Sampling(temperature=0.0)
    whole = [delta.ids[0] for delta in (await run(engine, sampling=sampling, ignore_eos=True)).deltas]
    sink = await run(engine, sampling=sampling, stop_token_ids=frozenset({whole[4]}))
    assert [delta.ids[0] for delta in sink.deltas] == whole[:4]
    assert [end.reason for end in sink.choice_ends] == [EndReason.STOP]
    assert sink.ends[0].completion_tokens == 4


@pytest.mark.parametrize("from_engine", [False, True])
async def test_an_answer_that_ends_by_itself_shows_no_end_token(start: StartedEngines, from_engine: bool) -> None:
    engine = await start(from_engine=from_engine)
    sink = await run(engine, max_tokens=500)
    ids = [token for delta in sink.deltas for token in delta.ids]
    assert [end.reason for end in sink.choice_ends] == [EndReason.STOP]
    assert 16 <= len(ids) == sink.ends[0].completion_tokens <= 128
    assert not set(END_IDS) & set(ids)


async def test_a_grammar_is_enforced(start: StartedEngines) -> None:
    engine = await start()
    assert engine.capabilities.guided
    sink = await run(engine, grammar='start: "yes" | "no"', max_tokens=50)
    assert sink.text(engine.tokenizer) in ("yes", "no")
    assert [end.reason for end in sink.choice_ends] == [EndReason.STOP]


async def test_a_broken_grammar_fails_its_call_alone(start: StartedEngines) -> None:
    engine = await start()
    sink = await run(engine, grammar="start: missing_rule")
    assert "Guided decoding error" in (sink.ends[0].error or "")
    assert (await run(engine)).ends[0].error is None


@pytest.mark.parametrize(
    ("options", "from_engine"),
    [({"guided": False}, False), ({"speculative": "ngram"}, False), ({}, True)],
    ids=["switched-off", "drafts", "compiled"],
)
async def test_grammars_are_not_claimed_where_nothing_enforces_them(
    start: StartedEngines, options: dict[str, Any], from_engine: bool
) -> None:
    engine = await start(from_engine=from_engine, **options)
    assert not engine.capabilities.guided


async def test_the_trace_of_the_call_goes_along(start: StartedEngines) -> None:
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    await run(await start(), trace_headers=headers)
    assert start.submitted["trace_headers"] == headers


async def test_the_times_are_the_engine_s_own(start: StartedEngines) -> None:
    timings = (await run(await start(), max_tokens=50, ignore_eos=True)).ends[0].timings
    moments = start.submitted["result"].outputs[0].request_perf_metrics.timing_metrics
    assert timings.prefill == pytest.approx((moments.first_token_time - moments.first_scheduled_time).total_seconds())
    assert timings.decode == pytest.approx((moments.last_token_time - moments.first_token_time).total_seconds())
    assert min(timings.prefill, timings.decode) > 0


async def test_an_engine_for_a_compiled_model_says_so(start: StartedEngines) -> None:
    engine = await start(from_engine=True)
    assert engine.model.quantization == "bfloat16"
    assert "seed" in engine.capabilities.parameters


def test_a_loadable_model_of_a_checkpoint_uses_the_c_sampler(release: Release, tmp_path: Path) -> None:
    runtime = load_runtime()
    options = Options(context_length=0, parallel=1)
    model: LoadableModel = loadable_model(write_checkpoint(tmp_path / "m"), runtime, options, read_gpus())
    assert model.sampler is Sampler.TRTLLM
    assert model.options.context_length == 4096


async def test_every_choice_has_its_own_log_probabilities(start: StartedEngines) -> None:
    engine = await start(sampler="torch")
    sink = await run(engine, n=2, top_logprobs=1, ignore_eos=True)
    for choice in range(2):
        entries = [entry for delta in sink.deltas if delta.choice == choice for entry in delta.logprobs]
        assert b"".join(entry.data for entry in entries).decode() == sink.text(engine.tokenizer, choice)
        assert len(entries) == 20


async def test_greedy_choices_share_the_log_probabilities_of_the_one_that_is_generated(start: StartedEngines) -> None:
    engine = await start(sampler="torch")
    sink = await run(engine, n=2, top_logprobs=1, sampling=Sampling(temperature=0.0), ignore_eos=True)
    first, second = ([delta.logprobs for delta in sink.deltas if delta.choice == choice] for choice in range(2))
    assert first == second


async def test_log_probabilities_stop_where_a_stop_token_is_cut_off(start: StartedEngines) -> None:
    engine = await start(sampler="torch")
    greedy = Sampling(temperature=0.0)
    whole = [delta.ids[0] for delta in (await run(engine, sampling=greedy, ignore_eos=True)).deltas]
    sink = await run(engine, sampling=greedy, stop_token_ids=frozenset({whole[4]}), top_logprobs=0)
    entries = [entry.data for delta in sink.deltas for entry in delta.logprobs]
    assert entries == [engine.tokenizer.token_bytes(token) for token in whole[:4]]
