"""The functions of `domains.toml`, which users ask for in the generated conversations."""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Domain:
    """One function in all its wordings; the file explains the forms."""

    names: str
    description: str
    slots: dict[str, str]
    requests: tuple[str, ...]
    results: str


def _read(path: Path) -> tuple[Domain, ...]:
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["domains"]
    return tuple(Domain(**{**entry, "requests": tuple(entry["requests"])}) for entry in entries)


DOMAINS = _read(Path(__file__).parent / "domains.toml")
