"""The pure modules of the pages, tested in Node.js: `tests/unit/edge/web/`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.readme import ROOT

TESTS = sorted((Path(__file__).parent / "web").glob("*.test.mjs"))
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
def test_the_modules_of_the_pages_do_what_their_tests_say() -> None:
    assert TESTS
    command = [str(NODE), "--test", *map(str, TESTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout[-4000:]
