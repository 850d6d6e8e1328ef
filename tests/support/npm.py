"""Packages of npm for tests, installed once into the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chasqui-tests"


def node() -> str:
    """The command of Node.js; skips the test if there is none."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node.js is not installed")
    return found


def installed(packages: Sequence[str]) -> Path:
    """A directory with these packages, as `openai@7.57.0`; skips the test if they cannot be installed."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = _CACHE / "+".join(package.replace("/", "-") for package in packages)
    if not (folder / "node_modules").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        # Into a folder of its own, which is whole when it gets its name: other processes may install the same.
        with tempfile.TemporaryDirectory(dir=_CACHE) as own:
            options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", own]
            command = [npm, "install", *options, *packages]
            done = subprocess.run(command, capture_output=True, timeout=300, check=False)  # noqa: S603
            if done.returncode:
                pytest.skip(f"npm cannot install {' '.join(packages)}: {done.stderr.decode()[-300:]}")
            with suppress(OSError):  # another has been faster
                (Path(own) / "node_modules").rename(folder / "node_modules")
    return folder
