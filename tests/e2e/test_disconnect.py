"""A caller that goes away frees the engine: socket closed, streamed or not, running or still waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import open_call, open_stream, post
from tests.support.ports import free_row
from tests.support.replicas import wait_until
from tests.support.service import Service

CHAT = "/v1/chat/completions"
ENDLESS = {
    "model": REFERENCE_MODEL,
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 3900,
    "ignore_eos": True,
}
SHORT = {**ENDLESS, "max_tokens": 2}
SETTINGS = [
    {"engine": "simulated", "simulated_rate": 20, "parallel": 1, "context_length": 4096},
    {"engine": "llama-cpp", "parallel": 1, "context_length": 4096, "threads": 1},
]


@pytest.fixture(params=SETTINGS, ids=["simulated", "llama-cpp"], scope="module")
def one_slot(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service that can run one call at a time."""
    with Service(**request.param, metrics_address=f"127.0.0.1:{free_row(4)}") as service:
        yield service


def test_closing_the_socket_of_a_stream_frees_the_only_slot(one_slot: Service) -> None:
    connection = open_stream(one_slot.url + CHAT, {**ENDLESS, "stream": True}, {"x-request-id": "streamed"})
    connection.close()
    assert post(one_slot.url + CHAT, SHORT).json()["usage"]["completion_tokens"] == 2
    record = one_slot.usage_record("streamed")
    assert record["outcome"] == "cancelled"
    assert 0 < record["completion_tokens"] < 3900
    assert record["estimated_cost"] > 0


def test_closing_the_socket_of_an_unstreamed_call_frees_the_slot_too(one_slot: Service) -> None:
    with open_call(one_slot.url + CHAT, ENDLESS, {"x-request-id": "gone"}) as running:
        wait_until(lambda: one_slot.calls() == (1, 0))
        with open_call(one_slot.url + CHAT, ENDLESS, {"x-request-id": "queued"}):
            wait_until(lambda: one_slot.calls() == (1, 1))
        wait_until(lambda: one_slot.calls() == (1, 0))
        running.close()
    assert post(one_slot.url + CHAT, SHORT).json()["usage"]["completion_tokens"] == 2
    for name in ("gone", "queued"):
        assert one_slot.usage_record(name)["outcome"] == "cancelled"
