"""Log lines for machines and for people, and what identifies a call in them."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from services.settings import Settings
from services.telemetry.call import request_id_from
from services.telemetry.logs import JsonFormatter, TextFormatter, configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

NOISY = ("grpc", "httpx", "huggingface_hub", "opentelemetry", "hpack")


class Terminal(io.StringIO):
    """A stream that a person reads."""

    def isatty(self) -> bool:
        """It is."""
        return True


@pytest.fixture
def _restored_logging() -> Iterator[None]:
    """Logging is the process's own; what a test configures is undone."""
    loggers = [logging.getLogger(), *map(logging.getLogger, NOISY)]
    levels = [logger.level for logger in loggers]
    handlers = loggers[0].handlers[:]
    yield
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def _record(message: str, *values: object, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    record = logging.LogRecord("services.chat.answer.call", level, __file__, 1, message, values, None)
    record.created = 1_700_000_000.25
    record.__dict__.update(extra)
    return record


def _failed() -> logging.LogRecord:
    """A record of an exception that was caught."""
    record = _record("a handler failed", level=logging.ERROR)
    try:
        raise RuntimeError("out of llamas")
    except RuntimeError:
        record.exc_info = sys.exc_info()
    return record


def _write_with(settings: Settings, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(settings, "server")
    logging.getLogger("services.test").info("hello", extra={"fields": {"number": 7}})
    return stream.getvalue()


def test_a_json_line_says_when_how_bad_who_where_and_what() -> None:
    line = json.loads(JsonFormatter("edge").format(_record("%d calls", 3, level=logging.WARNING)))
    assert line == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "warning",
        "part": "edge",
        "logger": "services.chat.answer.call",
        "message": "3 calls",
    }


def test_fields_become_members_of_the_json_object() -> None:
    fields = {"request_id": "r-1", "tokens": 0, "error": None, "reasons": ["stop"]}
    line = json.loads(JsonFormatter("server").format(_record("settled", fields=fields)))
    assert fields.items() <= line.items()


def test_a_json_line_is_one_line_whatever_it_says() -> None:
    line = JsonFormatter("server").format(_record("a\nb\r\nc\u2028 🦙", fields={"x": "y\nz"}))
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["message"] == "a\nb\r\nc\u2028 🦙"


def test_a_field_that_json_does_not_know_is_spelled_out() -> None:
    line = json.loads(JsonFormatter("server").format(_record("x", fields={"kind": ValueError("odd")})))
    assert line["kind"] == "odd"


def test_an_exception_is_part_of_its_json_line() -> None:
    line = json.loads(JsonFormatter("server").format(_failed()))
    assert line["exception"].startswith("Traceback")
    assert "RuntimeError: out of llamas" in line["exception"]


def test_a_text_line_says_who_how_bad_and_what() -> None:
    line = TextFormatter("edge").format(_record("%d calls", 3, level=logging.WARNING))
    assert line.split()[1:] == ["edge", "WARNING", "3", "calls"]


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"a": 1, "b": "x"}, " a=1 b=x"),
        ({"a": None, "b": "", "c": []}, ""),
        ({"a": 0, "b": False, "c": 0.0}, " a=0 b=False c=0.0"),
    ],
)
def test_text_shows_the_fields_that_have_a_value(fields: dict[str, object], shown: str) -> None:
    line = TextFormatter("edge").format(_record("done", fields=fields))
    assert line.endswith(f"done{shown}")


def test_an_exception_follows_its_text_line() -> None:
    lines = TextFormatter("server").format(_failed()).splitlines()
    assert lines[0].endswith("a handler failed")
    assert lines[-1] == "RuntimeError: out of llamas"


@pytest.mark.usefixtures("_restored_logging")
@pytest.mark.parametrize(
    ("form", "stream", "is_json"),
    [
        ("auto", io.StringIO, True),
        ("auto", Terminal, False),
        ("text", io.StringIO, False),
        ("json", Terminal, True),
    ],
)
def test_lines_are_json_unless_a_person_reads_them_or_the_setting_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, form: str, stream: type[io.StringIO], is_json: bool
) -> None:
    written = _write_with(Settings(log_format=form), monkeypatch, stream())
    assert written.endswith("\n")
    assert written.startswith("{") == is_json
    assert ('"number":7' if is_json else "number=7") in written


@pytest.mark.usefixtures("_restored_logging")
@pytest.mark.parametrize(("level", "is_written"), [("debug", True), ("info", True), ("warning", False)])
def test_what_is_less_severe_than_the_setting_is_not_written(
    monkeypatch: pytest.MonkeyPatch, level: str, is_written: bool
) -> None:
    assert bool(_write_with(Settings(log_level=level), monkeypatch, io.StringIO())) == is_written


@pytest.mark.usefixtures("_restored_logging")
def test_a_line_is_written_once_however_often_logging_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    assert _write_with(Settings(), monkeypatch, stream).count("hello") == 1
    assert _write_with(Settings(), monkeypatch, stream).count("hello") == 2


@pytest.mark.usefixtures("_restored_logging")
@pytest.mark.parametrize(("level", "least"), [("debug", logging.WARNING), ("error", logging.ERROR)])
def test_libraries_speak_up_only_from_warnings_on(monkeypatch: pytest.MonkeyPatch, level: str, least: int) -> None:
    _write_with(Settings(log_level=level), monkeypatch, io.StringIO())
    assert {logging.getLogger(name).getEffectiveLevel() for name in NOISY} == {least}


@pytest.mark.parametrize("given", ["a", "A-b_c.d:9", "x" * 128, "550e8400-e29b-41d4-a716-446655440000"])
def test_a_safe_request_id_is_kept(given: str) -> None:
    assert request_id_from(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a\nb", "a\n", "é", "a/b", '"', "\u0663"])
def test_any_other_request_id_is_replaced_by_a_new_one(given: str | None) -> None:
    first, second = request_id_from(given), request_id_from(given)
    assert given not in (first, second)
    assert first != second
    assert request_id_from(first) == first
