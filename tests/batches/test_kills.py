"""A batch whose server, edge, Envoy and runner are killed in turn: each line is answered and billed once."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from openai import OpenAI, OpenAIError

from services.cli import main
from tests.support.service import Service

LINES = int(os.environ.get("BATCH_LINES", "5000"))
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
PARTS = ("server", "batch-runner", "edge", "envoy")


@dataclass(frozen=True)
class Case:
    """A batch of so many lines, each of which makes so many calls."""

    lines: int
    settings: dict[str, Any]
    prompts: int = 0  # of a text completion; a chat without any

    @property
    def endpoint(self) -> Any:
        return "/v1/completions" if self.prompts else "/v1/chat/completions"

    def line(self, number: int) -> str:
        given: dict[str, Any] = {"messages": [{"role": "user", "content": f"Hello {number}!"}]}
        if self.prompts:
            given = {"prompt": [f"Hello {number} {prompt}!" for prompt in range(self.prompts)]}
        body = {"model": MODEL, "max_tokens": 20, **given}
        return json.dumps({"custom_id": f"{number}", "method": "POST", "url": self.endpoint, "body": body})


SIMULATED = {"engine": "simulated", "simulated_rate": 400, "parallel": 16}
CASES = {
    "simulated": Case(LINES, SIMULATED),
    "several prompts": Case(LINES // 10, SIMULATED, prompts=3),
    "llama-cpp": Case(LINES // 25, {"engine": "llama-cpp", "parallel": 4}),
}


def retrieved(client: OpenAI, batch_id: str) -> Any:
    """The batch, as soon as the service answers."""
    while True:
        with suppress(OpenAIError):
            return client.batches.retrieve(batch_id)
        time.sleep(0.1)


def results(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    return [] if file_id is None else [json.loads(each) for each in client.files.content(file_id).text.splitlines()]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_batch_goes_on_by_itself_whatever_is_killed(tmp_path: Path, case: Case) -> None:
    place = tmp_path / "accounts.db"
    created = CliRunner().invoke(main, ["keys", "create", "ana"], env={"CHASQUI_ACCOUNTS": str(place)})
    with (
        Service(**case.settings, accounts=place, batch_parallel=32) as service,
        OpenAI(base_url=f"{service.url}/v1", api_key=created.stdout.strip(), max_retries=20) as client,
    ):
        content = "\n".join(case.line(number) for number in range(case.lines)).encode()
        file = client.files.create(file=("requests.jsonl", content), purpose="batch")
        batch: Any = client.batches.create(input_file_id=file.id, endpoint=case.endpoint, completion_window="24h")
        for turn, part in enumerate(PARTS, 1):
            while retrieved(client, batch.id).request_counts.completed < case.lines * turn // (len(PARTS) + 1):
                time.sleep(0.1)
            with suppress(psutil.NoSuchProcess):
                service.parts()[part].kill()
        while (batch := retrieved(client, batch.id)).status not in {"completed", "failed", "expired", "cancelled"}:
            time.sleep(0.1)
        answers, errors = results(client, batch.output_file_id), results(client, batch.error_file_id)
    assert (batch.status, errors) == ("completed", [])
    assert sorted(int(each["custom_id"]) for each in answers) == list(range(case.lines))
    used = {each["response"]["body"]["id"]: each["response"]["body"]["usage"]["total_tokens"] for each in answers}
    with closing(sqlite3.connect(place)) as database:
        rows = database.execute("SELECT call_id, prompt_tokens + completion_tokens FROM calls").fetchall()
    billed = dict(rows)
    assert len(billed) == len(rows) == case.lines * max(1, case.prompts)
    assert set(billed) >= set(used)
    assert sum(billed.values()) == sum(used.values())
