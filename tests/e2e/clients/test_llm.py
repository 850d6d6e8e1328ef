"""The `llm` command."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS
from tests.support.service import Service


def test_the_llm_command_prints_an_answer_streamed_and_whole(simulated: Service, tmp_path: Path) -> None:
    model = {"model_id": "chasqui", "model_name": REFERENCE_MODEL, "api_base": simulated.url + "/v1"}
    # JSON is YAML.
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]))
    asked = ("prompt", "Hello!", "--model", "chasqui", "--no-log", "--option", "max_tokens", "10")
    printed = [
        CLIENTS["llm"].command("llm", *asked, *switches, LLM_USER_PATH=str(tmp_path)).strip()
        for switches in ((), ("--no-stream",))
    ]
    assert printed[0]
    assert printed[0] == printed[1]


def test_its_schemas_are_enforced(llama_cpp: Service, tmp_path: Path) -> None:
    model = {
        "model_id": "chasqui",
        "model_name": REFERENCE_MODEL,
        "api_base": llama_cpp.url + "/v1",
        "supports_schema": True,
    }
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]))
    asked = ("prompt", "Ann is 30.", "--model", "chasqui", "--no-log", "--schema", "name, age int", "--no-stream")
    printed = CLIENTS["llm"].command("llm", *asked, "--option", "max_tokens", "200", LLM_USER_PATH=str(tmp_path))
    answer = json.loads(printed)
    assert set(answer) == {"name", "age"}
    assert isinstance(answer["age"], int)
