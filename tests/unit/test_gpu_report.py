"""The report of `make gpu-report`: what it claims, what it does with a failure, and target it runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from services.engine.tensorrt_llm import driver
from tests.gpu.checks import CHECKS
from tests.gpu.claims import CLAIMS, ENGINE
from tests.gpu.report import Result, Target, lines_of, markdown_of, run_checks, run_suite, smoke_result, target_of
from tests.unit.test_docker import ROOT

if TYPE_CHECKING:
    from pathlib import Path

STEPS = {"smoke test", "names and defaults", "contract suite", "throughput", "shutdown"}
DOUBLE = Target("double", "model", "auto", 4096)


def plain(text: str) -> str:
    """A text with its lines joined."""
    return " ".join(text.split())


def test_every_claim_stands_in_the_readme_that_it_names() -> None:
    texts = {source: plain((ROOT / source).read_text()) for source in {claim.source for claim in CLAIMS}}
    assert [claim.text for claim in CLAIMS if claim.text not in texts[claim.source]] == []


def test_every_matter_that_the_engine_works_around_is_a_claim() -> None:
    rows = (ROOT / ENGINE).read_text().partition("## What of release 1.2.1")[2].splitlines()
    matters = [row.split(" | ")[0].removeprefix("| ") for row in rows if row.startswith("| ")][2:]
    assert len(matters) > 30
    claimed = [claim.text for claim in CLAIMS if claim.source == ENGINE]
    assert [matter for matter in matters if not any(matter.startswith(text) for text in claimed)] == []


def test_every_claim_has_a_check_that_exists_or_a_reason() -> None:
    known = {*CHECKS, *STEPS}
    assert [claim.text for claim in CLAIMS if bool(claim.check) == bool(claim.reason)] == []
    assert [claim.check for claim in CLAIMS if claim.check and claim.check not in known] == []


@pytest.mark.parametrize("sampler", ["auto", "torch"])
async def test_on_the_double_every_check_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sampler: str) -> None:
    results = await run_checks(target_of(tmp_path, monkeypatch), sampler)
    assert [result for result in results if result.result == "fails"] == []
    assert {result.name for result in results} == {"shutdown", *(n for n, (one, _) in CHECKS.items() if one == sampler)}


async def test_what_is_broken_fails_with_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(driver, "_seed", lambda *_: 0)
    results = {result.name: result for result in await run_checks(target_of(tmp_path, monkeypatch), "auto")}
    assert results["unseeded_generations_differ"] == Result(
        "unseeded_generations_differ", "fails", "AssertionError: choices or generations without a seed are the same"
    )
    lines = {line["claim"]: line for line in lines_of(DOUBLE, results.values())}
    assert lines["an unset seed is seed 0 for each request"]["result"] == "fails"
    assert "without a seed are the same" in lines["an unset seed is seed 0 for each request"]["detail"]


async def test_an_engine_that_does_not_start_fails_all_of_its_checks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = target_of(tmp_path, monkeypatch)
    from tensorrt_llm import LLM

    LLM.release.load_error = RuntimeError("libnvinfer.so.10: cannot open")
    results = await run_checks(target, "torch")
    assert {result.result for result in results} == {"fails"}
    assert "libnvinfer.so.10" in results[0].detail


def test_every_line_says_that_it_is_of_the_double() -> None:
    lines = lines_of(DOUBLE, [Result("shutdown", "holds"), Result("throughput", "fails", "a | b\nc")])
    assert {line["on"] for line in lines} == {"double"}
    rows = [row for row in markdown_of(DOUBLE, lines).splitlines() if row.startswith("| ")][2:]
    assert len(rows) == len(lines)
    assert all(row.startswith("| double | ") for row in rows)
    assert "a \\| b c" in rows[-1]
    assert Counter(line["result"] for line in lines)["fails"] == 2  # the step, and the claim that it settles
    json.dumps(lines)


def test_a_suite_that_fails_reports_the_end_of_its_output(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_x():\n    assert 1 == 2\n")
    failed = run_suite("names and defaults", str(tmp_path / "test_x.py"))
    assert failed.result == "fails"
    assert "assert 1 == 2" in failed.detail


@pytest.mark.parametrize(
    ("seen", "result"), [("", "not tested"), ("holds", "holds"), ("libnvinfer.so.10: cannot open", "fails")]
)
def test_the_smoke_test_s_result_comes_from_outside_the_container(
    monkeypatch: pytest.MonkeyPatch, seen: str, result: str
) -> None:
    monkeypatch.setenv("GPU_REPORT_SMOKE", seen)
    assert smoke_result().result == result


def run_script(folder: Path, *tools: str, **variables: str) -> str:
    """What report.sh calls, with fakes of these tools and of Python; the working directory is the folder."""
    for name in (*tools, "python"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/calls\necho true\n')
        (folder / name).chmod(0o755)
    for name in ("docker", "tests"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    environ = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"), **variables}
    done = subprocess.run(  # noqa: S603 - ours
        ["/bin/bash", str(ROOT / "tests/gpu/report.sh"), str(folder / "python")],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "calls").read_text()


def test_without_docker_and_a_gpu_it_runs_here(tmp_path: Path) -> None:
    assert run_script(tmp_path) == "python -m tests.gpu.report build/gpu-report\n"


def test_with_both_it_runs_in_the_image_after_the_smoke_test(tmp_path: Path) -> None:
    model = tmp_path / "weights"
    model.mkdir()
    calls = run_script(tmp_path, "docker", "nvidia-smi", GPU_REPORT_MODEL=str(model)).splitlines()
    assert "GPU_REPORT_SMOKE=holds" in calls[-1]
    assert f"--volume {model}:/model:ro --env GPU_REPORT_MODEL=/model" in calls[-1]
    assert re.search(r"--entrypoint python3 chasqui/server-gpu-test -m tests\.gpu\.report /report$", calls[-1])
    assert any("--detach" in call and call.endswith("chasqui/server-gpu") for call in calls)
