"""What README.md says is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.readme import settings_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_table_is_that_of_the_code() -> None:
    assert settings_table() in README, f"README.md needs this table:\n{settings_table()}"


def test_every_file_that_it_names_exists() -> None:
    named = re.findall(r"`((?:proto|services|edge|tests|docker)/[\w./-]+)`", README)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_make_target_that_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z0-9-]+)", README))
    assert named
    assert named <= targets


def test_every_feature_has_a_test_that_exists() -> None:
    named = re.findall(r"^\| .* \| `(test_\w+\.py)::(test_\w+)` \|$", README, re.MULTILINE)
    assert len(named) > 20
    for file, test in named:
        assert re.search(rf"^(?:async )?def {test}\(", (ROOT / "tests/e2e" / file).read_text(), re.MULTILINE), test
