"""What the JSON of a body holds is counted before it is decoded, and what stands in its texts is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.api.json_size import MAX_JSON_STRUCTURE, MAX_JSON_VALUES, check_json_size
from edge.endpoints.tokens import _to_detokenize
from edge.openai.asked import asked_chat, asked_completion
from services.errors import InvalidValue

# More than are let through without a closer look.
MANY = MAX_JSON_VALUES + 1
ITEMS = {"numbers": "1", "texts": '""', "arrays": "[]", "objects": "{}"}
FIELDS = ["messages", "tools", "stop", "logit_bias", "metadata", "response_format", "unknown", "temperature"]


def listed(item: str, count: int) -> str:
    return f"[{','.join([item] * count)}]"


def members(count: int) -> str:
    return "{" + ",".join(f'"{number}":1' for number in range(count)) + "}"


@pytest.mark.parametrize("value", [*(listed(item, MANY + 1) for item in ITEMS.values()), members(MAX_JSON_STRUCTURE)])
@pytest.mark.parametrize("field", FIELDS)
def test_a_body_with_too_many_values_in_any_field_is_refused_undecoded(field: str, value: str) -> None:
    body = f'{{"model": "m", "{field}": {value}'  # not even JSON
    with pytest.raises(InvalidValue, match="has too many values"):
        asked_chat(body.encode())


def test_so_many_token_ids_are_decoded_and_no_more() -> None:
    ids = listed("1", MAX_JSON_VALUES)
    assert len(asked_completion(f'{{"model":"m","prompt":{ids}}}'.encode()).requests[0].prompt.tokens.ids) == 524_288
    for body in (f'{{"model":"m","n":1,"prompt":{ids}}}', f'{{"model":"m","n":1,"tokens":{ids}}}'):
        with pytest.raises(InvalidValue, match="has too many values"):
            (asked_completion if "prompt" in body else _to_detokenize)(body.encode())


@pytest.mark.parametrize("text", ["a,b:[c{d", '\\"', "\\", '"', "\\\\\\", '\\",:[{'])
def test_what_stands_in_a_text_is_not_counted(text: str) -> None:
    content = text * (MANY // len(text) * 2)
    data = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()
    (request,) = asked_chat(data).requests
    assert request.messages[0].content[0].text == content


TEXTS = st.text(st.sampled_from('\\",:[{x'), max_size=8)


@given(st.lists(TEXTS, max_size=20), st.integers(1, 7))
def test_texts_are_left_out_wherever_they_are_cut(texts: list[str], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.api.json_size._SLICE", size)
        patch.setattr("edge.api.json_size.MAX_JSON_STRUCTURE", len(texts))
        data = json.dumps([{text: 1} for text in texts]).encode()
        with pytest.raises(InvalidValue):  # one array and so many objects
            check_json_size(data)
        patch.setattr("edge.api.json_size.MAX_JSON_STRUCTURE", len(texts) + 1)
        check_json_size(data)
