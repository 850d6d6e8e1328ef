"""The composition of docker/compose.yaml as a project of its own, run with the commands that an operator types."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).parents[2]
BUILT: Final = ROOT / "build" / "images" / "built.json"
SERVICES: Final = ("server", "edge", "envoy")
_PROJECT: Final = "chasqui-test"
_LIMIT: Final = 1800  # seconds: a build on a machine that is busy takes that long


class Deployment:
    """The containers of one project. `files` are Compose files after compose.yaml, `settings` what docker/.env has."""

    def __init__(self, files: Sequence[Path] = (), settings: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self._files = [ROOT / "docker" / "compose.yaml", *files]
        self._settings = {"CHASQUI_PORT": str(self.port), **(settings or {})}

    @property
    def url(self) -> str:
        """The base of every REST path, without an end slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def target(self) -> str:
        """Where gRPC clients connect to."""
        return f"127.0.0.1:{self.port}"

    def compose(self, *words: str) -> str:
        """`docker compose WORDS...`; its standard output, CalledProcessError if it fails."""
        return self.try_compose(*words, check=True).stdout

    def try_compose(self, *words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """The same, with everything that came of it."""
        env_file = BUILT.with_name("env")
        env_file.write_text("".join(f"{name}={value}\n" for name, value in self._settings.items()), encoding="utf-8")
        files = [word for file in self._files for word in ("--file", str(file))]
        options = ["--project-name", _PROJECT, "--env-file", str(env_file), *files]
        return docker("compose", *options, *words, check=check)

    def up(self, *words: str) -> None:
        """Start, and wait until all containers are healthy."""
        self.compose("up", "--no-build", "--wait", *words)

    def down(self) -> None:
        """Stop, and remove everything but images."""
        self.compose("down", "--volumes", "--remove-orphans")

    def containers(self, service: str) -> list[str]:
        """The names of a service's containers."""
        return self.compose("ps", "--all", "--format", "{{.Name}}", service).split()

    def state(self, service: str) -> dict[str, Any]:
        """What `docker inspect` shows of the service's first container."""
        [shown] = json.loads(docker("inspect", self.containers(service)[0]).stdout)
        found: dict[str, Any] = shown
        return found

    def logs(self, service: str) -> str:
        """All that a service's containers have printed."""
        return self.compose("logs", "--no-color", "--no-log-prefix", service)


def docker(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """`docker WORDS...`; what it prints on standard error is shown."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHASQUI_")}
    done = subprocess.run(  # noqa: S603 - ours
        ["docker", *words],  # noqa: S607 - the one on PATH is meant
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    if done.returncode and check:
        raise DockerError(f"docker {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


class DockerError(Exception):
    """A command failed; the message has what it printed."""
