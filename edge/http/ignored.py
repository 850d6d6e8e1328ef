"""The header that names the fields of a request that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

# So many are named, and so much of each name.
_MOST_NAMES = 20
_LONGEST_NAME = 64


def ignored_header(names: Sequence[str]) -> dict[str, str]:
    """Names that a caller chose, percent-encoded and of bounded length; nothing if there are none."""
    if not names:
        return {}
    listed = [quote(name[:_LONGEST_NAME]) for name in names[:_MOST_NAMES]]
    return {"x-ignored-parameters": ", ".join([*listed, "..."] if len(names) > _MOST_NAMES else listed)}
