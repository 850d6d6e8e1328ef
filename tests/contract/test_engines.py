"""The contract of an engine; the same suite runs against every back end."""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from services.engine.api import ChoiceEnd, End, EndReason, Engine, EngineState, Generation, Sampling, TokenDelta
from services.engine.factory import build_engine
from services.settings import Settings
from tests.support.recording_sink import RecordingSink
from tests.support.tensorrt_llm.modes import TENSORRT_LLM_MODES, TensorRtLlmMode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PARALLEL = 4
CONTEXT = 1024
ENGINES: dict[str, Settings | TensorRtLlmMode] = {
    "simulated": Settings(engine="simulated", parallel=PARALLEL, context_length=CONTEXT, simulated_rate=2000.0),
    "simulated-flat-out": Settings(engine="simulated", parallel=PARALLEL, context_length=CONTEXT, simulated_rate=0.0),
    "simulated-wake-per-call": Settings(
        engine="simulated", parallel=PARALLEL, context_length=CONTEXT, simulated_rate=2000.0, simulated_shape="call"
    ),
    "llama-cpp": Settings(engine="llama-cpp", parallel=PARALLEL, context_length=CONTEXT, threads=1),
    **TENSORRT_LLM_MODES,
}


@pytest.fixture(params=ENGINES.values(), ids=list(ENGINES))
async def engine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Engine]:
    settings = request.param
    if isinstance(settings, TensorRtLlmMode):
        settings = settings.prepare(monkeypatch, tmp_path, parallel=PARALLEL, context_length=CONTEXT)
    engine = build_engine(settings)
    await engine.start()
    yield engine
    await engine.close()


def generation(engine: Engine, text: str = "Tell me a story", **fields: object) -> Generation:
    defaults: dict[str, object] = {"max_tokens": 20, "ignore_eos": True}
    return Generation(prompt=engine.tokenizer.encode(text), **(defaults | fields))  # type: ignore[arg-type]


async def run(engine: Engine, wanted: Generation) -> RecordingSink:
    sink = RecordingSink()
    handle = engine.submit(wanted, sink)
    await handle.released
    return sink


async def test_deltas_come_first_then_each_choice_ends_once_and_the_generation_ends_last(engine: Engine) -> None:
    sink = await run(engine, generation(engine, n=2))
    assert sorted(end.choice for end in sink.choice_ends) == [0, 1]
    assert len(sink.ends) == 1
    assert isinstance(sink.events[-1], End)
    for choice in (0, 1):
        of_choice = [e for e in sink.events if isinstance(e, TokenDelta | ChoiceEnd) and e.choice == choice]
        assert isinstance(of_choice[-1], ChoiceEnd)
        assert all(isinstance(event, TokenDelta) for event in of_choice[:-1])


@pytest.mark.parametrize("max_tokens", [1, 2, 77])
async def test_without_end_tokens_a_choice_has_exactly_max_tokens(engine: Engine, max_tokens: int) -> None:
    sink = await run(engine, generation(engine, max_tokens=max_tokens))
    assert sink.tokens() == max_tokens
    assert [end.reason for end in sink.choice_ends] == [EndReason.LENGTH]


async def test_the_end_counts_the_prompt_once_and_the_tokens_of_all_deltas(engine: Engine) -> None:
    wanted = generation(engine, n=3)
    sink = await run(engine, wanted)
    end = sink.ends[0]
    assert end.prompt_tokens == len(wanted.prompt)
    assert end.completion_tokens == sink.tokens() == 3 * wanted.max_tokens
    assert 0 <= end.cached_tokens <= end.prompt_tokens
    assert end.error is None


async def test_the_deltas_decode_to_text(engine: Engine) -> None:
    sink = await run(engine, generation(engine))
    assert sink.text(engine.tokenizer)


async def test_the_end_reports_queue_prefill_and_decode_seconds(engine: Engine) -> None:
    timings = (await run(engine, generation(engine))).ends[0].timings
    assert timings.queue >= 0
    assert timings.prefill >= 0
    assert timings.decode > 0


async def test_a_completion_may_fill_the_context_to_the_last_token(engine: Engine) -> None:
    prompt = engine.tokenizer.encode("word " * 2000)[: CONTEXT - 7]
    sink = await run(engine, Generation(prompt=prompt, max_tokens=7, ignore_eos=True))
    assert sink.tokens() == 7
    assert sink.ends[0].error is None


async def test_events_are_pushed_in_the_thread_of_the_event_loop(engine: Engine) -> None:
    sink = await run(engine, generation(engine))
    assert sink.threads == {threading.get_ident()}


async def test_no_event_is_pushed_within_submit(engine: Engine) -> None:
    sink = RecordingSink()
    handle = engine.submit(generation(engine), sink)
    assert not sink.events
    await handle.released


async def test_a_cancelled_generation_ends_soon_and_releases_its_slot(engine: Engine) -> None:
    sink = RecordingSink()
    handle = engine.submit(generation(engine, max_tokens=900), sink)
    await sink.first_delta.wait()
    handle.cancel()
    await handle.released
    assert [end.reason for end in sink.choice_ends] == [EndReason.CANCELLED]
    assert len(sink.ends) == 1
    assert sink.ends[0].completion_tokens == sink.tokens() < 900
    assert engine.heartbeat().running == 0


@pytest.mark.parametrize("there", [1, 5, 11])
async def test_a_generation_that_was_interrupted_goes_on_behind_the_tokens_that_it_has(
    engine: Engine, there: int
) -> None:
    # Of these tokens llama.cpp's demo model is sure: their log probability is 0.86 or more above the next one's, and
    # computing them again changes it by a tenth of that.
    wanted = generation(engine, "1 2 3 4 5 6", max_tokens=12, sampling=Sampling(temperature=0), reports_ids=True)
    ids = [token for delta in (await run(engine, wanted)).deltas for token in delta.ids]
    assert len(ids) == 12
    resumed = await run(engine, replace(wanted, generated=ids[:there]))
    assert (resumed.tokens(), resumed.ends[0].prompt_tokens) == (12 - there, len(wanted.prompt))
    assert resumed.ends[0].cached_tokens <= len(wanted.prompt)
    assert [end.reason for end in resumed.choice_ends] == [EndReason.LENGTH]
    # The double of TensorRT-LLM answers by the length of its prompt.
    if not engine.model.fingerprint.startswith("tensorrt-llm"):
        assert [token for delta in resumed.deltas for token in delta.ids] == ids[there:]


async def test_no_delta_follows_a_cancel(engine: Engine) -> None:
    sink = RecordingSink()
    handle = engine.submit(generation(engine, max_tokens=900), sink)
    await sink.first_delta.wait()
    handle.cancel()
    await asyncio.sleep(0)
    seen = len(sink.deltas)
    await handle.released
    assert len(sink.deltas) == seen


async def test_cancelling_twice_or_after_the_end_changes_nothing(engine: Engine) -> None:
    sink = RecordingSink()
    handle = engine.submit(generation(engine, max_tokens=900), sink)
    handle.cancel()
    handle.cancel()
    await handle.released
    handle.cancel()
    await asyncio.sleep(0)
    assert len(sink.choice_ends) == len(sink.ends) == 1


async def test_cancelling_one_choice_lets_the_other_finish(engine: Engine) -> None:
    class Cancelling(RecordingSink):
        """At the first delta: a task that waits for it may run when a fast engine has ended both choices."""

        def token_delta(self, delta: TokenDelta) -> None:
            super().token_delta(delta)
            if len(self.deltas) == 1:
                handle.cancel(1)

    sink = Cancelling()
    handle = engine.submit(generation(engine, n=2, max_tokens=200), sink)
    await handle.released
    assert {end.choice: end.reason for end in sink.choice_ends} == {0: EndReason.LENGTH, 1: EndReason.CANCELLED}
    assert sink.tokens(0) == 200
    assert sink.tokens(1) < 200


async def test_a_waiting_generation_can_be_cancelled_before_it_has_started(engine: Engine) -> None:
    running = [RecordingSink() for _ in range(PARALLEL)]
    handles = [engine.submit(generation(engine, max_tokens=900), sink) for sink in running]
    waiting = RecordingSink()
    handle = engine.submit(generation(engine), waiting)
    await asyncio.gather(*(sink.first_delta.wait() for sink in running))
    handle.cancel()
    await handle.released
    assert waiting.tokens() == 0
    assert [end.reason for end in waiting.choice_ends] == [EndReason.CANCELLED]
    for other in handles:
        other.cancel()
    await asyncio.wait([other.released for other in handles])


async def test_more_generations_than_slots_wait_and_all_get_their_tokens(engine: Engine) -> None:
    running: list[int] = []

    class Watching(RecordingSink):
        def token_delta(self, delta: TokenDelta) -> None:
            running.append(engine.heartbeat().running)
            super().token_delta(delta)

    sinks = [Watching() for _ in range(32)]
    handles = [
        engine.submit(generation(engine, f"Story number {index}", max_tokens=50), sink)
        for index, sink in enumerate(sinks)
    ]
    for handle in handles:
        await handle.released
    assert max(running) == PARALLEL
    assert [sink.tokens() for sink in sinks] == [50] * 32
    assert [sink.ends[0].completion_tokens for sink in sinks] == [50] * 32


async def test_progress_grows_while_there_is_work_and_the_state_is_idle_otherwise(engine: Engine) -> None:
    during: list[EngineState] = []

    class Watching(RecordingSink):
        def token_delta(self, delta: TokenDelta) -> None:
            during.append(engine.heartbeat().state)
            super().token_delta(delta)

    before = engine.heartbeat()
    await engine.submit(generation(engine), Watching()).released
    assert before.state is engine.heartbeat().state is EngineState.IDLE
    assert set(during) == {EngineState.WORKING}
    assert engine.heartbeat().progress > before.progress


async def test_closing_ends_what_still_runs(engine: Engine) -> None:
    sinks = [RecordingSink() for _ in range(PARALLEL + 2)]
    for sink in sinks:
        engine.submit(generation(engine, max_tokens=900), sink)
    await sinks[0].first_delta.wait()
    await engine.close()
    assert [len(sink.ends) for sink in sinks] == [1] * len(sinks)


async def test_the_same_seed_generates_the_same_text_again(engine: Engine) -> None:
    if "seed" not in engine.capabilities.parameters:
        pytest.skip("the engine does not support seeds")
    wanted = generation(engine, sampling=Sampling(temperature=1.0, seed=7))
    await run(engine, wanted)  # llama.cpp's arithmetic differs in the last digit when it finds the prompt in its cache
    first, second = await run(engine, wanted), await run(engine, wanted)
    assert first.text(engine.tokenizer) == second.text(engine.tokenizer)


async def test_the_choices_of_a_generation_differ(engine: Engine) -> None:
    sink = await run(engine, generation(engine, n=2, sampling=Sampling(temperature=2.0, seed=7)))
    assert sink.text(engine.tokenizer, 0) != sink.text(engine.tokenizer, 1)


def test_the_engine_describes_its_model(engine: Engine) -> None:
    assert engine.model.name
    assert engine.model.fingerprint
    assert engine.capabilities.context_length == CONTEXT
    assert engine.capabilities.vocabulary_size == engine.tokenizer.size


async def test_log_probabilities_come_with_every_token_and_spell_the_text(engine: Engine) -> None:
    if "logprobs" not in engine.capabilities.parameters:
        pytest.skip("the engine does not support log probabilities")
    sampling = Sampling(temperature=0.0)
    # The probabilities are the model's own: with ignore_eos the most probable token may be one that cannot come.
    sink = await run(engine, generation(engine, sampling=sampling, top_logprobs=3, ignore_eos=False))
    entries = [entry for delta in sink.deltas for entry in delta.logprobs]
    assert b"".join(entry.data for entry in entries).decode("utf-8", "replace") == sink.text(engine.tokenizer)
    assert len(entries) <= sink.tokens()
    for entry in entries:
        assert entry.logprob is not None
        assert entry.logprob <= 0
        assert [logprob for _, logprob in entry.top] == sorted((logprob for _, logprob in entry.top), reverse=True)
        assert len(entry.top) == 3
        assert sum(math.exp(logprob) for _, logprob in entry.top) <= 1 + 1e-6
    greedy = [entry.top[0] == (entry.data, entry.logprob) for entry in entries]
    assert all(greedy), "at temperature 0 the most probable token is chosen"


async def test_a_prompt_has_the_probabilities_that_its_tokens_would_have_if_they_were_generated(engine: Engine) -> None:
    if not engine.capabilities.scores_prompts:
        pytest.skip("the engine does not report the probabilities of a prompt's tokens")
    end = engine.tokenizer.special_tokens["<|eot_id|>"]
    prompt = [
        *engine.tokenizer.opening,
        *engine.tokenizer.encode("Hello, 世界 🦙, how"),
        end,
        *engine.tokenizer.encode("Hi!"),
    ]
    asked = Generation(prompt, 0, Sampling(temperature=0.0), n=2, top_logprobs=4, prompt_logprobs=True)
    sink = await run(engine, asked)
    assert [entry.data for entry in sink.prompt_entries] == [engine.tokenizer.token_bytes(token) for token in prompt]
    assert sink.prompt_entries[0].logprob is None
    assert [end.reason for end in sink.choice_ends] == [EndReason.LENGTH] * 2
    assert (sink.tokens(), sink.ends[0].completion_tokens, sink.ends[0].error) == (0, 0, None)
    for place in (1, 3, len(prompt) - 1):
        scored = sink.prompt_entries[place]
        generated = await run(engine, Generation(prompt[:place], 1, Sampling(temperature=0.0), top_logprobs=4))
        if engine.capabilities.guided:  # it has a model, whose probabilities depend on the text alone
            found = [entry for delta in generated.deltas for entry in delta.logprobs]
            expected = [logprob for _, logprob in found[0].top]
            assert [logprob for _, logprob in scored.top] == pytest.approx(expected, abs=0.05)
        assert scored.logprob is not None
        assert scored.logprob <= scored.top[0][1]


async def test_a_generation_follows_the_prompt_that_was_scored(engine: Engine) -> None:
    if not engine.capabilities.scores_prompts:
        pytest.skip("the engine does not report the probabilities of a prompt's tokens")
    prompt = [*engine.tokenizer.opening, *engine.tokenizer.encode("Hello, how")]
    plain = Generation(prompt, 5, Sampling(temperature=0.0), ignore_eos=True, top_logprobs=1)
    scored = await run(engine, replace(plain, prompt_logprobs=True))
    assert len(scored.prompt_entries) == len(prompt)
    assert scored.text(engine.tokenizer) == (await run(engine, plain)).text(engine.tokenizer)
    assert scored.ends[0].cached_tokens == 0


async def test_a_prompt_that_is_being_scored_can_be_cancelled(engine: Engine) -> None:
    if not engine.capabilities.scores_prompts:
        pytest.skip("the engine does not report the probabilities of a prompt's tokens")
    prompt = [*engine.tokenizer.opening, *engine.tokenizer.encode("word " * (CONTEXT // 4))][: CONTEXT - 8]
    sink = RecordingSink()
    handle = engine.submit(Generation(prompt, 4, top_logprobs=0, prompt_logprobs=True), sink)
    handle.cancel()
    await asyncio.wait_for(handle.released, 30)
    assert [end.reason for end in sink.choice_ends] == [EndReason.CANCELLED]
    assert len(sink.ends) == 1


async def test_without_candidates_only_the_chosen_tokens_have_probabilities(engine: Engine) -> None:
    if "logprobs" not in engine.capabilities.parameters:
        pytest.skip("the engine does not support log probabilities")
    entries = [
        entry for delta in (await run(engine, generation(engine, top_logprobs=0))).deltas for entry in delta.logprobs
    ]
    assert entries
    assert all(entry.top == [] for entry in entries)


async def test_a_choice_has_at_least_min_tokens_where_the_engine_supports_it(engine: Engine) -> None:
    if "min_tokens" not in engine.capabilities.parameters:
        pytest.skip("the engine does not support min_tokens")
    # A model would end as soon as it may.
    bias = {engine.tokenizer.special_tokens["<|eot_id|>"]: 100.0} if engine.capabilities.guided else {}
    wanted = generation(engine, max_tokens=400, min_tokens=300, ignore_eos=False, sampling=Sampling(logit_bias=bias))
    sink = await run(engine, wanted)
    assert sink.tokens() == 300
    assert [end.reason for end in sink.choice_ends] == [EndReason.STOP]


async def test_a_stop_token_ends_no_choice_before_min_tokens(engine: Engine) -> None:
    if "min_tokens" not in engine.capabilities.parameters or not engine.capabilities.guided:
        pytest.skip("the engine does not support min_tokens, or has no model")
    stop = engine.tokenizer.encode("a")[0]
    # Always the same tokens: behind the first byte of a character llama.cpp reports the stop token two tokens later.
    fields: dict[str, Any] = {
        "sampling": Sampling(logit_bias={stop: 100.0}, seed=1),
        "stop_token_ids": frozenset({stop}),
        "min_tokens": 7,
    }
    sink = await run(engine, generation(engine, max_tokens=40, ignore_eos=False, **fields))
    assert (sink.tokens(), sink.choice_ends[0].reason) == (7, EndReason.STOP)


async def test_a_sink_that_fails_at_its_end_keeps_no_slots_and_harms_no_other_generation(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenSink(RecordingSink):
        def end(self, end: End) -> None:
            super().end(end)
            raise LookupError("broken")

    broken = [engine.submit(generation(engine, max_tokens=3), BrokenSink()) for _ in range(PARALLEL)]
    healthy = RecordingSink()
    handle = engine.submit(generation(engine, max_tokens=5), healthy)
    await asyncio.wait_for(asyncio.gather(*(each.released for each in [*broken, handle])), 30)
    assert healthy.tokens() == 5
    assert sum("has failed at its end" in record.message for record in caplog.records) == PARALLEL
