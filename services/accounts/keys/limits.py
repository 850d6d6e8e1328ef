"""The limits of a key, or of all calls together."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from services.accounts.prices.money import picodollars_of
from services.accounts.prices.price import usd
from services.settings import SettingsError

if TYPE_CHECKING:
    from decimal import Decimal

_HIGHEST: Final = 1_000_000_000
_AMOUNTS: Final = frozenset({"usd_per_day", "usd_per_month"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Each is None for no limit. A minute is any 60 seconds; days and months are those of UTC."""

    calls_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_calls: int | None = None
    usd_per_day: Decimal | None = None
    usd_per_month: Decimal | None = None
    # What every call asks for, computed once; amounts are in picodollars.
    per_day: int | None = field(init=False, repr=False, compare=False)
    per_month: int | None = field(init=False, repr=False, compare=False)
    _exist: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute what every call asks for."""
        for name, amount in (("per_day", self.usd_per_day), ("per_month", self.usd_per_month)):
            object.__setattr__(self, name, None if amount is None else picodollars_of(amount))
        object.__setattr__(self, "_exist", any(getattr(self, name) is not None for name in LIMIT_NAMES))

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return self._exist


LIMIT_NAMES: Final = tuple(one.name for one in fields(Limits) if one.init)
NO_LIMITS: Final = Limits()


def limit_of(name: str, text: str) -> Any:
    """The value of the limit `name` that a text stands for; ValueError says what is wrong with it."""
    if name in _AMOUNTS:
        return usd(text)
    if not text.isascii() or not text.isdigit() or int(text) > _HIGHEST:
        raise ValueError(f"{text!r} is not a whole number from 0 to {_HIGHEST:,}")
    return int(text)


def total_limits(text: str) -> Limits:
    """Those of `CHASQUI_TOTAL_LIMITS`, as `calls_per_minute=600,usd_per_day=20`; SettingsError for anything else."""
    given: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in LIMIT_NAMES:
            raise SettingsError(f"CHASQUI_TOTAL_LIMITS has {part!r}, but must have {', '.join(LIMIT_NAMES)} only.")
        try:
            given[name] = limit_of(name, value)
        except ValueError as error:
            raise SettingsError(f"CHASQUI_TOTAL_LIMITS has {part!r}, but {error}.") from None
    return Limits(**given)
