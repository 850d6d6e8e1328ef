"""Counts what the JSON of a request holds, before it is decoded; pure.

The decoder holds the GIL until it is done, and with it the event loop: half a second for the millions of empty arrays
that fit into a body. Its time follows from these counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterator

# Separated by commas: token ids, mostly.
MAX_JSON_VALUES: Final = 524_288
# Arrays and objects, and the members of objects.
MAX_JSON_STRUCTURE: Final = 100_000
_SLICE: Final = 65_536


def check_json_size(data: bytes) -> None:
    """InvalidValue for more values, arrays, objects or members than a request may hold; decodes nothing."""
    # Nearly every body has fewer even if those within texts count.
    if _is_small(*_counts(data)):
        return
    values = arrays = members = 0
    for outside in _outside_texts(data):
        counts = _counts(outside)
        values, arrays, members = values + counts[0], arrays + counts[1], members + counts[2]
        if not _is_small(values, arrays, members):
            raise InvalidValue(
                f"The body has too many values: a request may hold {MAX_JSON_VALUES:,} in all, and "
                f"{MAX_JSON_STRUCTURE:,} arrays and objects with as many members."
            )


def _is_small(values: int, arrays: int, members: int) -> bool:
    return values <= MAX_JSON_VALUES and arrays <= MAX_JSON_STRUCTURE and members <= MAX_JSON_STRUCTURE


def _counts(data: bytes) -> tuple[int, int, int]:
    """Commas, openings of arrays and objects, and colons."""
    return data.count(b","), data.count(b"[") + data.count(b"{"), data.count(b":")


def _outside_texts(data: bytes) -> Iterator[bytes]:
    """What is between the quoted texts, in slices."""
    inside = 0  # 1 if a slice begins within a text
    start = 0
    while start < len(data):
        end = start + _SLICE
        while data[end - 1 : end] == b"\\":  # belongs to the character behind it
            end += 1
        unescaped = data[start:end].replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = unescaped.split(b'"')
        yield b"".join(parts[inside::2])
        inside = (inside + len(parts) - 1) % 2
        start = end
