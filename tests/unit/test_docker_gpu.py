"""The GPU image's build steps and smoke test, run here with fake tools in place of pip and Docker."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.unit.test_docker import DOCKER, ROOT, stages, variables_of

if TYPE_CHECKING:
    from pathlib import Path

SERVE = stages(DOCKER / "server-gpu.Dockerfile")["serve"]


def tool(folder: Path, name: str, script: str) -> None:
    """An executable in place of the real one; it logs its arguments in `calls`."""
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/calls\n{script}\n')
    path.chmod(0o755)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PATH": f"{folder}:/usr/bin:/bin", "SMOKE_ATTEMPTS": "3", "SMOKE_PAUSE": "0"}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - ours


def test_the_image_starts_by_nvidia_s_entry_point_and_finds_tensorrt_without_it() -> None:
    assert json.loads(dict(SERVE)["ENTRYPOINT"]) == ["/opt/nvidia/nvidia_entrypoint.sh", "chasqui"]
    assert variables_of(SERVE)["LD_LIBRARY_PATH"].split(":") == ["/usr/local/tensorrt/lib", "${LD_LIBRARY_PATH}"]


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ("No broken requirements found.", "No broken requirements found.", 0),
        ("a 1 has requirement b<2, but you have b 3.", "a 1 has requirement b<2, but you have b 3.", 0),
        ("a 1 has requirement b<2, but you have b 3.", "No broken requirements found.", 0),
        ("No broken requirements found.", "onnx 1 has requirement protobuf<6, but you have protobuf 6.", 0),
        ("No broken requirements found.", "tensorrt-llm 1 has requirement numpy<2, but you have numpy 2.", 1),
    ],
)
def test_an_installation_that_breaks_a_package_of_the_image_ends_the_build(
    tmp_path: Path, before: str, after: str, status: int
) -> None:
    script = next(arguments for word, arguments in SERVE if word == "RUN" and "pip check" in arguments)
    tool(tmp_path, "chasqui", "")
    tool(tmp_path, "python", "")
    tool(
        tmp_path,
        "pip",
        f"""case $1 in
        check) if [ -e {tmp_path}/installed ]; then echo '{after}'; else echo '{before}'; fi; exit 1;;
        freeze) echo 'numpy==1.26'; echo 'Jinja2==3.1.6'; echo 'typing_extensions==4.1'; echo 'protobuf==4.25';;
        install) cat $PIP_CONSTRAINT; touch {tmp_path}/installed;;
        esac""",
    )
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "chasqui.whl").touch()
    (tmp_path / "constraints.txt").write_text(
        "# made by make lock\njinja2==3.2 \\\n    --hash=sha256:00\nmsgspec==0.21 ; python_version >= '3.11' \\\n"
        "protobuf==7.36.2 \\\ntyping-extensions==5.0 \\\n"
    )
    result = run(tmp_path, "sh", "-c", script.replace("/tmp/", f"{tmp_path}/"))  # noqa: S108 - as in the Dockerfile
    assert result.returncode == status, result.stderr
    limits = [line for line in result.stdout.splitlines() if "=" in line and " " not in line]
    assert limits == ["numpy==1.26", "Jinja2==3.1.6", "typing_extensions==4.1", "msgspec<=0.21", "protobuf<=7.36.2"]
    assert (status == 1) == (after in result.stdout)


@pytest.mark.parametrize(
    ("probe", "running", "status", "last"),
    [
        ("exit 0", "true", 0, "the server serves"),
        ("exit 1", "false", 1, "libnvinfer.so.10: cannot open"),
        ("exit 1", "true", 1, "libnvinfer.so.10: cannot open"),
    ],
    ids=["serves", "has-ended", "never-ready"],
)
def test_the_smoke_test_passes_only_if_the_stage_serves(
    tmp_path: Path, probe: str, running: str, status: int, last: str
) -> None:
    tool(
        tmp_path,
        "docker",
        f"""case $1 in
        volume) echo VOLUME;;
        run) echo CONTAINER;;
        exec) {probe};;
        inspect) echo {running};;
        logs) echo 'libnvinfer.so.10: cannot open';;
        esac""",
    )
    result = run(tmp_path, "bash", "tests/gpu/smoke.sh", "serve-image", "test-image")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (status, last)
    calls = (tmp_path / "calls").read_text().splitlines()
    served = next(call for call in calls if "--detach" in call)
    assert served.endswith("serve-image")
    assert "--entrypoint" not in served
    assert calls[-2:] == ["docker rm --force CONTAINER", "docker volume rm VOLUME"]
