"""What a model's tokens cost now, and from when on they cost something else."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from services.accounts.prices.price import price_of, tier_prices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from services.accounts.prices.listed_price import ListedPrice
    from services.accounts.prices.price import Price
    from services.service_tier import ServiceTier
    from services.settings import Settings

_EVER: Final = datetime.min.replace(tzinfo=UTC)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class PriceList:
    """The prices of one model: those of the accounts, and that of the settings while none of them is valid."""

    def __init__(self, settings: Settings, model: str, listed: Callable[[], Sequence[ListedPrice]]) -> None:
        """`listed` returns the same object until the prices change. SettingsError if `CHASQUI_PRICE` is no price."""
        self._settings = settings
        self._model = model
        self._read = listed
        self._default = price_of(settings.price)
        self._listed: Sequence[ListedPrice] | None = None
        self._starts: list[datetime] = []
        self._prices: list[Mapping[ServiceTier, Price]] = []
        # What is valid at the moments that most calls ask for.
        self._since = self._until = _EVER
        self._valid: Mapping[ServiceTier, Price] = {}

    def now(self) -> Mapping[ServiceTier, Price]:
        """The price of each service tier."""
        return self.at(datetime.now(UTC))

    def at(self, moment: datetime) -> Mapping[ServiceTier, Price]:
        """The price of each service tier for calls that arrive then."""
        listed = self._read()
        if listed is not self._listed:
            self._arrange(listed)
            self._listed = listed
        if not self._since <= moment < self._until:
            found = bisect_right(self._starts, moment)
            self._valid = self._prices[found - 1]
            self._since = self._starts[found - 1]
            self._until = self._starts[found] if found < len(self._starts) else _NEVER
        return self._valid

    def _arrange(self, listed: Sequence[ListedPrice]) -> None:
        """Put what is valid into the order of time."""
        own = any_model = None
        self._starts, prices = [_EVER], [self._default]
        for one in listed:
            if one.model == self._model:
                own = one.price
            elif not one.model:
                any_model = one.price
            else:
                continue
            self._starts.append(one.valid_from)
            prices.append(own or any_model or self._default)
        self._prices = [tier_prices(price, self._settings) for price in prices]
        self._since = self._until = _EVER  # to be found again
