"""The TensorRT-LLM engine on the double when something fails: requests, workers, prefills, shutdown."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from services.engine.api import EndReason, EngineState, Generation
from services.engine.load_error import EngineLoadError
from services.engine.tensorrt_llm import driver as driver_module
from services.engine.tensorrt_llm import shutdown as shutdown_module
from tests.support.recording_sink import RecordingSink
from tests.support.tensorrt_llm.modes import HOPPER, install, install_gpus
from tests.support.tensorrt_llm.output import RequestError
from tests.support.tensorrt_llm.release import Release
from tests.support.tensorrt_llm.running import PARALLEL, StartedEngines, run

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


async def test_a_request_that_the_engine_refuses_ends_with_its_reason(start: StartedEngines) -> None:
    engine = await start()
    start.llm.faults.at_submit = RequestError("no room")
    sink = await run(engine)
    assert sink.ends[0].error == "The engine rejected the request: no room"
    assert engine.heartbeat().state is EngineState.IDLE


async def test_a_request_that_fails_on_the_way_ends_alone(start: StartedEngines) -> None:
    engine = await start()
    sink = RecordingSink()
    wanted = Generation(engine.tokenizer.encode("Hello"), 900, ignore_eos=True, n=2)
    handle = engine.submit(wanted, sink)
    await sink.first_delta.wait()
    start.llm.faults.mid_stream = RequestError("bad block")
    await handle.released
    assert sink.ends[0].error == "The request failed in the engine: bad block"
    assert sorted(end.choice for end in sink.choice_ends) == [0, 1]
    assert (await run(engine)).ends[0].error is None


async def test_a_fatal_error_ends_all_calls_and_the_engine_for_good(start: StartedEngines) -> None:
    engine = await start()
    sinks = [RecordingSink() for _ in range(PARALLEL + 2)]
    prompt = engine.tokenizer.encode("Hello")
    handles = [engine.submit(Generation(prompt, 900, ignore_eos=True), sink) for sink in sinks]
    await sinks[0].first_delta.wait()
    start.llm.faults.fatal = RuntimeError("CUDA error")
    await asyncio.wait([handle.released for handle in handles])
    assert [sink.ends[0].error for sink in sinks] == ["The engine failed: CUDA error"] * len(sinks)
    assert engine.heartbeat().state is EngineState.FAILED
    late = await run(engine)
    assert late.ends[0].error == "The engine failed: CUDA error"


async def test_a_worker_that_dies_without_a_word_is_noticed(start: StartedEngines) -> None:
    engine = await start()
    llm = start.llm
    llm.faults.frozen = True
    sink = RecordingSink()
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900), sink)
    await asyncio.sleep(0.01)
    llm.shutdown()
    assert engine.heartbeat().state is EngineState.FAILED
    await handle.released
    assert sink.ends[0].error == "The engine's worker process died."


async def test_a_success_without_a_token_is_an_error_and_the_third_is_fatal(start: StartedEngines) -> None:
    engine = await start()
    start.llm.faults.empty_success = True
    errors = [(await run(engine)).ends[0].error for _ in range(2)]
    assert errors == ["The engine reported success without a token."] * 2
    assert engine.heartbeat().state is EngineState.IDLE
    await run(engine)
    assert engine.heartbeat().state is EngineState.FAILED


async def test_an_abort_that_is_never_confirmed_releases_its_slot(
    start: StartedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "_ABORT_SECONDS", 0.05)
    engine = await start(parallel=1)
    start.llm.faults.deaf_to_abort = True
    sink = RecordingSink()
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900, ignore_eos=True), sink)
    await sink.first_delta.wait()
    handle.cancel()
    await sink.ended.wait()
    assert not handle.released.done()
    await handle.released
    assert engine.heartbeat().running == 0


async def test_a_prefill_without_results_is_progress_as_long_as_the_engine_iterates(start: StartedEngines) -> None:
    engine = await start()
    faults = start.llm.faults
    faults.prefilling = True
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900), RecordingSink())

    async def moved() -> bool:
        before = engine.heartbeat().progress
        await asyncio.sleep(0.1)
        return engine.heartbeat().progress > before

    while not await moved():
        pass
    faults.frozen = True
    while await moved():
        pass
    faults.frozen = faults.prefilling = False
    handle.cancel()
    await handle.released


async def test_the_heartbeat_reports_the_use_of_the_kv_cache(start: StartedEngines) -> None:
    engine = await start()
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900, ignore_eos=True), RecordingSink())
    while not engine.heartbeat().kv_cache_use:  # noqa: ASYNC110 - the engine sends no event for it
        await asyncio.sleep(0.01)
    assert engine.heartbeat().kv_cache_use == 0.01
    handle.cancel()
    await handle.released
    assert engine.heartbeat().kv_cache_use == 0.0


async def test_a_shutdown_that_hangs_is_given_up_and_the_process_told_to_end(
    start: StartedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(shutdown_module, "_EXIT_SECONDS", 0.0)
    monkeypatch.setattr(os, "_exit", ends.append)
    engine = await start(close_seconds=0.5)
    start.llm.faults.hang_at_shutdown = True
    await engine.close()
    while not ends:  # noqa: ASYNC110 - a thread ends the process
        await asyncio.sleep(0.01)
    assert ends == [1]


async def test_what_cannot_be_loaded_is_a_sentence(start: StartedEngines, release: Release) -> None:
    release.load_error = RuntimeError("CUDA out of memory")
    with pytest.raises(EngineLoadError, match=r"TensorRT-LLM cannot load .*model: CUDA out of memory"):
        await start()


@pytest.mark.parametrize(
    ("fault", "value", "error"),
    [
        ("lose_logprobs", True, "The request failed in the engine: 0 log probabilities for 1 tokens"),
        ("logprobs_entry", 0.5, "The engine's log probabilities are not understood: "),
    ],
)
async def test_log_probabilities_that_are_wrong_fail_their_request_alone(
    start: StartedEngines, fault: str, value: object, error: str
) -> None:
    engine = await start(sampler="torch")
    other = RecordingSink()
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900, ignore_eos=True), other)
    await other.first_delta.wait()
    setattr(start.llm.faults, fault, value)
    sink = await run(engine, top_logprobs=2, max_tokens=900)
    assert (sink.ends[0].error or "").startswith(error)
    assert [end.reason for end in sink.choice_ends] == [EndReason.CANCELLED]
    await handle.released
    assert (other.tokens(), other.ends[0].error) == (900, None)
    assert start.submitted["result"].aborted()
    assert engine.heartbeat().state is EngineState.IDLE


async def test_a_guided_token_that_is_rejected_fails_its_request_alone(start: StartedEngines) -> None:
    engine = await start()
    other = RecordingSink()
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 900, ignore_eos=True), other)
    start.llm.faults.reject_guided_token = True
    sink = await run(engine, grammar='start: "yes" | "no"')
    assert sink.ends[0].error == "The request failed in the engine: Guided decoding error: a token was not accepted"
    await handle.released
    assert (other.tokens(), other.ends[0].error) == (900, None)


async def test_an_assertion_at_submission_fails_its_request_alone(start: StartedEngines) -> None:
    engine = await start()
    start.llm.faults.at_submit = AssertionError()
    assert (await run(engine)).ends[0].error == "The engine rejected the request: AssertionError()"
    assert (await run(engine)).ends[0].error is None


async def test_a_batch_may_mix_requests_with_and_without_log_probabilities(start: StartedEngines) -> None:
    engine = await start(sampler="torch")
    sinks = [RecordingSink() for _ in range(PARALLEL)]
    prompt = engine.tokenizer.encode("Hello")
    wanted = [Generation(prompt, 50, ignore_eos=True, top_logprobs=(None, 2)[index % 2]) for index in range(PARALLEL)]
    await asyncio.wait([engine.submit(one, sink).released for one, sink in zip(wanted, sinks, strict=True)])
    counts = [sum(len(delta.logprobs) for delta in sink.deltas) for sink in sinks]
    assert counts == [0, 50] * (PARALLEL // 2)
