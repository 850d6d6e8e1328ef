"""Every parameter on every sampler of TensorRT-LLM: supported, which shows in what is generated, or refused by name."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2
from services.chat.request.validation import validate
from services.engine.api import EndReason, Sampling
from services.errors import UnsupportedParameter
from tests.support.tensorrt_llm.modes import HOPPER, install, install_gpus
from tests.support.tensorrt_llm.release import Release
from tests.support.tensorrt_llm.running import STOP_ID, StartedEngines, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from services.engine.tensorrt_llm.engine import TensorRtLlmEngine
    from tests.support.recording_sink import RecordingSink

    Effect = Callable[["Probe"], Awaitable[bool]]

# sampler -> release, whether the model is compiled, options
SAMPLERS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "compiled": ("1.2.1", True, {}),
    "trtllm": ("1.2.1", False, {"sampler": "trtllm"}),
    "torch": ("1.2.1", False, {"sampler": "torch"}),
    "ngram": ("1.2.1", False, {"speculative": "ngram"}),
    "eagle3": ("1.2.1", False, {"speculative": "eagle3", "speculative_model": "/drafts"}),
    "torch-alone": ("1.4.0", False, {}),
}
GREEDY = Sampling(temperature=0.0)


class Probe:
    """Generates on one engine; the double's model says what would come without a parameter."""

    def __init__(self, engine: TensorRtLlmEngine, start: StartedEngines) -> None:
        self.engine = engine
        self.model = start.llm.model
        self.prompt = engine.tokenizer.encode("Tell me a story")

    async def sink(self, sampling: Sampling | None = None, **fields: Any) -> RecordingSink:
        """The events of a generation of 60 tokens."""
        given: dict[str, Any] = {"prompt": self.prompt, "max_tokens": 60, "ignore_eos": True} | fields
        return await run(self.engine, sampling=sampling or Sampling(), **given)

    async def ids(self, sampling: Sampling | None = None, **fields: Any) -> list[int]:
        """The ids of the first choice."""
        return [token for delta in (await self.sink(sampling, **fields)).deltas for token in delta.ids]

    def best(self, ids: list[int], count: int = 1) -> list[list[int]]:
        """For each of the ids, the most probable tokens in its place."""
        return [self.model.best(self.prompt, ids[:position], count) for position in range(len(ids))]

    async def is_greedy(self, sampling: Sampling) -> bool:
        """Whether each token is the most probable one."""
        ids = await self.ids(sampling)
        return ids == [tokens[0] for tokens in self.best(ids)]


async def temperature(probe: Probe) -> bool:
    return await probe.is_greedy(GREEDY) and not await probe.is_greedy(Sampling(temperature=1.0))


async def top_p(probe: Probe) -> bool:
    return await probe.is_greedy(Sampling(top_p=0.01)) and not await probe.is_greedy(Sampling())


async def top_k(probe: Probe) -> bool:
    ids = await probe.ids(Sampling(temperature=2.0, top_k=2))
    within = all(token in two for token, two in zip(ids, probe.best(ids, 2), strict=True))
    return within and not await probe.is_greedy(Sampling(temperature=2.0, top_k=2))


async def min_p(probe: Probe) -> bool:
    return await probe.is_greedy(Sampling(min_p=0.99)) and not await probe.is_greedy(Sampling())


async def repetition_penalty(probe: Probe) -> bool:
    """Greedy completions repeat after 24 tokens, and not if what has been seen counts less."""
    repeated, changed = await probe.ids(GREEDY), await probe.ids(Sampling(temperature=0.0, repetition_penalty=5.0))
    return len(set(changed)) > len(set(repeated))


async def presence_penalty(probe: Probe) -> bool:
    repeated, changed = await probe.ids(GREEDY), await probe.ids(Sampling(temperature=0.0, presence_penalty=2.0))
    return len(set(changed)) > len(set(repeated))


async def frequency_penalty(probe: Probe) -> bool:
    repeated, changed = await probe.ids(GREEDY), await probe.ids(Sampling(temperature=0.0, frequency_penalty=2.0))
    return len(set(changed)) > len(set(repeated))


async def seed(probe: Probe) -> bool:
    first, again, other = [await probe.ids(Sampling(seed=seed)) for seed in (7, 7, 8)]
    return first == again != other


async def logit_bias(probe: Probe) -> bool:
    return set(await probe.ids(Sampling(logit_bias={11: 100.0}))) == {11}


async def n(probe: Probe) -> bool:
    """Choices differ, and so do generations that are the same."""
    sink = await probe.sink(n=3)
    texts = [sink.text(probe.engine.tokenizer, choice) for choice in range(3)]
    return len({*texts, (await probe.sink()).text(probe.engine.tokenizer)}) == 4


async def ignore_eos(probe: Probe) -> bool:
    without = len(await probe.ids(max_tokens=200, ignore_eos=False))
    return without < 200 == len(await probe.ids(max_tokens=200))


async def stop_token_ids(probe: Probe) -> bool:
    whole = await probe.ids(GREEDY)
    return await probe.ids(GREEDY, stop_token_ids=frozenset({whole[9]})) == whole[: whole.index(whole[9])]


async def min_tokens(probe: Probe) -> bool:
    """The prompt does not count, and an end token that is not the tokenizer's own does not end the choice, either."""
    probe.prompt = probe.prompt * 60
    sinks = []
    for end_token in probe.engine._loadable.checkpoint.end_ids:
        probe.model.end_token = end_token
        sinks.append(await probe.sink(max_tokens=400, min_tokens=200, ignore_eos=False))
    ends = [sink.choice_ends[0].reason for sink in sinks]
    own, *others = (sink.tokens() for sink in sinks)
    # The other end tokens come once, before 200 tokens, and are ordinary then.
    return own == 200 and ends[0] is EndReason.STOP and others == [400] * len(others)


async def logprobs(probe: Probe) -> bool:
    """One entry per token, with the model's own probabilities."""
    sink = await probe.sink(Sampling(temperature=0.5), top_logprobs=3)
    entries = [entry for delta in sink.deltas for entry in delta.logprobs]
    text = probe.engine.tokenizer.token_bytes
    ids = await probe.ids(GREEDY, max_tokens=1)
    expected = probe.model.log_probabilities(probe.model.logits(probe.prompt, []))
    first = [(text(token), expected[token]) for token in probe.model.best(probe.prompt, [], 3)]
    return len(entries) == 60 and list(entries[0].top) == first and first[0][0] == text(ids[0])


async def top_logprobs(probe: Probe) -> bool:
    counts = []
    for count in (0, 1, 20):
        sink = await probe.sink(top_logprobs=count)
        counts.append({len(entry.top) for delta in sink.deltas for entry in delta.logprobs})
    return counts == [{0}, {1}, {20}]


ALWAYS: list[Effect] = [temperature, top_p, top_k, n, ignore_eos, stop_token_ids]
PENALTIES = [repetition_penalty, presence_penalty, frequency_penalty]
IN_CPP: list[Effect] = [*ALWAYS, *PENALTIES, logit_bias, min_p, seed, min_tokens]
LOGPROBS = [logprobs, top_logprobs]
SUPPORTED: dict[str, list[Effect]] = {
    "compiled": IN_CPP,
    "trtllm": IN_CPP,
    "torch": [*ALWAYS, logit_bias, *LOGPROBS],
    "ngram": [*ALWAYS, logit_bias],
    "eagle3": ALWAYS,
    "torch-alone": [*ALWAYS, *PENALTIES, logit_bias, min_p, min_tokens, *LOGPROBS],
}
EFFECTS: list[Effect] = [*IN_CPP, *LOGPROBS]
# A value of each that is not neutral, as a caller sends it; `logprobs` comes with the other.
SAMPLING = chat_pb2.SamplingOptions
REQUESTS: dict[str, dict[str, Any]] = {
    "repetition_penalty": {"sampling": SAMPLING(repetition_penalty=1.5)},
    "presence_penalty": {"sampling": SAMPLING(presence_penalty=1.0)},
    "frequency_penalty": {"sampling": SAMPLING(frequency_penalty=1.0)},
    "logit_bias": {"sampling": SAMPLING(logit_bias={11: 1.0})},
    "min_p": {"sampling": SAMPLING(min_p=0.5)},
    "seed": {"sampling": SAMPLING(seed=7)},
    "min_tokens": {"min_tokens": 5},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"logprobs": True, "top_logprobs": 3},
}


@pytest.fixture
async def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sampler: str) -> AsyncIterator[StartedEngines]:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    engines = StartedEngines(install(monkeypatch, Release(SAMPLERS[sampler][0])), tmp_path)
    yield engines
    await engines.close()


async def probe_of(start: StartedEngines, sampler: str) -> Probe:
    _, compiled, options = SAMPLERS[sampler]
    return Probe(await start(from_engine=compiled, **options), start)


@pytest.mark.parametrize("sampler", SAMPLERS)
async def test_what_a_sampler_advertises_is_what_the_table_says(start: StartedEngines, sampler: str) -> None:
    engine = (await probe_of(start, sampler)).engine
    assert engine.capabilities.parameters == {effect.__name__ for effect in SUPPORTED[sampler]}


@pytest.mark.parametrize(
    ("sampler", "effect"),
    [(sampler, effect) for sampler, effects in SUPPORTED.items() for effect in effects],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_a_supported_parameter_has_its_effect(start: StartedEngines, sampler: str, effect: Effect) -> None:
    assert await effect(await probe_of(start, sampler))


@pytest.mark.parametrize(
    ("sampler", "effect"),
    [(sampler, effect) for sampler in SAMPLERS for effect in EFFECTS if effect not in SUPPORTED[sampler]],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_any_other_is_refused_by_name_with_the_setting_that_supports_it_because_it_would_have_no_effect(
    start: StartedEngines, sampler: str, effect: Effect
) -> None:
    probe, name = await probe_of(start, sampler), effect.__name__
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    request = chat_service_pb2.ChatRequest(model="demo", messages=[message], **REQUESTS[name])
    with pytest.raises(UnsupportedParameter) as refusal:
        validate(request, probe.engine.capabilities)
    assert refusal.value.param == name
    assert str(refusal.value).startswith(f"{name} is not supported by the engine that this server runs.")
    assert ("CHASQUI_S" in str(refusal.value)) == ((sampler, name) != ("torch-alone", "seed"))
    assert not await effect(probe)


@pytest.mark.parametrize("sampler", ["trtllm", "compiled", "torch-alone"])
@pytest.mark.parametrize(
    "penalty",
    [Sampling(temperature=0.0, presence_penalty=2.0), Sampling(temperature=0.0, frequency_penalty=2.0)],
    ids=["presence", "frequency"],
)
async def test_a_penalty_counts_the_completion_alone(start: StartedEngines, sampler: str, penalty: Sampling) -> None:
    probe = await probe_of(start, sampler)
    first = probe.model.best(probe.prompt, [], 1)
    probe.prompt = [*probe.prompt[:-1], *first]  # the model's logits stay what they are
    assert await probe.ids(penalty, max_tokens=1) == first


@pytest.mark.parametrize("sampler", ["trtllm", "compiled", "torch-alone"])
async def test_repetition_penalty_counts_prompt_and_completion(start: StartedEngines, sampler: str) -> None:
    probe = await probe_of(start, sampler)
    first = probe.model.best(probe.prompt, [], 1)
    probe.prompt = [*probe.prompt[:-1], *first]
    both = Sampling(temperature=0.0, repetition_penalty=5.0, presence_penalty=0.1)
    assert await probe.ids(both, max_tokens=1) != first


@pytest.mark.parametrize("sampler", ["trtllm", "compiled", "torch-alone"])
async def test_after_min_tokens_any_end_token_ends_a_choice(start: StartedEngines, sampler: str) -> None:
    probe = await probe_of(start, sampler)
    for end_token in (*probe.engine._loadable.checkpoint.end_ids, STOP_ID):
        probe.model.end_token = end_token
        wanted: dict[str, Any] = {"max_tokens": 400, "ignore_eos": False, "stop_token_ids": frozenset({STOP_ID})}
        length = (await probe.sink(**wanted)).tokens()
        sink = await probe.sink(min_tokens=length - 1, **wanted)
        assert (sink.tokens(), sink.choice_ends[0].reason) == (length, EndReason.STOP)
        assert sink.ends[0].error is None


@pytest.mark.parametrize("sampler", ["trtllm", "compiled", "torch-alone"])
async def test_min_tokens_beside_ignore_eos_masks_no_token(start: StartedEngines, sampler: str) -> None:
    probe = await probe_of(start, sampler)
    last = probe.engine.capabilities.vocabulary_size - 1
    probe.model.end_token = last
    assert last in await probe.ids(max_tokens=200, min_tokens=200)


@pytest.mark.parametrize("sampler", SAMPLERS)
async def test_seeds_that_the_engine_gets_are_never_the_same(start: StartedEngines, sampler: str) -> None:
    probe = await probe_of(start, sampler)
    for _ in range(2):
        await probe.sink(n=3, max_tokens=1)
    seeds = sorted(submitted["params"].seed for submitted in start.llm.submitted)
    assert all(0 <= first < second < 2**63 for first, second in pairwise(seeds))
