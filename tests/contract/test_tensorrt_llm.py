"""What only the TensorRT-LLM engine has to prove, on the double: requests, ends, failures, shutdown."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from services.engine.api import EndReason, EngineState, Generation, Sampling
from services.engine.load_error import EngineLoadError
from services.engine.tensorrt_llm import driver as driver_module
from services.engine.tensorrt_llm import shutdown as shutdown_module
from services.engine.tensorrt_llm.capability import Sampler
from services.engine.tensorrt_llm.engine import TensorRtLlmEngine
from services.engine.tensorrt_llm.memory import read_gpus
from services.engine.tensorrt_llm.model import LoadableModel, loadable_model
from services.engine.tensorrt_llm.options import Options
from services.engine.tensorrt_llm.runtime import load_runtime
from tests.support.recording_sink import RecordingSink
from tests.support.tensorrt_llm.modes import HOPPER, compiled, install, install_gpus
from tests.support.tensorrt_llm.output import RequestError
from tests.support.tensorrt_llm.release import Release, write_checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.tensorrt_llm.llm import Llm

PARALLEL = 4
# Special tokens: the double draws its answers from plain ones, and would end some of them by chance.
END_IDS = (3068, 3069)
STOP_ID = 3071


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Release:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    return install(monkeypatch, Release())


@pytest.fixture
async def start(release: Release, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    engines: list[TensorRtLlmEngine] = []

    async def run(*, from_engine: bool = False, **options: Any) -> TensorRtLlmEngine:
        path = write_checkpoint(tmp_path / "model", end_ids=END_IDS)
        path = compiled(path, tmp_path / "engine") if from_engine else path
        chosen = Options(**({"context_length": 1024, "parallel": PARALLEL} | options))
        runtime = load_runtime()
        engine = TensorRtLlmEngine(runtime, loadable_model(path, runtime, chosen, read_gpus()), "demo", 1.0)
        await engine.start()
        engines.append(engine)
        return engine

    yield run
    for engine in engines:
        await engine.close()


def llm_of(release: Release) -> Llm:
    return release.llms[-1]


def asked(release: Release) -> dict[str, Any]:
    return llm_of(release).submitted[-1]


async def run(engine: TensorRtLlmEngine, **fields: Any) -> RecordingSink:
    sink = RecordingSink()
    defaults: dict[str, Any] = {"prompt": engine.tokenizer.encode("Hello there"), "max_tokens": 20}
    wanted = Generation(**(defaults | fields))
    await engine.submit(wanted, sink).released
    return sink


async def test_a_request_carries_ids_an_explicit_limit_and_no_text_to_match(start: Any, release: Release) -> None:
    engine = await start()
    await run(engine, sampling=Sampling(temperature=0.7, top_p=0.9, top_k=40))
    params = asked(release)["params"]
    assert (params.max_tokens, params.temperature, params.top_p, params.top_k) == (20, 0.7, 0.9, 40)
    assert (params.detokenize, params.stop, params.n, params.best_of) == (False, None, 1, 1)
    assert params.min_p is None
    assert params.repetition_penalty is None


async def test_the_other_end_tokens_of_the_model_are_stop_tokens(start: Any, release: Release) -> None:
    engine = await start()
    await run(engine, stop_token_ids=frozenset({STOP_ID}))
    assert asked(release)["params"].stop_token_ids == sorted([*END_IDS, STOP_ID])


async def test_ignoring_the_end_of_the_answer_leaves_only_the_caller_s_stop_tokens(
    start: Any, release: Release
) -> None:
    engine = await start()
    sink = await run(engine, ignore_eos=True, stop_token_ids=frozenset({STOP_ID}), max_tokens=200)
    assert asked(release)["params"].stop_token_ids == [STOP_ID]
    assert sink.tokens() == 200


async def test_no_parameters_object_is_used_twice(start: Any, release: Release) -> None:
    engine = await start()
    await run(engine, n=3)
    submitted = llm_of(release).submitted
    assert len({id(one["params"]) for one in submitted}) == len(submitted)


async def test_every_shaping_field_reaches_the_engine_under_its_own_name(start: Any, release: Release) -> None:
    engine = await start()
    sampling = Sampling(
        min_p=0.1, repetition_penalty=1.1, presence_penalty=0.2, frequency_penalty=0.3, seed=7, logit_bias={11: 100.0}
    )
    sink = await run(engine, sampling=sampling, max_tokens=3)
    params = asked(release)["params"]
    assert (params.min_p, params.repetition_penalty, params.presence_penalty) == (0.1, 1.1, 0.2)
    assert (params.frequency_penalty, params.seed) == (0.3, 7)
    assert len(params.embedding_bias) == engine.capabilities.vocabulary_size
    assert [list(delta.ids) for delta in sink.deltas] == [[11]] * 3


async def test_greedy_choices_are_generated_once_and_billed_each(start: Any, release: Release) -> None:
    engine = await start()
    before = len(llm_of(release).submitted)
    sink = await run(engine, n=3, sampling=Sampling(temperature=0.0), ignore_eos=True)
    assert len(llm_of(release).submitted) == before + 1
    assert sink.ends[0].completion_tokens == 60
    assert len({sink.text(engine.tokenizer, choice) for choice in range(3)}) == 1


async def test_the_choices_of_a_long_prompt_share_its_cache(start: Any, release: Release) -> None:
    engine = await start()
    prompt = engine.tokenizer.encode("word " * 600)[:400]
    sink = await run(engine, prompt=prompt, n=3)
    results = [one["result"] for one in llm_of(release).submitted[-3:]]
    assert [result.cached_tokens > 300 for result in results] == [False, True, True]
    assert sink.ends[0].cached_tokens == 0
    assert (await run(engine, prompt=prompt)).ends[0].cached_tokens > 300


async def test_a_stop_token_is_neither_shown_nor_counted(start: Any) -> None:
    engine = await start()
    sampling = Sampling(temperature=0.0)
    whole = [delta.ids[0] for delta in (await run(engine, sampling=sampling, ignore_eos=True)).deltas]
    sink = await run(engine, sampling=sampling, stop_token_ids=frozenset({whole[4]}))
    assert [delta.ids[0] for delta in sink.deltas] == whole[:4]
    assert [end.reason for end in sink.choice_ends] == [EndReason.STOP]
    assert sink.ends[0].completion_tokens == 4


@pytest.mark.parametrize("from_engine", [False, True])
async def test_an_answer_that_ends_by_itself_shows_no_end_token(start: Any, from_engine: bool) -> None:
    engine = await start(from_engine=from_engine)
    sink = await run(engine, max_tokens=500)
    ids = [token for delta in sink.deltas for token in delta.ids]
    assert [end.reason for end in sink.choice_ends] == [EndReason.STOP]
    assert 16 <= len(ids) == sink.ends[0].completion_tokens <= 128
    assert not set(END_IDS) & set(ids)


async def test_a_grammar_is_enforced(start: Any, release: Release) -> None:
    engine = await start()
    assert engine.capabilities.guided
    sink = await run(engine, grammar='start: "yes" | "no"', max_tokens=50)
    assert sink.text(engine.tokenizer) in ("yes", "no")
    assert [end.reason for end in sink.choice_ends] == [EndReason.STOP]


async def test_a_broken_grammar_fails_its_call_alone(start: Any) -> None:
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
    start: Any, options: dict[str, Any], from_engine: bool
) -> None:
    engine = await start(from_engine=from_engine, **options)
    assert not engine.capabilities.guided


async def test_the_trace_of_the_call_goes_along(start: Any, release: Release) -> None:
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    await run(await start(), trace_headers=headers)
    assert asked(release)["trace_headers"] == headers


async def test_a_request_that_the_engine_refuses_ends_with_its_reason(start: Any, release: Release) -> None:
    engine = await start()
    llm_of(release).faults.at_submit = RequestError("no room")
    sink = await run(engine)
    assert sink.ends[0].error == "The engine refused the call: no room"
    assert engine.heartbeat().state is EngineState.IDLE


async def test_a_request_that_fails_on_the_way_ends_alone(start: Any, release: Release) -> None:
    engine = await start()
    sink = RecordingSink()
    wanted = Generation(engine.tokenizer.encode("Hello"), 900, ignore_eos=True, n=2)
    handle = engine.submit(wanted, sink)
    await sink.first_delta.wait()
    llm_of(release).faults.mid_stream = RequestError("bad block")
    await handle.released
    assert sink.ends[0].error == "The engine failed the call: bad block"
    assert sorted(end.choice for end in sink.choice_ends) == [0, 1]
    assert (await run(engine)).ends[0].error is None


async def test_a_fatal_error_ends_all_calls_and_the_engine_for_good(start: Any, release: Release) -> None:
    engine = await start()
    sinks = [RecordingSink() for _ in range(PARALLEL + 2)]
    prompt = engine.tokenizer.encode("Hello")
    handles = [engine.submit(Generation(prompt, 900, ignore_eos=True), sink) for sink in sinks]
    await sinks[0].first_delta.wait()
    llm_of(release).faults.fatal = RuntimeError("CUDA error")
    await asyncio.wait([handle.released for handle in handles])
    assert [sink.ends[0].error for sink in sinks] == ["The engine broke: CUDA error"] * len(sinks)
    assert engine.heartbeat().state is EngineState.FAILED
    late = await run(engine)
    assert late.ends[0].error == "The engine broke: CUDA error"


async def test_a_worker_that_dies_without_a_word_is_noticed(start: Any, release: Release) -> None:
    engine = await start()
    llm = llm_of(release)
    llm.faults.frozen = True
    sink = RecordingSink()
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900), sink)
    await asyncio.sleep(0.01)
    llm.shutdown()
    assert engine.heartbeat().state is EngineState.FAILED
    await handle.released
    assert sink.ends[0].error == "The engine's worker has died."


async def test_a_success_without_a_token_is_an_error_and_the_third_is_fatal(start: Any, release: Release) -> None:
    engine = await start()
    llm_of(release).faults.empty_success = True
    errors = [(await run(engine)).ends[0].error for _ in range(2)]
    assert errors == ["The engine ended the answer without a token."] * 2
    assert engine.heartbeat().state is EngineState.IDLE
    await run(engine)
    assert engine.heartbeat().state is EngineState.FAILED


async def test_an_abort_that_is_never_confirmed_gives_its_place_back(
    start: Any, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "_ABORT_SECONDS", 0.05)
    engine = await start(parallel=1)
    llm_of(release).faults.deaf_to_abort = True
    sink = RecordingSink()
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900, ignore_eos=True), sink)
    await sink.first_delta.wait()
    handle.cancel()
    await sink.ended.wait()
    assert not handle.released.done()
    await handle.released
    assert engine.heartbeat().running == 0


async def test_a_prefill_without_results_is_progress_as_long_as_the_engine_iterates(
    start: Any, release: Release
) -> None:
    engine = await start()
    faults = llm_of(release).faults
    faults.prefilling = True
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900), RecordingSink())

    async def moved() -> int:
        before: int = engine.heartbeat().progress
        await asyncio.sleep(0.1)
        after: int = engine.heartbeat().progress
        return after - before

    assert await moved() > 0
    faults.frozen = True
    await asyncio.sleep(0.1)
    assert await moved() == 0
    faults.frozen = faults.prefilling = False
    handle.cancel()
    await handle.released


async def test_the_heartbeat_tells_how_full_the_kv_cache_is(start: Any) -> None:
    engine = await start()
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900, ignore_eos=True), RecordingSink())
    while not engine.heartbeat().kv_cache_use:  # noqa: ASYNC110 - the engine tells nobody
        await asyncio.sleep(0.01)
    assert engine.heartbeat().kv_cache_use == 0.01
    handle.cancel()
    await handle.released


async def test_a_shutdown_that_hangs_is_given_up_and_the_process_told_to_end(
    start: Any, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(shutdown_module, "_EXIT_SECONDS", 0.0)
    monkeypatch.setattr(os, "_exit", ends.append)
    engine = await start()
    llm_of(release).faults.hang_at_shutdown = True
    await engine.close()
    await asyncio.sleep(0.1)
    assert ends == [1]


async def test_what_cannot_be_loaded_is_a_sentence(start: Any, release: Release) -> None:
    release.load_error = RuntimeError("CUDA out of memory")
    with pytest.raises(EngineLoadError, match=r"TensorRT-LLM cannot load .*model: CUDA out of memory"):
        await start()


async def test_the_times_are_the_engine_s_own(start: Any) -> None:
    timings = (await run(await start(), max_tokens=50, ignore_eos=True)).ends[0].timings
    assert timings.prefill > 0
    assert timings.decode > timings.prefill


async def test_an_engine_for_a_compiled_model_says_so(start: Any) -> None:
    engine = await start(from_engine=True)
    assert engine.model.quantization == "bfloat16"
    assert "seed" in engine.capabilities.parameters


def test_a_loadable_model_of_a_checkpoint_uses_the_c_sampler(release: Release, tmp_path: Path) -> None:
    runtime = load_runtime()
    options = Options(context_length=0, parallel=1)
    model: LoadableModel = loadable_model(write_checkpoint(tmp_path / "m"), runtime, options, read_gpus())
    assert model.sampler is Sampler.TRTLLM
    assert model.options.context_length == 4096
