"""The ids of a new call."""

from __future__ import annotations

import re

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from chasqui.v1 import chat_pb2, chat_service_pb2
from services.chat.accounting.call_facts import ids_of
from services.telemetry.call import CallContext

CONTEXT = CallContext("request-1", "0" * 32, INVALID_SPAN_CONTEXT)


@pytest.mark.parametrize(
    ("request_", "form"),
    [
        (chat_service_pb2.ChatRequest(), r"chatcmpl-[0-9a-f]{32}"),
        (chat_service_pb2.ChatRequest(prompt=chat_pb2.Prompt(text="Once")), r"cmpl-[0-9a-f]{32}"),
    ],
    ids=["chat", "text completion"],
)
def test_two_calls_have_different_ids_of_openais_form(request_: chat_service_pb2.ChatRequest, form: str) -> None:
    first, second = ids_of(request_, CONTEXT), ids_of(request_, CONTEXT)
    assert first.chat_id != second.chat_id
    assert re.fullmatch(form, first.chat_id)
    assert (first.request_id, first.trace_id) == ("request-1", "0" * 32)


def test_the_id_of_a_later_call_is_behind_that_of_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for milliseconds in (1_900_000_000_000, 1_900_000_000_001, 1_900_000_004_096):
        monkeypatch.setattr("time.time_ns", lambda: milliseconds * 10**6)  # noqa: B023 - called at once
        made.append(ids_of(chat_service_pb2.ChatRequest(), CONTEXT).chat_id)
    assert made == sorted(made)
