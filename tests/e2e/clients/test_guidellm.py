"""guidellm: a short load of synthetic prompts."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS
from tests.support.service import Service

REQUESTS = 20


def test_guidellm_completes_every_request(simulated: Service, tokenizer: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    CLIENTS["guidellm"].command(
        *("guidellm", "run", "--disable-console-interactive"),
        *("--backend", f"kind=openai_http,target={simulated.url},model={REFERENCE_MODEL}"),
        *("--profile", "kind=concurrent,streams=4", "--constraint", f"kind=max_requests,count={REQUESTS}"),
        *("--tokenizer", f"kind=hf_auto,model={tokenizer}"),
        *("--data", "kind=synthetic_text,prompt_tokens=50,output_tokens=20"),
        *("--output", f"kind=json,path={report}"),
        cwd=tmp_path,
    )
    totals = json.loads(report.read_text())["benchmarks"][0]["metrics"]["request_totals"]
    assert totals == {"successful": REQUESTS, "errored": 0, "incomplete": 0, "total": REQUESTS}
