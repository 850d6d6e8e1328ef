"""A row of the ledger: one call, what it used, and what that cost."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from services.accounts.prices.money import picodollars_of, usd_of

# The outcome of a call whose server died: its edge reports what was delivered, and a server's own record replaces that.
LOST: Final = "lost"


# A struct in place of a tuple or a dataclass: it is made twice a call, which takes a sixth of the time. It refers to
# nothing that could refer to it, so that the garbage collector need not look at those that wait to be written.
class LedgerEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A call that was admitted and has ended; `call_id` is the id of its response, which is unique.

    Times are in seconds, `seconds` from the arrival `at` until the engine had ended the call. `key` is a key's name,
    or what else the call is counted for; `user` a hash of the end user's id, empty without one; `price` the version of
    the price that made the `cost`, which is in picodollars. Fields are in the order of the table's columns.
    """

    call_id: str
    at: datetime
    key: str
    owner: str
    user: str
    model: str
    endpoint: str
    outcome: str  # a constant of services/telemetry/outcome.py, or LOST
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    price: str
    cost: int
    seconds: float
    queue_seconds: float
    token: str = ""  # the id of a scoped token of the key, if it made the call

    def to_json(self) -> str:
        """One line of the journal."""
        return json.dumps({**msgspec.structs.asdict(self), "at": self.at.isoformat(), "cost": f"{usd_of(self.cost):f}"})

    @classmethod
    def from_json(cls, line: str) -> LedgerEntry:
        """The entry of such a line; ValueError if it is none."""
        try:
            fields = json.loads(line)
            at, cost = datetime.fromisoformat(fields.pop("at")), picodollars_of(Decimal(fields.pop("cost")))
            return cls(at=at, cost=cost, **fields)
        except (ArithmeticError, AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no ledger entry: {error}") from error
