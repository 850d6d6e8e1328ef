"""One setting: how it is declared, the value that a text stands for, and the text that stands for a value."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# What people write for a boolean, in any case; we write the first two.
_BOOLEANS = {
    "on": True,
    "off": False,
    "true": True,
    "false": False,
    "yes": True,
    "no": False,
    "1": True,
    "0": False,
}


class SettingsError(Exception):
    """A setting is unknown or has a value that it cannot have; the message is one sentence for the terminal."""


def setting(
    default: Any,
    help_text: str,
    *,
    unit: str = "",
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """Declare a field; the bounds are inclusive and belong to numbers. A boolean is written as on or off."""
    if isinstance(default, bool):
        choices = ("on", "off")
    metadata = {"help": help_text, "unit": unit, "choices": choices, "minimum": minimum, "maximum": maximum}
    return dataclasses.field(default=default, metadata=metadata)


def parse(source: str, text: str, kind: Any, metadata: Mapping[str, Any]) -> Any:
    """The value of type `kind` that `text` stands for.

    SettingsError names `source` (a variable or flag), the text and what was expected.
    """
    if kind is bool:
        return _parse_boolean(source, text)
    if kind is str:
        if metadata["choices"] and text not in metadata["choices"]:
            raise SettingsError(f"{source} is {text!r}, but must be one of {', '.join(metadata['choices'])}.")
        return text
    if kind in (int, float):
        return _parse_number(source, text, kind, metadata)
    return tuple(part.strip() for part in text.split(",") if part.strip())


def text_of(value: Any) -> str:
    """The text that `parse` turns into `value`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _parse_boolean(source: str, text: str) -> bool:
    try:
        return _BOOLEANS[text.strip().lower()]
    except KeyError:
        raise SettingsError(
            f"{source} is {text!r}, but must be on or off (true or false, yes or no, 1 or 0)."
        ) from None


def _parse_number(source: str, text: str, kind: type[int] | type[float], metadata: Mapping[str, Any]) -> int | float:
    low, high = metadata["minimum"], metadata["maximum"]
    bounds = f" from {low:g} to {high:,}" if high is not None else f" of at least {low:g}"
    expected = ("a whole number" if kind is int else "a number") + bounds
    try:
        value = kind(text)
    except ValueError:
        raise SettingsError(f"{source} is {text!r}, but must be {expected}.") from None
    # The comparison is written so that NaN fails it.
    if not (value >= low and (high is None or value <= high)) or value == float("inf"):
        raise SettingsError(f"{source} is {text!r}, but must be {expected}.")
    return value
