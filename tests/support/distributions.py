"""What we distribute, built as a user's installer does, and environments to install it into."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[2]
_NOT_SOURCE: Final = (
    ".git",
    ".venv",
    "build",
    "dist",
    "node_modules",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "*_pb2*",
)


def build(project: str, target: str, out: Path) -> Path:
    """Build "wheel" or "sdist" of the project in a folder of the repository, "." or "proto", and return the file.

    Of a copy, because the build writes stubs beside the protos, which other tests are importing.
    """
    copy = out / "source"
    if not copy.exists():
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*_NOT_SOURCE))
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(out)]
    subprocess.run(command, cwd=copy / project, check=True, capture_output=True)  # noqa: S603 - our own build
    return next(out.glob("*.whl" if target == "wheel" else "*.tar.gz"))


class Environment:
    """A fresh virtual environment with nothing in it."""

    def __init__(self, path: Path) -> None:
        venv.EnvBuilder(with_pip=False, symlinks=True).create(path)
        self.python = path / "bin" / "python"
        self._packages = next(path.glob("lib/python*/site-packages"))

    def install(self, wheel: Path) -> None:
        """Install a wheel with pip; what it requires comes from this interpreter's packages, not from an index."""
        self._pip("install", "--quiet", "--no-index", "--no-deps", str(wheel))
        name = wheel.name.split("-")[0]
        for requirement in next(iter(metadata.distributions(name=name, path=[str(self._packages)]))).requires or ():
            self.link(Requirement(requirement).name)
        self._pip("check")

    def link(self, name: str) -> None:
        """Add an installed distribution of this interpreter, with what it requires itself."""
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            target = self._packages / file
            if ".." not in file.parts and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(Path(str(file.locate())))
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                self.link(requirement.name)

    def _pip(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603, PLW1510, RUF100 - our own pip
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
