"""Services that the end-to-end tests share, until the last of them: starting one takes longer than most tests."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from openai import OpenAI

from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

# Whoever starts the tests may ignore it, as nohup does, and the services that they start would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

REFERENCE_MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"


@pytest.fixture(scope="package")
def simulated() -> Iterator[Service]:
    with Service(engine="simulated", simulated_rate=0, parallel=64, model_name="simulated") as service:
        yield service


@pytest.fixture(scope="package")
def llama_cpp() -> Iterator[Service]:
    with Service(engine="llama-cpp", parallel=8, context_length=1024, threads=1) as service:
        yield service


@pytest.fixture(params=["simulated", "llama_cpp"])
def service(request: pytest.FixtureRequest) -> Service:
    running: Service = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def client(service: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=service.url + "/v1", api_key="unused", max_retries=0) as client:
        yield client
