"""Tables of sentence patterns in TOML, in which `<piece>` stands for a pattern that several of them share."""

import re
import tomllib
from pathlib import Path
from typing import Any

_PIECE = re.compile("<([a-z_]+)>")


def load(path: Path) -> dict[str, Any]:
    """The tables of the file without its pieces: a list of patterns becomes one choice among them.

    Raises KeyError for a piece that the file does not have.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    pieces = {key: _joined(value) for key, value in tables.pop("pieces", {}).items()}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(each) for key, each in value.items()}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return [filled(each) for each in value]
        text = _joined(value)
        while _PIECE.search(text):
            text = _PIECE.sub(lambda match: f"[{pieces[match[1]]}]", text)
        return text

    return {key: filled(value) for key, value in tables.items()}


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "|".join(value)
