"""Checks every claim about the TensorRT-LLM engine, and writes one page: report.md and report.json.

`python -m tests.gpu.report [FOLDER]`; `make gpu-report` runs it in NVIDIA's container. Without the package it runs on
the double, and every line says so. GPU_REPORT_MODEL names a checkpoint; without it the weights are random.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import pytest

from services.engine.factory import build_engine
from services.engine.tensorrt_llm.gpus import read_gpus
from services.settings import Settings
from tests.bench.gpu_throughput import Load, throughput
from tests.gpu.checks import CHECKS, NotTestedError
from tests.gpu.claims import CLAIMS, Claim
from tests.support.tensorrt_llm.modes import HOPPER, install, install_gpus
from tests.support.tensorrt_llm.release import Release, write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHECK_SECONDS: Final = 600.0
_SUITE_SECONDS: Final = 3600
_ON_GPU: Final = Load(calls=256, streams=64, prompt=128, tokens=128)
_ON_DOUBLE: Final = Load(calls=16, streams=8, prompt=16, tokens=16)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check or step: holds, fails or not tested."""

    name: str
    result: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the report runs: `on` is the GPU's name, or "double"."""

    on: str
    model: str
    load_format: str
    context_length: int

    @property
    def is_double(self) -> bool:
        """Whether the results hold for the double only."""
        return self.on == "double"


def target_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """The package and GPU of this machine, or else the double, with a model."""
    given = os.environ.get("GPU_REPORT_MODEL", "")
    if importlib.util.find_spec("tensorrt_llm") is None:
        install(monkeypatch, Release())
        install_gpus(monkeypatch, folder, HOPPER)
        return Target("double", str(write_checkpoint(folder / "model")), "auto", 4096)
    name = read_gpus()[0].name
    if given:
        return Target(name, given, "auto", 0)
    model = write_checkpoint(folder / "model", num_hidden_layers=2, max_position_embeddings=131_072)
    return Target(name, str(model), "dummy", 0)


async def run_checks(target: Target, sampler: str) -> list[Result]:
    """The checks for one CHASQUI_SAMPLER, and the shutdown after them, on one engine."""
    names = [name for name, (wanted, _) in CHECKS.items() if wanted == sampler]
    settings = Settings(
        engine="tensorrt-llm",
        model=target.model,
        load_format=target.load_format,
        context_length=target.context_length,
        parallel=64,
        sampler=sampler,
    )
    engine: Any = build_engine(settings)
    try:
        await engine.start()
    except Exception as error:  # noqa: BLE001 - whatever it is belongs into the report
        return [Result(name, "fails", f"the engine does not start: {error}") for name in [*names, "shutdown"]]
    results = [await _checked(name, engine) for name in names]
    workers = dict(engine._workers._found)
    await engine.close()
    left = [pid for pid in workers if psutil.pid_exists(pid)]
    return [*results, Result("shutdown", "fails" if left else "holds", f"workers left: {left}" if left else "")]


async def _checked(name: str, engine: Any) -> Result:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return Result(name, "holds", await CHECKS[name][1](engine))
    except NotTestedError as reason:
        return Result(name, "not tested", str(reason))
    except Exception as error:  # noqa: BLE001 - whatever it is belongs into the report
        return Result(name, "fails", f"{type(error).__name__}: {error}")


def run_suite(name: str, *arguments: str) -> Result:
    """A run of pytest; its output's end is the detail of a failure."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--override-ini",
        "filterwarnings=default",
        "--color=no",
        "-q",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SUITE_SECONDS)  # noqa: S603 - ours
    lines = done.stdout.strip().splitlines() or [done.stderr[-500:]]
    if done.returncode:
        return Result(name, "fails", " / ".join(lines[-15:]))
    return Result(name, "holds", lines[-1])


def run_throughput(target: Target, folder: Path) -> Result:
    """Our engine's tokens per second beside the package's own tools on the same directory."""
    try:
        measured = throughput(folder, _ON_DOUBLE if target.is_double else _ON_GPU)
    except Exception as error:  # noqa: BLE001 - whatever it is belongs into the report
        return Result("throughput", "fails", f"{type(error).__name__}: {error}")
    complete = all(isinstance(value, float) for value in measured.values())
    reported = [
        f"{name}: {value:,.0f} tokens/s" if isinstance(value, float) else value for name, value in measured.items()
    ]
    return Result("throughput", "holds" if complete else "not tested", "; ".join(reported))


def smoke_result() -> Result:
    """What `tests/gpu/report.sh` has seen of the image before it started this."""
    seen = os.environ.get("GPU_REPORT_SMOKE", "")
    if not seen:
        return Result("smoke test", "not tested", "needs Docker and a GPU")
    return Result("smoke test", "holds" if seen == "holds" else "fails", "" if seen == "holds" else seen)


def lines_of(target: Target, results: Iterable[Result]) -> list[dict[str, str]]:
    """One line for each claim, with the result of its check, and one for each result."""
    found = {result.name: result for result in results}
    lines = [_line(target, claim, found) for claim in CLAIMS]
    return lines + [
        {"source": "tests/gpu", "claim": one.name, "on": target.on, "result": one.result, "detail": one.detail}
        for one in found.values()
    ]


def _line(target: Target, claim: Claim, found: dict[str, Result]) -> dict[str, str]:
    settled = found.get(claim.check) if claim.check else Result("", "not tested", claim.reason)
    if settled is None:
        settled = Result("", "not tested", f"{claim.check} did not run")
    detail = f"{claim.check}: {settled.detail}" if claim.check and settled.detail else claim.check or settled.detail
    return {"source": claim.source, "claim": claim.text, "on": target.on, "result": settled.result, "detail": detail}


def markdown_of(target: Target, lines: list[dict[str, str]]) -> str:
    """The page."""
    counts = {result: sum(line["result"] == result for line in lines) for result in ("holds", "fails", "not tested")}
    head = f"# TensorRT-LLM on {target.on}: {', '.join(f'{count} {result}' for result, count in counts.items())}\n\n"
    rows = ["| on | result | claim | source | detail |", "| --- | --- | --- | --- | --- |"]
    for line in lines:
        cells = [
            line[name].replace("|", "\\|").replace("\n", " ") for name in ("on", "result", "claim", "source", "detail")
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return head + "\n".join(rows) + "\n"


def report(target: Target, folder: Path) -> list[Result]:
    """Everything, one after the other: two engines do not fit one GPU."""
    results: dict[str, Result] = {"smoke test": smoke_result()}
    if target.is_double:
        results["names and defaults"] = Result("names and defaults", "not tested", "needs the package")
    else:
        results["names and defaults"] = run_suite("names and defaults", "tests/gpu/test_package.py")
    for sampler in dict.fromkeys(sampler for sampler, _ in CHECKS.values()):
        for result in asyncio.run(run_checks(target, sampler)):
            if result.name not in results or result.result != "holds":
                results[result.name] = result
    suite = ("tests/contract/test_engines.py", "-k", "tensorrt-llm")
    results["contract suite"] = run_suite("contract suite", *suite)
    results["throughput"] = run_throughput(target, folder)
    return list(results.values())


def main() -> int:
    """Write the page; 1 if something fails."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "build/gpu-report")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        target = target_of(Path(folder), monkeypatch)
        results = report(target, Path(folder))
    lines = lines_of(target, results)
    (out / "report.json").write_text(json.dumps(lines, indent=1) + "\n")
    (out / "report.md").write_text(markdown_of(target, lines))
    failed = [result for result in results if result.result == "fails"]
    for result in failed:
        sys.stdout.write(f"{target.on}: {result.name} fails: {result.detail}\n")
    sys.stdout.write(f"{target.on}: {out}/report.md has {len(lines)} lines, and {len(failed)} checks fail\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
