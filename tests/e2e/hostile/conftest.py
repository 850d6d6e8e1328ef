"""The service under attack: it must survive every test, and log nothing of what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.support.replicas import Replicas
from tests.support.siege import CONTEXT, Siege

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SETTINGS: Mapping[str, Any] = {
    "simulated_rate": 0,
    "parallel": 16,
    "model_name": "simulated",
    "context_length": CONTEXT,
}
# An attack with time is the same attack with little of it.
SHORT_HEADERS = {"request_headers_timeout: 15s": "request_headers_timeout: 0.5s"}
SHORT_BODIES = {"request_timeout: 120s": "request_timeout: 1s"}


@pytest.fixture(scope="package")
def replicas() -> Iterator[Replicas]:
    with Replicas(1, envoy_changes=SHORT_HEADERS, **SETTINGS) as replicas:
        yield replicas


@pytest.fixture(scope="package")
def siege(replicas: Replicas) -> Siege:
    return Siege(replicas)


@pytest.fixture(autouse=True)
def survived(siege: Siege) -> Iterator[None]:
    yield
    siege.check()


@pytest.fixture
def channel(replicas: Replicas) -> Iterator[grpc.Channel]:
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(replicas.target, options) as channel:
        yield channel
