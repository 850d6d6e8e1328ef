"""What a command lists: as a table to read, as CSV or as JSON."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMATS: Final = ("table", "csv", "json")


def listed(rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """The rows in one of `FORMATS`, without an end of line; all have the same columns. Decimals stay exact.

    A table leaves out columns without a value.
    """
    if form == "json":
        return json.dumps(rows, indent=2, default=_text)
    if not rows:
        return ""
    columns = list(rows[0])
    if form == "table":
        columns = [name for name in columns if any(row[name] is not None for row in rows)]
    lines = [[_text(row[column]) for column in columns] for row in rows]
    if form == "csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([columns, *lines])
        return out.getvalue().rstrip("\n")
    return _table(
        [column.replace("_", " ") for column in columns],
        lines,
        [isinstance(rows[0][name], int | Decimal) for name in columns],
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """Columns as wide as their content, two blanks apart; numbers are on the right."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    aligned = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [head, *lines]
    ]
    return "\n".join(aligned)


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
