"""aiperf: a short load of synthetic prompts."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS
from tests.support.service import Service

REQUESTS = 20


def test_aiperf_completes_every_request(simulated: Service, tokenizer: Path, tmp_path: Path) -> None:
    CLIENTS["aiperf"].command(
        *("aiperf", "profile", "--model", REFERENCE_MODEL, "--url", simulated.url, "--endpoint-type", "chat"),
        *("--streaming", "--tokenizer", str(tokenizer), "--request-count", str(REQUESTS), "--concurrency", "4"),
        *("--isl", "50", "--osl", "20", "--extra-inputs", "ignore_eos:true"),
        *("--use-server-token-count", "--per-chunk-usage"),
        *("--ui-type", "none", "--output-artifact-dir", str(tmp_path)),
        cwd=tmp_path,
        HF_HUB_OFFLINE="",  # it would not look into a directory
    )
    seen = json.loads((tmp_path / "profile_export_aiperf.json").read_text())
    assert seen["request_count"]["avg"] == REQUESTS
    assert seen.get("error_request_count", {"avg": 0})["avg"] == 0
    assert seen["output_sequence_length"]["avg"] == 20
