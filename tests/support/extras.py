"""Environments of links: exactly the packages that an extra of pyproject.toml brings, from those installed here."""

from __future__ import annotations

import csv
import os
import re
import sys
import tomllib
from collections import Counter
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).parents[2]
# Our own sources, as a wheel holds them.
_OURS: Final = ("services", "edge", "proto/chasqui")


class Environment:
    """A folder of packages; with nothing else on its path, Python runs as if only an extra were installed."""

    def __init__(self, folder: Path, *extras: str, beside: tuple[str, ...] = ()) -> None:
        """Fill the empty `folder`. Without extras these are the packages of a plain `pip install chasqui`.

        `beside` are packages that the place brings where the extra is installed.
        """
        self.folder = folder
        for source in _OURS:
            (folder / Path(source).name).symlink_to(ROOT / source)
        for package in packages_of(*extras, beside=beside):
            for name in {_whole(file) for file in _files(package)}:
                link = folder / name
                if not link.exists():
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(str(package.locate_file(name)))

    def command(self, *words: str) -> tuple[str, ...]:
        """A command that runs Python with these words and sees nothing but the folder and the standard library."""
        return (sys.executable, "-S", "-P", *words)

    def environ(self, **settings: object) -> dict[str, str]:
        """The variables of that command; `settings` are names of settings without prefix."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHASQUI_")}
        given = {f"CHASQUI_{name.upper()}": str(value) for name, value in settings.items()}
        return {**inherited, "PYTHONPATH": str(self.folder), **given}


def packages_of(*extras: str, beside: tuple[str, ...] = ()) -> list[Distribution]:
    """Every package that the extras need, and those `beside` them, with what they need in turn; sorted by name."""
    found: dict[str, Distribution] = {}
    waiting = [*_declared(*extras), *map(Requirement, beside)]
    done = set[tuple[str, frozenset[str]]]()
    while waiting:
        one = waiting.pop()
        key = (_normal(one.name), frozenset(one.extras))
        if key in done or not _applies(one, ("",)):
            continue
        done.add(key)
        package = found[key[0]] = distribution(one.name)
        for text in package.requires or ():
            needed = Requirement(text)
            if _applies(needed, ("", *one.extras)):
                needed.marker = None
                waiting.append(needed)
    return [found[name] for name in sorted(found)]


def _declared(*extras: str) -> Iterator[Requirement]:
    """What pyproject.toml lists for the extras; an extra of ours among it is followed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed: Iterable[str] = project["dependencies"]
    yield from map(Requirement, listed)
    for extra in extras:
        for text in project["optional-dependencies"][extra]:
            needed = Requirement(text)
            if needed.name == project["name"]:
                yield from _declared(*needed.extras)
            else:
                yield needed


def _applies(needed: Requirement, extras: Iterable[str]) -> bool:
    return needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras)


def _files(package: Distribution) -> list[str]:
    """Its files, as paths below site-packages."""
    record = package.read_text("RECORD")
    if record is None:
        raise PackageNotFoundError(package.name)
    return [file for file, *_ in csv.reader(record.splitlines()) if not file.startswith("..")]


def _whole(file: str) -> str:
    """The file, or the outermost of its directories that holds no other package: one link in place of hundreds."""
    return next((above for above in _above(file) if _owners()[above] == 1), file)


def _above(file: str) -> list[str]:
    """The directories of a file, outermost first."""
    return [file[:at] for at, letter in enumerate(file) if letter == "/"]


@cache
def _owners() -> Counter[str]:
    """How many of the packages that are installed here have files in each directory."""
    files = (_files(package) for package in distributions() if package.read_text("RECORD"))
    return Counter(above for owned in files for above in {above for file in owned for above in _above(file)})


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
