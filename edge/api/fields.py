"""What each known request field does: the types of the tables of fields, and the check of refused fields; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge.api.json_text import is_null
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LONGEST_NEUTRAL: Final = 256  # bytes of JSON


class Treatment(Enum):
    """What the service does with a field."""

    HONOURED = "honoured"
    WITHOUT_EFFECT = "accepted without effect"
    REPORTED = "accepted without effect, and named in x-ignored-parameters"
    REFUSED = "refused unless neutral"


@dataclass(frozen=True, slots=True)
class Known:
    """A known field. null and the `neutral` values mean the same as its absence.

    `values` and `meaning` document an honoured field; `hint` ends the message that refuses a field.
    """

    treatment: Treatment
    neutral: Sequence[Any] = ()
    values: str = ""
    meaning: str = ""
    hint: str = ""

    def is_neutral(self, raw: msgspec.Raw) -> bool:
        """Whether a JSON value has no effect."""
        if is_null(raw):
            return True
        if not self.neutral or len(memoryview(raw)) > _LONGEST_NEUTRAL:
            return False
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        return any(_same(value, neutral) for neutral in self.neutral)


def honoured(values: str, meaning: str, *neutral: Any) -> Known:
    """A field that has an effect; its struct has its type."""
    return Known(Treatment.HONOURED, neutral, values, meaning)


def without_effect(*names: str) -> dict[str, Known]:
    """Fields that describe the request, or whose effect nobody can see in the response."""
    return dict.fromkeys(names, Known(Treatment.WITHOUT_EFFECT))


def reported(*neutral: Any) -> Known:
    """A field that clients add by themselves; its loss is reported to the caller."""
    return Known(Treatment.REPORTED, neutral)


def refused(*neutral: Any, hint: str = "") -> Known:
    """A field whose loss would change the response."""
    return Known(Treatment.REFUSED, neutral, hint=hint)


def refuse(path: str, known: Known, raw: msgspec.Raw) -> None:
    """UnsupportedParameter for a value that is not neutral; InvalidValue if it is not valid JSON."""
    if known.is_neutral(raw):
        return
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidValue(f"{path} cannot be read: {error}.", param=path) from error
    raise UnsupportedParameter(f"{path} is not supported.{f' {known.hint}' if known.hint else ''}", param=path)


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 and 1.0 are equal, but neither equals true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def names_of(known: Mapping[str, Known], treatment: Treatment) -> list[str]:
    """The fields that are treated so, sorted."""
    return sorted(name for name, field in known.items() if field.treatment is treatment)
