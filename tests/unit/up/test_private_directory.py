"""Where private sockets lie, and that nobody else gets at them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.settings import SettingsError
from services.up import private_directory
from services.up.private_directory import PrivateDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's."""
    path = Path(tempfile.mkdtemp(prefix="chasqui-test-", dir="/tmp"))
    yield path
    for left in path.iterdir():
        left.rmdir()
    path.rmdir()


@pytest.mark.parametrize("variable", ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "TMPDIR"])
def test_it_lies_where_the_environment_has_a_place_for_it(short: Path, variable: str) -> None:
    private = PrivateDirectory({variable: str(short)})
    assert private.path.parent == short
    assert private.path.stat().st_mode & 0o777 == 0o700
    private.remove()
    assert not private.path.exists()


def test_what_systemd_made_for_the_service_comes_first(short: Path) -> None:
    private = PrivateDirectory({"RUNTIME_DIRECTORY": f"{short}:/run/other", "XDG_RUNTIME_DIR": "/tmp"})  # noqa: S108 - passed over
    assert private.path.parent == short
    private.remove()


@pytest.mark.parametrize("place", ["/nowhere", "/dev/null", "/tmp/" + "x" * 80, "/tmp/100%"])  # noqa: S108 - refused
def test_a_place_that_cannot_hold_a_socket_is_passed_over(place: str) -> None:
    private = PrivateDirectory({"RUNTIME_DIRECTORY": place, "XDG_RUNTIME_DIR": place, "TMPDIR": place})
    assert not str(private.path).startswith(place + "/")
    private.remove()


def test_without_any_place_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_directory, "_LONGEST_PARENT", 0)
    with pytest.raises(SettingsError, match="set TMPDIR"):
        PrivateDirectory({})


def test_one_that_was_removed_is_made_anew_for_this_user_alone(short: Path) -> None:
    private = PrivateDirectory({"TMPDIR": str(short)})
    private.remove()
    before = os.umask(0)
    try:
        private.prepare()
    finally:
        os.umask(before)
    assert private.path.stat().st_mode & 0o777 == 0o700
    private.remove()


def test_a_link_in_its_place_is_refused(short: Path, tmp_path: Path) -> None:
    private = PrivateDirectory({"TMPDIR": str(short)})
    private.remove()
    private.path.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="belongs to another user"):
        private.prepare()
    private.path.unlink()
