"""A batch whose server, edge, Envoy and runner are killed in turn: each line is answered and billed once."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from click.testing import CliRunner
from openai import OpenAI, OpenAIError

from services.cli import main
from tests.support.service import Service

LINES = int(os.environ.get("BATCH_LINES", "2000"))
CHAT: Any = "/v1/chat/completions"
PARTS = ("server", "batch-runner", "edge", "envoy")


def request(number: int) -> str:
    body = {"model": "simulated", "messages": [{"role": "user", "content": f"Hello {number}!"}], "max_tokens": 20}
    return json.dumps({"custom_id": f"{number}", "method": "POST", "url": CHAT, "body": body})


def retrieved(client: OpenAI, batch_id: str) -> Any:
    """The batch, as soon as the service answers."""
    while True:
        with suppress(OpenAIError):
            return client.batches.retrieve(batch_id)
        time.sleep(0.1)


def results(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    return [] if file_id is None else [json.loads(each) for each in client.files.content(file_id).text.splitlines()]


def test_a_batch_goes_on_by_itself_whatever_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "accounts.db"
    created = CliRunner().invoke(main, ["keys", "create", "ana"], env={"CHASQUI_ACCOUNTS": str(place)})
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": 200, "model_name": "simulated", "parallel": 8}
    with Service(**settings, accounts=place, batch_parallel=32) as service:
        client = OpenAI(base_url=f"{service.url}/v1", api_key=created.stdout.strip(), max_retries=20)
        content = "\n".join(request(number) for number in range(LINES)).encode()
        file = client.files.create(file=("requests.jsonl", content), purpose="batch")
        batch: Any = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        for turn, part in enumerate(PARTS, 1):
            while retrieved(client, batch.id).request_counts.completed < LINES * turn // (len(PARTS) + 1):
                time.sleep(0.1)
            with suppress(psutil.NoSuchProcess):
                service.parts()[part].kill()
        while (batch := retrieved(client, batch.id)).status not in {"completed", "failed", "expired", "cancelled"}:
            time.sleep(0.1)
        answers, errors = results(client, batch.output_file_id), results(client, batch.error_file_id)
    assert (batch.status, errors) == ("completed", [])
    assert sorted(int(each["custom_id"]) for each in answers) == list(range(LINES))
    used = {each["response"]["body"]["id"]: each["response"]["body"]["usage"]["total_tokens"] for each in answers}
    with sqlite3.connect(place) as database:
        rows = database.execute("SELECT call_id, prompt_tokens + completion_tokens FROM calls").fetchall()
    billed = dict(rows)
    assert len(billed) == len(rows)
    assert set(billed) <= set(used)
    missing = set(used) - set(billed)
    assert (len(missing), sum(billed.values())) == (0, sum(used.values())), f"{len(missing)} lines have no row"
