"""schemathesis: requests that it generates from `/openapi.json`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.clients import CLIENTS
from tests.support.service import Service

# Everything that is no error of ours: 503 and 504 are answers too, and the document lists them.
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"


def test_no_generated_request_makes_the_service_fail(simulated: Service, tmp_path: Path) -> None:
    command = ["run", simulated.url + "/openapi.json", "--url", simulated.url]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "1", "--no-color"]
    command += ["--checks", CHECKS, "--suppress-health-check", "all", "--report", "ndjson"]
    command += ["--report-ndjson-path", str(tmp_path / "events.ndjson")]
    CLIENTS["schemathesis"].command("schemathesis", *command, cwd=tmp_path)
    statuses = set(_statuses((tmp_path / "events.ndjson").read_text()))
    assert 200 in statuses
    assert {status for status in statuses if status >= 500} <= {503, 504}


def _statuses(events: str) -> list[int]:
    """Every `status_code` in the report."""
    found: list[int] = []

    def look(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("status_code"), int):
                found.append(value["status_code"])
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    for line in events.splitlines():
        look(json.loads(line))
    return found
