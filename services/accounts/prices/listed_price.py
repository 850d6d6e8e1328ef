"""A price in the database of the accounts: which model's, and from when on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from services.accounts.prices.price import Price


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """Of one model by its id, or, with an empty `model`, of every model that has no price of its own by then.

    It is valid from a moment on until the next price of the same model is, unless it was withdrawn before.
    """

    price: Price
    model: str
    valid_from: datetime  # a whole second
    withdrawn_at: datetime | None = None
