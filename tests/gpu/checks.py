"""Checks of the TensorRT-LLM engine by what it generates, with real or random weights.

Each takes a started engine, raises AssertionError if a claim fails, and returns what it measured, if anything. They are
written for the package on a GPU, and run on the double, too.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from services.engine.api import EndReason, EngineState, Generation, Sampling
from tests.support.recording_sink import RecordingSink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.engine.tensorrt_llm.engine import TensorRtLlmEngine

    Check = Callable[[TensorRtLlmEngine], Awaitable[str]]

GREEDY: Final = Sampling(temperature=0.0)
STREAMS: Final = 50


class NotTestedError(Exception):
    """A check could not come to a result; the message says why."""


async def generate(engine: TensorRtLlmEngine, sampling: Sampling | None = None, **fields: Any) -> RecordingSink:
    """The events of a generation of 40 tokens; AssertionError if it fails."""
    prompt = engine.tokenizer.encode("Tell me a story about a river and the people who live beside it.")
    given: dict[str, Any] = {"prompt": prompt, "max_tokens": 40, "ignore_eos": True} | fields
    sink = RecordingSink()
    await engine.submit(Generation(sampling=sampling or Sampling(), **given), sink).released
    assert sink.ends[0].error is None, sink.ends[0].error
    return sink


async def ids(engine: TensorRtLlmEngine, sampling: Sampling | None = None, **fields: Any) -> list[int]:
    """The ids of a generation of one choice."""
    return [token for delta in (await generate(engine, sampling, **fields)).deltas for token in delta.ids]


async def unseeded_generations_differ(engine: TensorRtLlmEngine) -> str:
    sink = await generate(engine, n=2)
    texts = [tuple(token for d in sink.deltas if d.choice == choice for token in d.ids) for choice in range(2)]
    assert len({*texts, tuple(await ids(engine))}) == 3, "choices or generations without a seed are the same"
    return ""


async def seeds_repeat(engine: TensorRtLlmEngine) -> str:
    first, again, other = [await ids(engine, Sampling(seed=seed)) for seed in (7, 7, 8)]
    assert first == again, f"two generations with one seed differ: {first} and {again}"
    assert first != other, "two seeds give the same generation"
    return ""


async def penalties_leave_the_prompt_out(engine: TensorRtLlmEngine) -> str:
    prompt = await _prompt_with_its_next_token(engine)
    (token,) = await ids(engine, GREEDY, prompt=prompt, max_tokens=1)
    for penalty in (Sampling(temperature=0.0, presence_penalty=2.0), Sampling(temperature=0.0, frequency_penalty=2.0)):
        assert await ids(engine, penalty, prompt=prompt, max_tokens=1) == [token], "a token of the prompt was penalized"
    return ""


async def repetition_penalty_counts_the_prompt(engine: TensorRtLlmEngine) -> str:
    prompt = await _prompt_with_its_next_token(engine)
    (token,) = await ids(engine, GREEDY, prompt=prompt, max_tokens=1)
    penalty = Sampling(temperature=0.0, repetition_penalty=5.0, presence_penalty=0.1)
    assert await ids(engine, penalty, prompt=prompt, max_tokens=1) != [token], "the prompt's token was not penalized"
    return ""


async def _prompt_with_its_next_token(engine: TensorRtLlmEngine) -> list[int]:
    """A prompt that holds the token that follows it greedily: the prompt's own greedy continuation, long enough."""
    prompt = engine.tokenizer.encode("one two three one two three one two")
    for _ in range(300):
        (token,) = await ids(engine, GREEDY, prompt=prompt, max_tokens=1)
        if token in prompt:
            return prompt
        prompt = [*prompt, token]
    raise NotTestedError("the model repeats no token within 300")


def _ended_at_once(engine: TensorRtLlmEngine) -> Sampling:
    """Sampling that ends a choice as soon as the engine lets it."""
    return Sampling(temperature=0.0, logit_bias={engine.tokenizer.special_tokens[engine.model.eos_token]: 100.0})


async def min_tokens_count_the_completion(engine: TensorRtLlmEngine) -> str:
    """With a prompt that is longer than min_tokens."""
    prompt = engine.tokenizer.encode("word " * 200)
    sampling = _ended_at_once(engine)
    assert await ids(engine, sampling, ignore_eos=False) == [], "a biased end token does not end a choice"
    sink = await generate(engine, sampling, prompt=prompt, ignore_eos=False, min_tokens=20)
    assert (sink.tokens(), sink.choice_ends[0].reason) == (20, EndReason.STOP), f"{sink.tokens()} tokens, not 20"
    return ""


async def min_tokens_count_the_prompt(engine: TensorRtLlmEngine) -> str:
    """Why the PyTorch sampler of 1.2 refuses min_tokens."""
    sink = await generate(
        engine, _ended_at_once(engine), prompt=engine.tokenizer.encode("word " * 200), ignore_eos=False, min_tokens=20
    )
    assert sink.tokens() < 20, "min_tokens is honoured after a long prompt: it need not be refused"
    return f"{sink.tokens()} tokens instead of 20"


async def ignore_eos_goes_on(engine: TensorRtLlmEngine) -> str:
    count = len(await ids(engine, _ended_at_once(engine)))
    assert count == 40, f"{count} tokens, not 40"
    return ""


async def stop_tokens_are_cut_off(engine: TensorRtLlmEngine) -> str:
    whole = await ids(engine, GREEDY)
    stopped = await ids(engine, GREEDY, stop_token_ids=frozenset({whole[9]}))
    assert stopped == whole[: whole.index(whole[9])], f"{stopped} of {whole}"
    return ""


async def logit_bias_decides(engine: TensorRtLlmEngine) -> str:
    (wanted,) = engine.tokenizer.encode("word")[:1]
    found = set(await ids(engine, Sampling(logit_bias={wanted: 100.0})))
    assert found == {wanted}, f"{found}"
    return ""


async def top_p_top_k_and_min_p_narrow(engine: TensorRtLlmEngine) -> str:
    greedy = await ids(engine, GREEDY)
    for sampling in (Sampling(top_p=1e-6), Sampling(min_p=0.999999)):
        if sampling.min_p and "min_p" not in engine.capabilities.parameters:
            continue
        assert await ids(engine, sampling) == greedy, f"{sampling} is not greedy"
    return ""


async def log_probabilities_are_the_model_s(engine: TensorRtLlmEngine) -> str:
    sink = await generate(engine, Sampling(temperature=0.0), top_logprobs=20)
    entries = [entry for delta in sink.deltas for entry in delta.logprobs]
    assert len(entries) == sink.tokens() == 40, f"{len(entries)} entries for {sink.tokens()} tokens"
    assert all(len(entry.top) == 20 and entry.top[0] == (entry.data, entry.logprob) for entry in entries)
    hot = await generate(engine, Sampling(temperature=2.0), top_logprobs=20, max_tokens=1)
    assert [entry.top for entry in hot.deltas[0].logprobs] == [entries[0].top], "temperature changes them"
    return ""


async def a_batch_mixes_log_probabilities(engine: TensorRtLlmEngine) -> str:
    tops = [None, 5] * 8
    sinks = await asyncio.gather(*(generate(engine, top_logprobs=top) for top in tops))
    counts = [sum(len(delta.logprobs) for delta in sink.deltas) for sink in sinks]
    assert counts == [0, 40] * 8, f"{counts}"
    return ""


async def grammars_are_enforced(engine: TensorRtLlmEngine) -> str:
    sink = await generate(engine, grammar='start: "yes" | "no"', ignore_eos=False)
    assert sink.text(engine.tokenizer) in ("yes", "no"), sink.text(engine.tokenizer)
    return ""


async def a_broken_grammar_fails_alone(engine: TensorRtLlmEngine) -> str:
    other = asyncio.ensure_future(generate(engine, max_tokens=200))
    await asyncio.sleep(0)
    try:
        await generate(engine, grammar="start: missing_rule")
    except AssertionError as error:
        message = str(error)
    else:
        raise AssertionError("a broken grammar was accepted")
    assert (await other).tokens() == 200
    assert engine.heartbeat().state is not EngineState.FAILED
    return message


async def a_cancel_frees_its_slot(engine: TensorRtLlmEngine) -> str:
    sink = RecordingSink()
    handle = engine.submit(Generation(engine.tokenizer.encode("Hello"), 500, ignore_eos=True), sink)
    await sink.first_delta.wait()
    began = time.monotonic()
    handle.cancel()
    await handle.released
    return f"{(time.monotonic() - began) * 1e3:.0f} ms"


async def a_cancel_during_prefill_frees_its_slot(engine: TensorRtLlmEngine) -> str:
    prompt = engine.tokenizer.encode("word " * engine.capabilities.context_length)[
        : engine.capabilities.context_length - 8
    ]
    handle = engine.submit(Generation(prompt, 8, ignore_eos=True), RecordingSink())
    await asyncio.sleep(0.01)
    began = time.monotonic()
    handle.cancel()
    await handle.released
    return f"{(time.monotonic() - began) * 1e3:.0f} ms"


async def the_context_can_be_filled(engine: TensorRtLlmEngine) -> str:
    length = engine.capabilities.context_length
    prompt = engine.tokenizer.encode("word " * length)[: length - 8]
    sink = await generate(engine, prompt=prompt, max_tokens=8)
    assert sink.tokens() == 8
    return f"{length:,} tokens"


async def many_streams_run(engine: TensorRtLlmEngine) -> str:
    """As many as no CUDA graph has the size of; how fast they are is measured by the throughput."""
    sinks = await asyncio.gather(*(generate(engine, max_tokens=64) for _ in range(STREAMS)))
    assert [sink.tokens() for sink in sinks] == [64] * STREAMS
    return f"{STREAMS} streams"


async def prompts_share_the_cache(engine: TensorRtLlmEngine) -> str:
    prompt = engine.tokenizer.encode("river " * 400)
    await generate(engine, prompt=prompt, max_tokens=2)
    cached = (await generate(engine, prompt=prompt, max_tokens=2)).ends[0].cached_tokens
    assert cached > 300, f"{cached} of {len(prompt)} tokens were reused"
    return f"{cached} of {len(prompt)} tokens"


async def the_heartbeat_moves(engine: TensorRtLlmEngine) -> str:
    before = engine.heartbeat().progress
    await generate(engine)
    assert engine.heartbeat().progress > before
    return ""


async def the_engine_reports_its_times(engine: TensorRtLlmEngine) -> str:
    timings = (await generate(engine)).ends[0].timings
    assert timings.prefill > 0, "no metrics of the request"
    assert timings.decode > 0, "no metrics of the request"
    return f"prefill {timings.prefill * 1e3:.1f} ms, decode {timings.decode * 1e3:.1f} ms"


# Each with the CHASQUI_SAMPLER of its engine.
CHECKS: Final[dict[str, tuple[str, Check]]] = {
    check.__name__: (sampler, check)
    for sampler, checks in (
        (
            "auto",
            (
                *(unseeded_generations_differ, seeds_repeat, penalties_leave_the_prompt_out),
                *(repetition_penalty_counts_the_prompt, min_tokens_count_the_completion, ignore_eos_goes_on),
                *(stop_tokens_are_cut_off, logit_bias_decides, top_p_top_k_and_min_p_narrow, grammars_are_enforced),
                *(a_broken_grammar_fails_alone, a_cancel_frees_its_slot, a_cancel_during_prefill_frees_its_slot),
                *(the_context_can_be_filled, many_streams_run, prompts_share_the_cache, the_heartbeat_moves),
                the_engine_reports_its_times,
            ),
        ),
        (
            "torch",
            (log_probabilities_are_the_model_s, a_batch_mixes_log_probabilities, min_tokens_count_the_prompt),
        ),
    )
    for check in checks
}
