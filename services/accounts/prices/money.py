"""Amounts of money: whole picodollars (1e-12 USD) wherever calls are counted, and decimals for people."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

PICODOLLARS: Final = 10**12
"""In one USD. The price of a token is a whole number of them, so that sums of integers are exact."""
_DIGITS: Final = 12


def picodollars_of(amount: Decimal) -> int:
    """An amount of USD, of which it drops what is smaller."""
    return int(amount.scaleb(_DIGITS))


def usd_of(picodollars: int) -> Decimal:
    """The same in USD, exact."""
    return Decimal(picodollars).scaleb(-_DIGITS)


def usd_text(amount: Decimal) -> str:
    """An amount of USD, without the zeros at its end."""
    return f"{amount.normalize():f}"
