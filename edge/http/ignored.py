"""The response header that names unknown request fields."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_NAMES = 20
_LONGEST_NAME = 64
# Printable ASCII, but for what separates names and what encodes other characters.
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace(",", "").replace("%", "")


def ignored_header(names: Sequence[str]) -> dict[str, str]:
    """The header, or nothing. Callers choose the names: their number and length are cut, other characters encoded."""
    if not names:
        return {}
    listed = [quote(name[:_LONGEST_NAME], safe=_PLAIN) for name in names[:_MOST_NAMES]]
    return {"x-ignored-parameters": ", ".join([*listed, "..."] if len(names) > _MOST_NAMES else listed)}
