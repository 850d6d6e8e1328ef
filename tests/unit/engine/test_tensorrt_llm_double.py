"""The double is as strict as the package: what would fail or mislead there does so here."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.tensorrt_llm.modes import install
from tests.support.tensorrt_llm.output import RequestError
from tests.support.tensorrt_llm.release import Release, write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT = {"prompt_token_ids": [20, 21, 22]}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Any:
    install(monkeypatch, Release())
    from tensorrt_llm import llmapi

    return llmapi


@pytest.fixture
def llm(api: Any, tmp_path: Path) -> Iterator[Any]:
    with api.LLM(model=str(write_checkpoint(tmp_path / "model", end_ids=(5,))), max_seq_len=1024) as llm:
        yield llm


@pytest.mark.parametrize("name", ["logit_bias", "random_seed", "stop_words", "guided_decoding_params", "beam_width"])
def test_parameters_that_the_real_class_lacks_are_refused(api: Any, name: str) -> None:
    with pytest.raises(TypeError):
        api.SamplingParams(**{name: 1})
    with pytest.raises(AttributeError):
        setattr(api.SamplingParams(), name, 1)


@pytest.mark.parametrize(
    "bad",
    [
        {"top_p": 1.1},
        {"top_k": -1},
        {"temperature": -0.1},
        {"n": 2, "best_of": 1, "temperature": 1.0},
        {"n": 2},
        {"n": 2, "temperature": 0.0},
    ],
)
def test_impossible_sampling_is_refused(api: Any, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"require|greedy"):
        api.SamplingParams(**bad)


def test_two_guides_at_once_are_refused(api: Any) -> None:
    guides = api.GuidedDecodingParams(json_object=True, regex="a")
    with pytest.raises(ValueError, match="one guide"):
        api.SamplingParams(guided_decoding=guides)


def test_unknown_arguments_are_refused(api: Any, tmp_path: Path) -> None:
    model = str(write_checkpoint(tmp_path / "model"))
    with pytest.raises(ValueError, match="LLM got invalid argument: max_batch"):
        api.LLM(model=model, max_batch=3)
    with pytest.raises(ValueError, match="_tensorrt_engine"):
        api.LLM(model=model, quant_config=None)
    with pytest.raises(ValueError, match="Extra inputs"):
        api.KvCacheConfig(fraction=0.5)


def test_names_that_the_package_lacks_cannot_be_imported(api: Any) -> None:
    with pytest.raises(AttributeError):
        _ = api.Sampling


async def test_the_defaults_are_32_tokens_and_the_caller_s_object_is_changed(api: Any, llm: Any) -> None:
    params = api.SamplingParams(temperature=1.0)
    result = await llm.generate_async(PROMPT, params, streaming=True)
    assert len(result.outputs[0].token_ids) <= 32
    assert params.end_id is not None
    assert params.stop_token_ids[-1] == 5


async def test_stop_texts_beside_an_end_id_are_refused(api: Any, llm: Any) -> None:
    with pytest.raises(ValueError, match="end_id forbids"):
        llm.generate_async(PROMPT, api.SamplingParams(end_id=1, stop=["x"]))


async def test_one_sequence_moves_per_step_and_the_others_repeat_their_last_difference(api: Any, llm: Any) -> None:
    params = api.SamplingParams(n=2, temperature=1.0, end_id=1, ignore_eos=True, max_tokens=5)
    result = llm.generate_async(PROMPT, params, streaming=True)
    seen = []
    async for step in result:
        assert step is result
        seen.append([len(output.token_ids) for output in step.outputs])
        if seen[-1] == [1, 1]:
            assert [len(output.token_ids_diff) for output in step.outputs] == [1, 1]
    assert seen[:3] == [[1, 0], [1, 1], [2, 1]]
    assert seen[-1] == [5, 5]


async def test_the_ids_become_fewer_when_a_stop_token_is_cut_off(api: Any, llm: Any) -> None:
    greedy: dict[str, Any] = {"end_id": 1, "ignore_eos": True, "temperature": 0.0, "max_tokens": 5}
    whole = await llm.generate_async(PROMPT, api.SamplingParams(**greedy))
    ids = list(whole.outputs[0].token_ids)
    stopped = await llm.generate_async(PROMPT, api.SamplingParams(**greedy, stop_token_ids=[ids[3]]))
    assert stopped.outputs[0].token_ids == ids[:3]
    assert stopped.outputs[0]._last_token_ids_len == 3
    assert (stopped.outputs[0].finish_reason, stopped.outputs[0].stop_reason) == ("stop", ids[3])


async def test_without_a_back_end_a_constraint_is_dropped_silently(api: Any, llm: Any) -> None:
    guided = api.GuidedDecodingParams(grammar='start: "yes"')
    params = api.SamplingParams(guided_decoding=guided, ignore_eos=True, temperature=1.0, end_id=1, max_tokens=30)
    result = await llm.generate_async(PROMPT, params)
    assert len(result.outputs[0].token_ids) == 30


async def test_an_abort_is_confirmed_later_by_a_final_step(api: Any, llm: Any) -> None:
    params = api.SamplingParams(temperature=1.0, end_id=1, ignore_eos=True, max_tokens=900)
    result = llm.generate_async(PROMPT, params, streaming=True)
    result.abort()
    assert result.aborted()
    assert not result.finished
    reasons = [step.outputs[0].finish_reason async for step in result]
    assert reasons[-1] == "cancelled"


async def test_a_request_from_another_thread_is_an_error(api: Any, llm: Any) -> None:
    await llm.generate_async(PROMPT, api.SamplingParams(temperature=1.0))
    errors: list[BaseException] = []

    def other() -> None:
        async def submit() -> None:
            llm.generate_async(PROMPT, api.SamplingParams(temperature=1.0))

        try:
            asyncio.run(submit())
        except AssertionError as error:
            errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert "two loops" in str(errors[0])


def test_a_result_made_outside_a_loop_cannot_be_read(api: Any, llm: Any) -> None:
    result = llm.generate_async(PROMPT, api.SamplingParams(temperature=1.0))

    async def read() -> None:
        await result

    with pytest.raises(AssertionError, match="event loop was not present"):
        asyncio.run(read())


@pytest.mark.parametrize("inputs", [[], [1.5], {"prompt_token_ids": []}])
async def test_prompts_that_are_no_ids_are_refused(api: Any, llm: Any, inputs: Any) -> None:
    with pytest.raises(AssertionError):
        llm.generate_async(inputs, api.SamplingParams())


async def test_a_prompt_beyond_the_step_needs_chunked_prefill(api: Any, llm: Any) -> None:
    with pytest.raises(RequestError, match="max_num_tokens"):
        llm.generate_async({"prompt_token_ids": [20] * 9000}, api.SamplingParams())


async def test_statistics_are_one_queue_and_end_after_silence(api: Any, tmp_path: Path) -> None:
    with api.LLM(model=str(write_checkpoint(tmp_path / "model")), enable_iter_perf_stats=True) as llm:
        await llm.generate_async(PROMPT, api.SamplingParams(temperature=1.0))
        assert [record async for record in llm.get_stats_async(timeout=0.05)]
        assert not [record async for record in llm.get_stats_async(timeout=0.05)]


async def test_without_their_switch_statistics_are_empty(api: Any, llm: Any) -> None:
    await llm.generate_async(PROMPT, api.SamplingParams(temperature=1.0))
    assert not [record async for record in llm.get_stats_async(timeout=0.05)]


async def test_after_a_shutdown_nothing_is_taken(api: Any, llm: Any) -> None:
    llm.shutdown()
    llm.shutdown()
    with pytest.raises(RuntimeError, match="shutting down"):
        llm.generate_async(PROMPT, api.SamplingParams())
