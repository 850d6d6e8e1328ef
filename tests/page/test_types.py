"""The modules of the pages by TypeScript's strict rules, from the types in their comments."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.npm import installed, node

TYPESCRIPT = "typescript@5.9.3"


def test_the_modules_have_no_type_error() -> None:
    compiler = installed([TYPESCRIPT]) / "node_modules" / "typescript" / "bin" / "tsc"
    command = [node(), str(compiler), "--project", str(Path(__file__).parent / "types")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout
