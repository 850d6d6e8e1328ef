"""The project's own files agree with each other: continuous integration, versions of Python, and the hooks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
SOURCES = [path for folder in ("services", "edge") for path in (ROOT / folder).rglob("*.py")]
PROJECTS = [
    tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    for path in (ROOT / "pyproject.toml", ROOT / "proto" / "pyproject.toml")
]


def test_the_workflow_runs_the_targets_of_the_ci_script() -> None:
    [command] = re.findall(r"^make (.+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    runs = [step["run"] for step in WORKFLOW["jobs"]["test"]["steps"] if "run" in step]
    assert runs == [f"make {target}" for target in command.split()]


def test_every_python_that_is_promised_is_tested() -> None:
    tested = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"]
    for project in PROJECTS:
        named = re.findall(r"Programming Language :: Python :: (3\.\d+)", "\n".join(project["classifiers"]))
        assert named == tested
        assert project["requires-python"] == f">={tested[0]}"


def test_hooks_run_tools_of_the_environment_and_targets_that_exist() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    entries = [hook["entry"] for repository in hooks for hook in repository["hooks"]]
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert all(entry.startswith(".venv/bin/") or entry.removeprefix("make ") in targets for entry in entries)


def test_no_source_file_has_more_than_300_lines() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path.relative_to(ROOT): size for path, size in sizes.items() if size > 300} == {}
