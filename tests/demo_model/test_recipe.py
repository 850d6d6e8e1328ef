"""The demo model's recipe: its data, template, tokenizer, pipeline and held-out sets."""

import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import gguf
import pytest
from jinja2 import TemplateError
from tokenizers import Tokenizer

from tests.demo_model import spec as model
from tests.demo_model.data.corpus import conversations, family
from tests.demo_model.data.language import inflection
from tests.demo_model.data.language.wording import phrase
from tests.demo_model.data.tools import catalogue, composed, sentences
from tests.demo_model.heldout import all_cases
from tests.demo_model.overlap import RUN, HeldOut
from tests.demo_model.rendering import Message, render
from tests.demo_model.scoring import Reply, correct, follows_schema, read_reply, repeats

SEED = model.CONFIGS["full"].train.seed
STREAM = 1_815_000
"""Families that the full configuration trains on, rounded up."""
TOOL = {
    "type": "function",
    "function": {"name": "ring", "description": "Ring", "parameters": {"type": "object", "properties": {}}},
}


def _has_cuda() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="training needs torch: make test-demo-model",
)
needs_cuda = pytest.mark.skipif(not _has_cuda(), reason="needs a GPU and PyTorch")
needs_llama_cpp = pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs xllamacpp")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.demo_model.pipeline import STAGES, Pipeline

    pipeline = Pipeline(model.CONFIGS["smoke"], tmp_path_factory.mktemp("smoke"))
    for stage in STAGES:
        pipeline.run(stage)
    return pipeline


def field(reader: gguf.GGUFReader, name: str) -> Any:
    found = reader.get_field(name)
    assert found is not None, name
    return found.contents()


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


# --- data ---


def test_a_family_is_a_function_of_the_seed_and_its_number() -> None:
    assert [each for number in range(200) for each in family(7, number)] == list(conversations(7, 0, 200))
    assert family(7, 3) != family(8, 3)


def test_the_conversations_of_a_family_offer_the_same_tools_and_differ() -> None:
    for first, *others in filter(None, (family(SEED, number) for number in range(300))):
        assert all((each.kind, each.tools, each.date) == (first.kind, first.tools, first.date) for each in others)
        assert all(each.messages != first.messages for each in others)


def test_late_families_of_requests_want_calls_and_answers_beside_several_functions() -> None:
    late = [family(SEED, number) for number in range(24_000, 24_100)]
    made = [members for members in late if members and members[0].kind == "requests"]
    called = [any(message.get("tool_calls") for message in each.messages) for members in made for each in members]
    assert len(made) > 3
    assert all(len(members[0].tools) > 1 for members in made)
    assert any(called)
    assert not all(called)
    before = [family(SEED, number) for number in range(23_000, 24_000)]
    after = [family(SEED, number) for number in range(24_000, 25_000)]
    earlier, later = (
        sum(bool(members) and members[0].kind == "requests" for members in families) for families in (before, after)
    )
    assert later > 2 * earlier


def test_every_conversation_renders_and_ends_with_a_turn_of_the_assistant() -> None:
    for made in conversations(SEED, 0, 800):
        text = render(made.messages, made.tools, date=made.date)
        assert text.startswith(f"{model.BOS}{model.HEADER_START}system")
        assert f"Today Date: {made.date}" in text
        assert text.rsplit(model.HEADER_START, 1)[1].startswith("assistant")
        assert text.endswith(model.EOT)
        assert len(made.learned()) == text.count(f"{model.HEADER_START}assistant{model.HEADER_END}")
        assert any(made.learned())


@pytest.mark.parametrize("seed", range(300))
def test_a_composed_request_holds_every_value_of_its_call(seed: int) -> None:
    rng = Random(seed)  # noqa: S311 - reproducible, not secret
    function = catalogue.plain(rng)
    asked, arguments = function.request(rng)
    properties = function.schema["function"]["parameters"]["properties"]
    assert arguments.keys() <= properties.keys()
    assert [str(value) for value in arguments.values() if str(value).lower() not in asked.lower()] == []


@pytest.mark.parametrize("seed", range(300))
def test_a_statement_holds_every_value_that_it_is_to_tell(seed: int) -> None:
    rng = Random(seed)  # noqa: S311 - reproducible, not secret
    used = [(part, part.value(rng)) for part in composed.parts(rng)]
    told = sentences.statement(rng, "kettle", used)
    assert [str(value) for _, value in used if str(value).lower() not in told.lower()] == []


def test_parameters_are_called_by_too_many_names_to_be_learned_by_heart() -> None:
    rng = Random(SEED)  # noqa: S311 - reproducible, not secret
    names = {part.name for _ in range(1000) for part in composed.parts(rng)}
    assert len(names) > 1000


def test_a_pattern_offers_alternatives_at_its_top_level_as_in_brackets() -> None:
    rng = Random(SEED)  # noqa: S311 - reproducible, not secret
    made = {phrase(rng, "[Hi|Hello] {name}|Good [day|evening]", name="[Bo|b]") for _ in range(100)}
    assert made == {"Hi [Bo|b]", "Hello [Bo|b]", "Good day", "Good evening"}


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("wash", "washes washing washed"),
        ("trace", "traces tracing traced"),
        ("trim", "trims trimming trimmed"),
        ("show", "shows showing shown"),
        ("edit", "edits editing edited"),
        ("carry", "carries carrying carried"),
        ("tie", "ties tying tied"),
        ("begin", "begins beginning begun"),
    ],
)
def test_verbs_have_the_usual_forms(verb: str, forms: str) -> None:
    made = [form(f"{verb} up") for form in (inflection.third, inflection.continued, inflection.participle)]
    assert made == [f"{form} up" for form in forms.split()]


def test_nouns_have_the_usual_plurals_and_articles() -> None:
    nouns = ["box", "city", "day", "knife", "fireman", "cup of tea", "old shelf"]
    plurals = ["boxes", "cities", "days", "knives", "firemen", "cups of tea", "old shelves"]
    assert [inflection.plural(noun) for noun in nouns] == plurals
    assert [inflection.with_article(noun) for noun in ("owl", "hour", "union", "uncle", "horse")] == [
        "an owl", "an hour", "a union", "an uncle", "a horse",
    ]  # fmt: skip


def test_the_held_out_sets_share_no_tool_value_or_run_of_words_with_the_generated_data() -> None:
    held_out = HeldOut(all_cases())
    sample = (each for number in range(0, STREAM, STREAM // 40_000) for each in family(SEED, number))
    assert set().union(*(held_out.common(each) for each in sample)) == set()


def test_the_overlap_check_finds_names_values_and_runs_of_words() -> None:
    held_out = HeldOut(all_cases())
    made = next(each for number in range(100) for each in family(SEED, number) if each.kind == "chat")
    case = next(case for case in all_cases() if case.calls and len(case.messages[-1]["content"].split()) > RUN)
    (_, arguments), *_ = case.calls
    value = max((value for value in arguments.values() if isinstance(value, str)), key=len)
    run = " ".join(case.messages[-1]["content"].split()[-RUN:])
    for leaked, found in (
        (f"So {value}!", value.lower()),
        (f"And then: {run}", re.sub(r"[^a-z0-9' ]", "", run.lower())),
    ):
        assert found in held_out.wordings([{"role": "user", "content": leaked}])
    assert case.tools[0]["function"]["name"] in held_out.names(case.tools)
    assert held_out.common(made) == set()


def test_what_is_held_out_is_rarely_met() -> None:
    """The stream leaves it out; a table that had a name of it would lose many families."""
    missing = sum(not family(SEED, number) for number in range(24_000, 26_000))
    assert missing < 20


# --- template ---


def test_tools_are_offered_in_the_first_user_turn_and_announced_in_the_system_turn() -> None:
    text = render([{"role": "user", "content": " Hi "}], [TOOL], date="01 Jan 2030", add_generation_prompt=True)
    head, user, assistant = text.split(model.HEADER_START)[1:]
    assert "Environment: ipython\nCutting Knowledge Date: December 2023\nToday Date: 01 Jan 2030\n" in head
    assert json.dumps(TOOL, indent=4) in user
    assert user.endswith(f"\n\nHi{model.EOT}")
    assert assistant == f"assistant{model.HEADER_END}\n\n"


def test_a_call_and_its_result_are_turns_of_assistant_and_ipython() -> None:
    asked: list[Message] = [
        {"role": "user", "content": "Ring"},
        {"role": "assistant", "tool_calls": [call("ring", {"n": 2})]},
    ]
    text = render([*asked, {"role": "tool", "content": "rung"}], [TOOL])
    assert f'\n\n{{"name": "ring", "parameters": {{"n": 2}}}}{model.EOT}' in text
    assert text.endswith(f"{model.HEADER_START}ipython{model.HEADER_END}\n\nrung{model.EOT}")


@pytest.mark.parametrize(
    ("messages", "tools"),
    [
        ([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call("a", {}), call("b", {})]}], None),
        ([{"role": "assistant", "content": "x"}], [TOOL]),
        ([{"role": "system", "content": "x"}], [TOOL]),
        ([{"role": "user", "content": [{"type": "image_url"}]}], None),
    ],
)
def test_what_the_format_cannot_hold_is_refused(messages: Sequence[Any], tools: Sequence[Any] | None) -> None:
    with pytest.raises(TemplateError):
        render(messages, tools)


# --- evaluation ---


def test_calls_are_read_from_one_object_from_two_and_not_from_text() -> None:
    one = '{"name": "a", "parameters": {"x": 1}}'
    assert read_reply(one, stopped=True).calls == (("a", {"x": 1}),)
    assert len(read_reply(f"{one}; {one}", stopped=True).calls) == 2
    for text in ("Hello", '{"x": 1}', f"{one} and", ""):
        assert read_reply(text, stopped=True) == Reply(text, (), stopped=True)


def test_the_expected_reply_of_every_case_with_calls_or_json_is_judged_correct() -> None:
    for case in all_cases():
        text = json.dumps(case.value) if case.value else ""
        assert correct(case, Reply(text, case.calls, stopped=True)) == bool(case.calls or case.value)
        assert follows_schema(case, text) == bool(case.value)


def test_five_words_three_times_are_a_repetition() -> None:
    assert repeats("one two three four five " * 3)
    assert not repeats("one two three four five " * 2)


# --- pipeline ---


@needs_torch
@pytest.mark.parametrize("config", ["full", "small"])
def test_an_untrained_network_continues_a_sequence_of_tokens_that_it_sees_for_the_second_time(
    smoke: Any, config: str
) -> None:
    import torch

    from tests.demo_model.induction import plant
    from tests.demo_model.layout import layout
    from tests.demo_model.network import Network

    tokenizer = Tokenizer.from_file(str(smoke.out / "tokenizer.json"))
    shape, length = model.CONFIGS[config].model, 100
    order = torch.randperm(tokenizer.get_vocab_size(), generator=torch.Generator().manual_seed(SEED))
    sequence = order[:length]

    def repeated(network: Network) -> int:
        logits = network(torch.cat((sequence, sequence)), layout([(2 * length,)], torch.device("cpu")))
        return int((logits[length : 2 * length - 1].argmax(-1) == sequence[1:]).sum())

    network = Network(shape, SEED)
    assert repeated(network) < 5
    plant(network, tokenizer, SEED)
    assert repeated(network) > 90


@needs_torch
def test_an_untrained_network_looks_at_the_parameters_of_the_function_that_is_being_called(smoke: Any) -> None:
    """Where they have different words; functions of one noun or verb are for the training to tell apart."""
    import torch

    from tests.demo_model.induction import plant
    from tests.demo_model.layout import layout
    from tests.demo_model.network import Network
    from tests.demo_model.tokenizer import encode

    tokenizer = Tokenizer.from_file(str(smoke.out / "tokenizer.json"))
    network = Network(model.CONFIGS["small"].model, SEED)
    plant(network, tokenizer, SEED)
    size, layer = network.spec.head_size, network.get_submodule("layers.4.self_attn")
    inputs = list[torch.Tensor]()
    layer.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    own, calls = 0, 0
    choices = (each for number in range(600) for each in family(SEED, number)[:2] if each.kind == "choices")
    for made in (each for each in choices if _differ([_telling_words(tool) for tool in each.tools])):
        text = render(made.messages, made.tools, date=made.date)
        called = made.messages[-1]["tool_calls"][0]["function"]["name"]
        ids = encode(tokenizer, text[: text.rindex('"parameters": {"') + len('"parameters": {"')])
        with torch.no_grad():
            network(torch.tensor(ids), layout([(len(ids),)], torch.device("cpu")))
            # What the head compares lies in slow pairs, which hardly turn: the scores are near those without rotation.
            hidden = inputs.pop()
            scores = layer.k_proj(hidden)[:, :size] @ layer.q_proj(hidden)[-1, :size]
        names = [tool["function"]["name"] for tool in made.tools]
        places = {name: _first_parameter(tokenizer, text, name) for name in names}
        own += max(names, key=lambda name: float(scores[places[name]])) == called
        calls += 1
    assert calls > 200
    assert own > 0.8 * calls


def _telling_words(tool: Any) -> set[str]:
    name, description = tool["function"]["name"], tool["function"]["description"]
    longer = [word for word in re.findall(r"[A-Za-z]+", description) if len(word) > 4]
    return {word.lower() for word in (*re.findall(r"[A-Z]?[a-z]+", name), *longer)}


def _differ(sets: list[set[str]]) -> bool:
    return sum(map(len, sets)) == len(set().union(*sets))


def _first_parameter(tokenizer: Tokenizer, text: str, name: str) -> int:
    """Place of the first token of the function's first parameter."""
    from tests.demo_model.tokenizer import encode

    properties = '"properties": {'
    start = text.index(properties, text.index(f'"name": {json.dumps(name)}')) + len(properties)
    return len(encode(tokenizer, text[: text.index('"', start) + 1]))


@needs_torch
def test_a_conversation_in_a_family_has_the_same_logits_as_alone() -> None:
    import torch

    from tests.demo_model.layout import layout
    from tests.demo_model.network import Network

    network, cpu = Network(model.CONFIGS["smoke"].model, SEED), torch.device("cpu")
    ids = torch.randint(model.CONFIGS["smoke"].model.vocabulary, (30,), generator=torch.Generator().manual_seed(SEED))
    beginning, first, second = ids[:12], ids[12:19], ids[19:]
    together = network(ids, layout([(12, 7, 11)], cpu))
    alone = network(torch.cat((beginning, first)), layout([(19,)], cpu))
    other = network(torch.cat((beginning, second)), layout([(23,)], cpu))
    assert torch.allclose(together[:19], alone, atol=1e-5)
    assert torch.allclose(together[19:], other[12:], atol=1e-5)


@needs_torch
def test_the_mask_for_a_gpu_shows_each_token_what_the_runs_of_a_cpu_show_it() -> None:
    import torch

    from tests.demo_model.layout import Masked, layout
    from tests.demo_model.network import Network

    network, cpu = Network(model.CONFIGS["smoke"].model, SEED), torch.device("cpu")
    lengths = [(12, 7, 11), (5,), (20, 3, 9)]
    ids = torch.randint(model.CONFIGS["smoke"].model.vocabulary, (67,), generator=torch.Generator().manual_seed(SEED))
    with torch.inference_mode(), pytest.warns(UserWarning, match=r"without torch\.compile"):
        assert torch.allclose(network(ids, Masked(lengths, cpu)), network(ids, layout(lengths, cpu)), atol=1e-5)


@needs_cuda
def test_a_gpu_trains_as_a_cpu_does(smoke: Any, tmp_path: Path) -> None:
    from tests.demo_model.training import Trainer

    tokenizer = Tokenizer.from_file(str(smoke.out / "tokenizer.json"))
    on_gpu = Trainer(smoke.build, tokenizer, tmp_path / "gpu.pt", device="cuda")
    on_gpu.train()
    on_cpu = Trainer(smoke.build, tokenizer, tmp_path / "cpu.pt", device="cpu")
    on_cpu.train()
    assert on_gpu.losses == pytest.approx(on_cpu.losses, rel=0.03)
    again = Trainer(smoke.build, tokenizer, tmp_path / "again.pt", device="cuda")
    again.train()
    assert again.losses == on_gpu.losses


@needs_torch
def test_a_family_wants_each_learned_token_once_behind_the_token_before_it() -> None:
    from tests.demo_model.batches import joined, overlaid

    family = overlaid([([1, 2, 3, 4], [False, True, False, True]), ([1, 2, 5, 6], [False, True, True, True])])
    made = joined([overlaid([([9, 8], [True, True])]), family], 10, 7, 0)
    assert made.ids.tolist() == [9, 8, 1, 2, 3, 4, 5, 6, 0, 0]
    assert made.lengths == ((2,), (2, 2, 2), (2,))
    wanted = list(zip(made.wanted.tolist(), made.targets.tolist(), strict=True))
    assert wanted == [(0, 8), (2, 2), (4, 4), (3, 5), (6, 6), (0, -100), (1, -100)]


@needs_torch
def test_what_fills_a_batch_up_teaches_nothing() -> None:
    import torch
    from torch.nn import functional

    from tests.demo_model.batches import Batch, joined, overlaid
    from tests.demo_model.layout import layout
    from tests.demo_model.network import Network

    network = Network(model.CONFIGS["smoke"].model, SEED)
    members = [([*range(12), *ids], [False] * 12 + [True] * len(ids)) for ids in ([20, 21, 22], [30, 31, 32, 33])]

    def loss(batch: Batch) -> Any:
        row = layout(batch.lengths, torch.device("cpu"))
        logits = network(torch.from_numpy(batch.ids), row, torch.from_numpy(batch.wanted))
        return functional.cross_entropy(logits, torch.from_numpy(batch.targets))

    filled = joined([overlaid(members)], 64, 32, 0)
    assert (len(filled.ids), len(filled.wanted), len(filled.targets)) == (64, 32, 32)
    assert torch.allclose(loss(filled), loss(overlaid(members)))


@needs_torch
def test_batches_have_one_shape_and_every_family_that_fits_once(smoke: Any) -> None:
    from tests.demo_model.batches import Batches, overlaid
    from tests.demo_model.tokenizer import AssistantSpans, encode

    tokenizer, spec = Tokenizer.from_file(str(smoke.out / "tokenizer.json")), smoke.build.train
    batches, spans = Batches(tokenizer, spec), AssistantSpans(tokenizer)
    made = [batches.next() for _ in range(6)]
    sizes = {(len(each.ids), len(each.wanted), len(each.targets)) for each in made}
    assert sizes == {(spec.batch_tokens, spec.batch_tokens // 2, spec.batch_tokens // 2)}
    assert all(sum(map(sum, each.lengths)) == spec.batch_tokens for each in made)
    wanted = list[int]()
    for number in range(batches.cursor):
        members = family(spec.seed, number)
        ids = [encode(tokenizer, render(each.messages, each.tools, date=each.date)) for each in members]
        masks = [spans.mask(each, made.learned()) for each, made in zip(ids, members, strict=True)]
        alone = overlaid(list(zip(ids, masks, strict=True)))
        if len(alone.ids) <= spec.batch_tokens and len(alone.wanted) <= spec.batch_tokens // 2:
            wanted += alone.targets.tolist()
    assert [target for each in made for target in each.targets.tolist() if target >= 0] == wanted


@needs_torch
def test_batches_encoded_by_other_processes_are_the_same(smoke: Any) -> None:
    from tests.demo_model.batches import Batches

    tokenizer, spec = Tokenizer.from_file(str(smoke.out / "tokenizer.json")), smoke.build.train
    here, elsewhere = Batches(tokenizer, spec, cursor=40), Batches(tokenizer, spec, cursor=40, processes=2)
    for _ in range(12):
        one, other = here.next(), elsewhere.next()
        assert one.lengths == other.lengths
        assert [each.tolist() for each in (one.ids, one.wanted, one.targets)] == [
            each.tolist() for each in (other.ids, other.wanted, other.targets)
        ]
    assert here.cursor == elsewhere.cursor


@needs_torch
def test_the_pipeline_goes_from_generated_data_to_a_loss_curve_and_both_gguf_files(smoke: Any) -> None:
    assert (smoke.out / "loss.png").read_bytes().startswith(b"\x89PNG")
    for quantisation in ("F16", "Q8_0"):
        reader = gguf.GGUFReader(smoke.gguf(quantisation))
        names = {tensor.name for tensor in reader.tensors}
        assert {"rope_freqs.weight", "token_embd.weight", "output.weight", "blk.2.attn_q.weight"} <= names
    names = {path.name for path in smoke.huggingface.iterdir()}
    assert names == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


@needs_torch
def test_the_hugging_face_tokenizer_and_the_gguf_have_the_same_tokens_and_template(smoke: Any) -> None:
    tokenizer = Tokenizer.from_file(str(smoke.huggingface / "tokenizer.json"))
    config = json.loads((smoke.huggingface / "tokenizer_config.json").read_text())
    reader = gguf.GGUFReader(smoke.gguf("Q8_0"))
    tokens = field(reader, "tokenizer.ggml.tokens")
    assert tokens == [tokenizer.id_to_token(index) for index in range(tokenizer.get_vocab_size())]
    assert field(reader, "tokenizer.ggml.pre") == "llama-bpe"
    assert field(reader, "tokenizer.chat_template") == config["chat_template"] == model.CHAT_TEMPLATE


@needs_torch
def test_each_special_token_is_one_id_at_the_end_of_the_vocabulary(smoke: Any) -> None:
    tokenizer = Tokenizer.from_file(str(smoke.huggingface / "tokenizer.json"))
    ids = [tokenizer.encode(token, add_special_tokens=False).ids for token in model.SPECIAL_TOKENS]
    size = tokenizer.get_vocab_size()
    assert ids == [[index] for index in range(size - len(model.SPECIAL_TOKENS), size)]
    assert tokenizer.decode(tokenizer.encode("Añ 12 ok\n").ids) == "Añ 12 ok\n"


@needs_torch
def test_an_interrupted_training_continues_to_the_same_losses(smoke: Any, tmp_path: Path) -> None:
    from tests.demo_model.training import Trainer

    tokenizer = Tokenizer.from_file(str(smoke.out / "tokenizer.json"))
    whole = Trainer(smoke.build, tokenizer, smoke.checkpoint).losses
    first = Trainer(smoke.build, tokenizer, tmp_path / "checkpoint.pt")
    first.train(until=5)
    second = Trainer(smoke.build, tokenizer, tmp_path / "checkpoint.pt")
    second.train(until=9)
    assert second.losses == pytest.approx(whole[:9], rel=1e-4)
    assert whole[-1] < whole[0]


@needs_torch
@needs_llama_cpp
def test_the_f16_file_chooses_the_tokens_that_the_hugging_face_weights_choose(smoke: Any) -> None:
    from tests.demo_model.agreement import agreement

    same, total = agreement(smoke.huggingface, smoke.gguf("F16"))
    assert total > 0
    assert same >= 0.99 * total
