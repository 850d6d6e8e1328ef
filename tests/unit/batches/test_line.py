"""What is checked of the lines of an input file, and what becomes of errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.batches.line import READERS, asked_of, call_id, refused
from services.batches import input_file
from services.batches.input_file import ENDPOINTS, WrongLineError, read_lines
from services.batches.record import Line
from services.errors import InvalidValue, Unavailable, UnsupportedParameter

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def line(**fields: Any) -> bytes:
    return json.dumps({"custom_id": "a", "method": "POST", "url": CHAT, "body": BODY} | fields).encode() + b"\n"


def errors(*lines: bytes) -> list[tuple[str, int | None, str | None]]:
    found = [each.error for each in read_lines("batch_1", lines, CHAT) if isinstance(each, WrongLineError)]
    return [(error.code, error.line, error.param) for error in found]


@pytest.mark.parametrize(
    ("wrong", "code", "param"),
    [
        (b"{\n", "invalid_json_line", None),
        (b'{"custom_id": "\xff"}\n', "invalid_json_line", None),
        (b"[1]\n", "invalid_json_line", None),
        (line(custom_id=5), "invalid_json_line", None),
        (line(custom_id="x" * 513), "invalid_custom_id", "custom_id"),
        (line(method="GET"), "invalid_method", "method"),
        (line(url="/v1/completions"), "invalid_url", "url"),
        (line(body=[]), "invalid_body", "body"),
        (line(body=None), "invalid_body", "body"),
    ],
)
def test_a_wrong_line_is_named_by_its_number_and_what_is_wrong(wrong: bytes, code: str, param: str | None) -> None:
    assert errors(line(), b"\n", wrong) == [(code, 3, param)]


def test_lines_for_every_endpoint_of_a_batch_can_be_read() -> None:
    assert tuple(READERS) == ENDPOINTS


def test_more_lines_than_a_batch_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_file, "MOST_LINES", 2)
    assert errors(*(line(custom_id=f"{n}") for n in range(3))) == [("too_many_lines", None, None)]


def test_a_line_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_file, "MOST_LINE_BYTES", 10)
    assert errors(line()) == [("line_too_large", 1, None)]


def test_the_id_of_a_call_follows_from_batch_line_and_number() -> None:
    one = Line("batch_1", 1, "a", 0, 9)
    assert len({call_id(one, 0), call_id(one, 1), call_id(Line("batch_1", 2, "a", 0, 9), 0)}) == 3
    assert call_id(one, 0) == call_id(Line("batch_1", 1, "b", 5, 5, attempts=3), 0)


def test_a_line_that_asks_for_a_stream_or_has_a_wrong_field_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedParameter, match="stream"):
        asked_of(line(body=BODY | {"stream": True}), CHAT)
    with pytest.raises(InvalidValue, match="messages"):
        asked_of(line(body={"model": "m"}), CHAT)


def test_the_line_of_the_error_file_has_the_status_and_the_error_of_the_call() -> None:
    error = Unavailable("Later.", reason="OVERLOADED", retry_after=1.0)
    result = json.loads(refused(Line("batch_1", 7, "a", 0, 9), error))
    assert (result["custom_id"], result["error"]) == ("a", None)
    assert (result["response"]["status_code"], result["response"]["request_id"]) == (503, "batch_1-7")
    assert result["response"]["body"]["error"]["code"] == "overloaded"
