"""Every row of the table of request fields: what is honoured, accepted or refused, with every neutral value."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from edge.anthropic.request_schema import MessagesCountRequest, MessagesRequest
from edge.api.decode import decode_body
from edge.api.fields import Known, Treatment
from edge.openai.asked import asked_chat, asked_completion
from edge.openai.request_schema import ChatCompletionRequest, CompletionRequest
from edge.responses.request_schema import ResponsesRequest
from services.errors import UnsupportedParameter
from tests.support.readme import FIELDS

BODIES: dict[type[msgspec.Struct], dict[str, Any]] = {
    ChatCompletionRequest: {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    CompletionRequest: {"model": "m", "prompt": "Hi"},
    ResponsesRequest: {"model": "m", "input": "Hi"},
    MessagesRequest: {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    MessagesCountRequest: {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
}
ASKED = {ChatCompletionRequest: asked_chat, CompletionRequest: asked_completion}
ROWS = [(kind, name, known) for kind in BODIES for name, known in FIELDS[kind].items()]
# What other programs send that has no effect here, with the reports and manuals that it comes from.
NEUTRAL = [
    ("stop", ""),
    ("stop", [""]),
    ("stop", []),
    ("functions", []),
    ("function_call", "none"),
    ("reasoning_effort", "none"),
    ("verbosity", "medium"),
    ("seed", -1),
    ("seed", -1.0),
    ("tools", []),
    ("store", False),
    ("service_tier", "auto"),
    ("response_format", {"type": "text"}),
    ("n", 1),
    ("top_k", -1),
    ("length_penalty", 1.0),
    ("use_beam_search", False),
    ("skip_special_tokens", True),
    ("mirostat", 0),
    ("typical_p", 1),
    ("guided_regex", ""),
    ("guided_json", None),
    ("bad_words", []),
    ("chat_template_kwargs", {}),
    ("chat_template_kwargs", {"enable_thinking": False}),
    ("best_of", 1.0),
]
# Each of these would change the response, and is not implemented.
REFUSED = [
    ("structural_tag", "{}"),
    ("use_beam_search", True),
    ("use_beam_search", 1),
    ("length_penalty", 0.5),
    ("skip_special_tokens", False),
    ("allowed_token_ids", [1]),
    ("bad_words", ["no"]),
    ("n_predict", 16),
    ("repeat_penalty", 1.1),
    ("mirostat", 2),
    ("dry_multiplier", 0.8),
    ("lora_path", "a"),
    ("no_repeat_ngram_size", 3),
    ("chat_template", "{{ messages }}"),
    ("chat_template_kwargs", {"tools_in_user_message": False}),
    ("documents", [{"text": "a"}]),
    ("logits_processors", ["a"]),
    ("best_of", 2),
    ("best_of", True),
]


def encoded(kind: type[msgspec.Struct], **fields: Any) -> bytes:
    return json.dumps(BODIES[kind] | fields).encode()


def decoded(kind: type[msgspec.Struct], **fields: Any) -> Any:
    return decode_body(kind, encoded(kind, **fields), FIELDS)


def ids(rows: list[tuple[type[msgspec.Struct], str, Known]]) -> list[str]:
    return [f"{kind.__name__}-{name}" for kind, name, _ in rows]


@pytest.mark.parametrize("kind", FIELDS, ids=[kind.__name__ for kind in FIELDS])
def test_the_table_has_every_field_of_a_struct_and_honours_no_other(kind: type[msgspec.Struct]) -> None:
    documented = {name for name, known in FIELDS[kind].items() if known.treatment is Treatment.HONOURED}
    if documented:  # the parts of a message are explained with the message
        assert documented == set(kind.__struct_fields__)


@pytest.mark.parametrize(("kind", "name", "known"), ROWS, ids=ids(ROWS))
def test_null_and_every_neutral_value_mean_the_same_as_an_absent_field(
    kind: type[msgspec.Struct], name: str, known: Known
) -> None:
    if name in BODIES[kind]:
        return
    absent = decoded(kind)
    for value in (None, *known.neutral):
        assert decoded(kind, **{name: value}) == absent, value


UNSUPPORTED = [row for row in ROWS if row[2].treatment is Treatment.REFUSED]


@pytest.mark.parametrize(("kind", "name", "known"), UNSUPPORTED, ids=ids(UNSUPPORTED))
def test_any_other_value_of_an_unsupported_field_is_refused_by_name(
    kind: type[msgspec.Struct], name: str, known: Known
) -> None:
    for value in ("something", 7, [1], {"a": "b"}, {"a": list(range(200))}):
        with pytest.raises(UnsupportedParameter) as caught:
            decoded(kind, **{name: value})
        assert caught.value.param == name
        assert caught.value.message.startswith(f"{name} is not supported.")
        assert caught.value.message.endswith(known.hint)


ACCEPTED = [row for row in ROWS if row[2].treatment in (Treatment.WITHOUT_EFFECT, Treatment.REPORTED)]


@pytest.mark.parametrize(("kind", "name", "known"), ACCEPTED, ids=ids(ACCEPTED))
def test_a_field_without_effect_is_accepted_and_named_if_its_loss_matters(
    kind: type[msgspec.Struct], name: str, known: Known
) -> None:
    request = decoded(kind, **{name: "high"})
    assert request.body == decoded(kind).body
    assert request.ignored == ((name,) if known.treatment is Treatment.REPORTED else ())


@pytest.mark.parametrize("kind", ASKED, ids=[kind.__name__ for kind in ASKED])
@pytest.mark.parametrize(("name", "value"), NEUTRAL)
def test_a_value_that_changes_nothing_is_neutral(kind: type[msgspec.Struct], name: str, value: Any) -> None:
    asked, plain = ASKED[kind](encoded(kind, **{name: value})), ASKED[kind](encoded(kind))
    for request in asked.requests:
        if name in ("n", "top_k"):  # they are forwarded, and neutral in the server
            request.ClearField("n")
            request.sampling.ClearField("top_k")
    for request in plain.requests:
        request.sampling.SetInParent()
    assert list(asked.requests) == list(plain.requests)


@pytest.mark.parametrize("kind", ASKED, ids=[kind.__name__ for kind in ASKED])
@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_field_of_another_server_whose_loss_would_change_the_answer_is_refused_by_name(
    kind: type[msgspec.Struct], name: str, value: Any
) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        ASKED[kind](encoded(kind, **{name: value}))
    assert caught.value.param == name


INTEGERS = ["top_k", "seed", "max_tokens", "min_tokens", "n"]


@pytest.mark.parametrize("kind", ASKED, ids=[kind.__name__ for kind in ASKED])
@pytest.mark.parametrize("name", INTEGERS)
def test_an_integer_may_be_written_with_a_fraction_of_zero_or_an_exponent(
    kind: type[msgspec.Struct], name: str
) -> None:
    plain = decoded(kind, **{name: 2})
    assert decoded(kind, **{name: 2.0}) == plain
    assert decode_body(kind, encoded(kind, **{name: 2}).replace(b": 2}", b": 0.2e1}"), FIELDS) == plain
    assert type(getattr(decoded(kind, **{name: 2.0}).body, name)) is int


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("value", [1_000_001, 2**31 - 1, 2**31, 2**63, 1e30])
def test_more_tokens_than_any_context_holds_is_no_limit(name: str, value: float) -> None:
    (request,) = asked_chat(encoded(ChatCompletionRequest, **{name: value})).requests
    assert request.max_tokens == 1_000_000


def test_a_negative_seed_is_a_seed_of_its_own() -> None:
    seeds = [-(2**63), -2, 0, 5]
    used = [asked_chat(encoded(ChatCompletionRequest, seed=seed)).requests[0].sampling.seed for seed in seeds]
    assert used == [0, 2**63 - 2, 0, 5]


def test_a_byte_order_mark_is_skipped() -> None:
    data = encoded(ChatCompletionRequest)
    marked = decode_body(ChatCompletionRequest, b"\xef\xbb\xbf" + data, FIELDS)
    assert marked == decode_body(ChatCompletionRequest, data, FIELDS)
