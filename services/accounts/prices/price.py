"""What tokens cost, in exact decimals."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from services.accounts.prices.money import picodollars_of
from services.service_tier import ServiceTier
from services.settings import SettingsError

if TYPE_CHECKING:
    from services.settings import Settings

# Of USD per million tokens: with them the price of a token is a whole number of picodollars (1e-12 USD).
_MOST_DECIMALS: Final = 6
_SMALLEST: Final = Decimal(1).scaleb(-_MOST_DECIMALS)
_HIGHEST: Final = Decimal(1_000_000)
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Prices in USD per million tokens; `version` says where they come from.

    A prompt token costs `prompt`, or `cached_prompt` if it came from the KV cache.
    """

    prompt: Decimal
    cached_prompt: Decimal
    completion: Decimal
    version: str
    # The same in picodollars per token, computed once.
    _prompt: int = field(init=False, repr=False, compare=False)
    _cached_prompt: int = field(init=False, repr=False, compare=False)
    _completion: int = field(init=False, repr=False, compare=False)
    _highest_prompt: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute what every call asks for."""
        for name in ("prompt", "cached_prompt", "completion"):
            object.__setattr__(self, f"_{name}", picodollars_of(getattr(self, name)) // _MILLION)
        object.__setattr__(self, "_highest_prompt", max(self._prompt, self._cached_prompt))

    def times(self, factor: float, name: str) -> Price:
        """The price multiplied by a factor, which the setting `name` has; amounts are rounded to six decimals."""
        exact = Decimal(str(factor))
        prompt, cached_prompt, completion = (
            (amount * exact).quantize(_SMALLEST, ROUND_HALF_UP)
            for amount in (self.prompt, self.cached_prompt, self.completion)
        )
        return Price(prompt, cached_prompt, completion, f"{self.version} {name}={factor}")

    def cost(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> int:
        """The cost of a call in picodollars, exact; the cached tokens are among those of the prompt."""
        computed = (prompt_tokens - cached_tokens) * self._prompt
        return computed + cached_tokens * self._cached_prompt + completion_tokens * self._completion

    def highest_cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """The same, whether or not the cache has the prompt."""
        return prompt_tokens * self._highest_prompt + completion_tokens * self._completion


def price_of(text: str) -> Price:
    """The price in `CHASQUI_PRICE`: of all tokens, or of prompt, cached prompt and completion tokens.

    SettingsError if it is neither.
    """
    try:
        return Price(*amounts_of(text), f"CHASQUI_PRICE={text}")
    except ValueError as error:
        raise SettingsError(f"CHASQUI_PRICE is {text!r}, but {error}.") from None


def amounts_of(text: str) -> tuple[Decimal, Decimal, Decimal]:
    """The amounts of such a price, of prompt, cached prompt and completion tokens; ValueError says what is wrong."""
    amounts = [usd(part.strip()) for part in text.split(",")]
    if len(amounts) not in {1, 3}:
        raise ValueError("must be one price, or those of prompt, cached prompt and completion tokens")
    prompt, cached_prompt, completion = amounts if len(amounts) == 3 else amounts * 3
    return prompt, cached_prompt, completion


def tier_prices(price: Price, settings: Settings) -> dict[ServiceTier, Price]:
    """The price of each service tier where that of the default tier is `price`."""
    return {
        ServiceTier.PRIORITY: price.times(settings.priority_price, "CHASQUI_PRIORITY_PRICE"),
        ServiceTier.DEFAULT: price,
        ServiceTier.FLEX: price.times(settings.flex_price, "CHASQUI_FLEX_PRICE"),
    }


def usd(text: str) -> Decimal:
    """An amount of USD with at most six decimals; ValueError says what is wrong with it."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or not 0 <= amount <= _HIGHEST or exponent < -_MOST_DECIMALS:
        raise ValueError(f"{text!r} is not from 0 to {_HIGHEST:,} with at most {_MOST_DECIMALS} decimals")
    return amount
