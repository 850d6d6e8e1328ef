"""The response header that names unknown request fields."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_NAMES = 20
_LONGEST_NAME = 64


def ignored_header(names: Sequence[str]) -> dict[str, str]:
    """The header, or nothing. Callers choose these names: they are percent-encoded, and cut in number and length."""
    if not names:
        return {}
    listed = [quote(name[:_LONGEST_NAME]) for name in names[:_MOST_NAMES]]
    return {"x-ignored-parameters": ", ".join([*listed, "..."] if len(names) > _MOST_NAMES else listed)}
