"""Behaviour of the llama.cpp engine alone: end tokens, sampling options, failures, and its private listener."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from services.engine.api import EndReason, Generation, Sampling
from services.engine.factory import build_engine
from services.engine.load_error import EngineLoadError
from services.engine.model.gguf_file import read_gguf
from services.settings import DEMO_MODEL, Settings
from tests.support.own_process import run_in_own_process
from tests.support.recording_sink import RecordingSink
from tests.support.tiny_llama import CONTROL, UNKNOWN, write_sentence_piece_llama

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.engine.api import Engine

SETTINGS = Settings(engine="llama-cpp", parallel=2, context_length=1024, threads=1)
MARKERS = {"<s>": CONTROL, "</s>": CONTROL, "<unk>": UNKNOWN}


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = build_engine(SETTINGS)
    await engine.start()
    yield engine
    await engine.close()


async def run(engine: Engine, wanted: Generation) -> RecordingSink:
    sink = RecordingSink()
    await engine.submit(wanted, sink).released
    return sink


async def test_a_token_that_ends_the_turn_is_neither_pushed_nor_counted(engine: Engine) -> None:
    end = read_gguf(DEMO_MODEL).eos_id
    prompt = engine.tokenizer.encode("Hello")
    sink = await run(engine, Generation(prompt=prompt, max_tokens=5, sampling=Sampling(logit_bias={end: 100.0})))
    assert sink.text(engine.tokenizer) == ""
    assert sink.ends[0].completion_tokens == 0
    assert [end.reason for end in sink.choice_ends] == [EndReason.STOP]


@pytest.mark.parametrize("spelling", ["a", "<|start_header_id|>"])
async def test_a_stop_token_ends_the_choice_it_is_generated_in(engine: Engine, spelling: str) -> None:
    token = read_gguf(DEMO_MODEL).tokens.index(spelling)
    sampling = Sampling(logit_bias={token: 100.0})
    wanted = Generation(
        prompt=engine.tokenizer.encode("Hello"), max_tokens=900, sampling=sampling, stop_token_ids=frozenset({token})
    )
    sink = await run(engine, wanted)
    assert (sink.text(engine.tokenizer), sink.ends[0].completion_tokens) == ("", 0)
    assert [end.reason for end in sink.choice_ends] == [EndReason.STOP]


async def test_a_logit_bias_makes_a_token_certain(engine: Engine) -> None:
    token = engine.tokenizer.plain_ids()[0]
    prompt = engine.tokenizer.encode("Hello")
    sampling = Sampling(logit_bias={token: 100.0})
    sink = await run(engine, Generation(prompt=prompt, max_tokens=5, sampling=sampling))
    expected = engine.tokenizer.decoder().push([token] * 5)
    assert sink.text(engine.tokenizer) == expected


async def test_text_cut_inside_a_character_still_counts_its_tokens(engine: Engine) -> None:
    first_byte_of_four = read_gguf(DEMO_MODEL).tokens.index("ð")
    prompt = engine.tokenizer.encode("Hello")
    sampling = Sampling(logit_bias={first_byte_of_four: 100.0})
    sink = await run(engine, Generation(prompt=prompt, max_tokens=3, sampling=sampling))
    assert sink.tokens() == sink.ends[0].completion_tokens == 3


async def _score_tokens_of_the_same_bytes(path: Path) -> None:
    engine = build_engine(SETTINGS.replace(model=str(path), context_length=128))
    await engine.start()
    prompt = [*engine.tokenizer.opening, *engine.tokenizer.encode("the, the. ")]
    assert engine.tokenizer.duplicates & set(prompt)
    scored = await run(engine, Generation(prompt=prompt, max_tokens=0, prompt_logprobs=True, top_logprobs=300))
    await engine.close()
    assert scored.ends[0].error is None
    assert len(scored.prompt_entries) == len(prompt)
    for token, entry in zip(prompt[1:], scored.prompt_entries[1:], strict=True):
        assert entry.data == engine.tokenizer.token_bytes(token)
        assert entry.logprob in [logprob for data, logprob in entry.top if data == entry.data]
    assert "min_tokens" not in engine.capabilities.parameters


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A model with several tokens of the same bytes."""
    return write_sentence_piece_llama(tmp_path / "tiny.gguf", ["▁the", "th", "▁th", *"▁the,."], MARKERS)


def test_tokens_of_the_same_bytes_are_scored_and_take_min_tokens_away(tiny_model: Path) -> None:
    run_in_own_process(_score_tokens_of_the_same_bytes, tiny_model)


async def test_a_second_model_in_the_process_is_refused_with_a_sentence(engine: Engine, tiny_model: Path) -> None:
    await engine.close()
    second = build_engine(SETTINGS.replace(model=str(tiny_model), context_length=128))
    with pytest.raises(EngineLoadError, match=r"llama\.cpp has run another model in this process"):
        await second.start()


async def _follow_a_grammar_where_it_can(path: Path, size: int) -> None:
    engine = build_engine(SETTINGS.replace(model=str(path), context_length=128))
    await engine.start()
    fits = size <= 1024  # of 1,025 bytes, a token would have llama.cpp abort the process
    assert (engine.capabilities.guided, engine.capabilities.scores_prompts) == (fits, fits)
    grammar = '%llguidance {}\nstart: "the"' if fits else None
    prompt = [*engine.tokenizer.opening, *engine.tokenizer.encode("the, ")]
    answer = await run(engine, Generation(prompt, 3, grammar=grammar))
    await engine.close()
    assert answer.ends[0].error is None
    assert answer.text(engine.tokenizer) == "the" or not fits


@pytest.mark.parametrize("size", [1024, 1025])
def test_a_vocabulary_that_is_too_large_for_grammars_has_none(tmp_path: Path, size: int) -> None:
    path = write_sentence_piece_llama(tmp_path / "tiny.gguf", ["▁the", "x" * size, *"▁the,."], MARKERS)
    run_in_own_process(_follow_a_grammar_where_it_can, path, size)


async def test_a_prompt_that_was_seen_before_is_cached(engine: Engine) -> None:
    wanted = Generation(prompt=engine.tokenizer.encode("Once upon a time " * 20), max_tokens=1)
    await run(engine, wanted)
    end = (await run(engine, wanted)).ends[0]
    assert end.cached_tokens == end.prompt_tokens - 1


async def test_conversations_in_turn_find_their_last_prompt_in_the_cache(engine: Engine) -> None:
    chats = {name: engine.tokenizer.encode(f"I am {name}, and I am not anybody else. ") for name in ("Ana", "Ben")}
    for turn in range(5):
        for name, prompt in chats.items():
            end = (await run(engine, Generation(prompt=prompt, max_tokens=3))).ends[0]
            assert turn == 0 or end.cached_tokens > end.prompt_tokens / 2
            chats[name] = [*prompt, *engine.tokenizer.encode(f"And {name}. ")]


async def test_what_llama_cpp_rejects_ends_the_generation_with_an_error(engine: Engine) -> None:
    sink = await run(engine, Generation(prompt=[10**6], max_tokens=3))
    assert sink.ends[0].error is not None
    assert len(sink.choice_ends) == 1


async def test_greedy_sampling_generates_the_same_text_with_every_seed(engine: Engine) -> None:
    prompt = engine.tokenizer.encode("Hello there")
    runs = [
        await run(engine, Generation(prompt=prompt, max_tokens=20, sampling=Sampling(temperature=0.0, seed=seed)))
        for seed in (1, 2)
    ]
    assert runs[0].text(engine.tokenizer) == runs[1].text(engine.tokenizer)


@pytest.mark.parametrize(("dtype", "flash"), [("q8_0", "on"), ("auto", "off")])
async def test_every_kind_of_kv_cache_and_attention_generates(dtype: str, flash: str) -> None:
    engine = build_engine(SETTINGS.replace(kv_cache_dtype=dtype, flash_attention=flash))
    await engine.start()
    prompt = engine.tokenizer.encode("Hello there")
    sink = await run(engine, Generation(prompt=prompt, max_tokens=20, ignore_eos=True))
    await engine.close()
    assert (sink.tokens(), sink.ends[0].error) == (20, None)


async def test_llama_cpp_s_own_http_server_cannot_be_reached() -> None:
    def listening() -> set[object]:
        process = psutil.Process()
        tcp = {c.laddr for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        return tcp | {c.laddr for c in process.net_connections("unix") if c.laddr and Path(str(c.laddr)).exists()}

    before = listening()
    engine = build_engine(SETTINGS)
    await engine.start()
    assert listening() <= before  # some that other tests have left may be closed meanwhile
    await engine.close()


async def _start(path: Path) -> None:
    await build_engine(Settings(model=str(path), context_length=1024, parallel=1)).start()


def test_a_model_that_llama_cpp_does_not_know_is_refused_with_a_sentence(tmp_path: Path) -> None:
    length = (5).to_bytes(8, "little")
    unknown = tmp_path / "unknown.gguf"
    data = DEMO_MODEL.read_bytes().replace(length + b"llama", length + b"lhama", 1)
    keys = rb"llama(?=\.(context|embedding|block|feed|attention|rope|vocab))"
    unknown.write_bytes(re.sub(keys, b"lhama", data))
    with pytest.raises(EngineLoadError, match=r"llama\.cpp cannot load"):
        run_in_own_process(_start, unknown)


@pytest.mark.parametrize(
    "penalised",
    [Sampling(temperature=0.0, presence_penalty=2.0), Sampling(temperature=0.0, frequency_penalty=2.0)],
    ids=["presence", "frequency"],
)
async def test_penalties_count_the_tokens_of_the_prompt_too_as_the_readme_says(
    engine: Engine, penalised: Sampling
) -> None:
    prompt = engine.tokenizer.encode("one two three four one two three four one two three")

    async def first_text(sampling: Sampling) -> str:
        return (await run(engine, Generation(prompt=prompt, max_tokens=1, sampling=sampling))).text(engine.tokenizer)

    assert await first_text(Sampling(temperature=0.0)) == " "
    assert await first_text(penalised) != " "
