"""What each part of the accounts costs by itself, in one process: CPU time of thousands of calls, threads included."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.accounts.keys.caller import Caller
from services.accounts.keys.key import Key
from services.accounts.keys.limits import NO_LIMITS, Limits
from services.accounts.ledger.entry import LOST, LedgerEntry
from services.accounts.limiting.in_process import InProcess
from services.accounts.limiting.limiter import Limiter
from services.accounts.prices.price import price_of
from services.accounts.sql.accounts import SqlAccounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.accounts.api import CallLedger

ROUNDS: Final = 20
CALLS: Final = 500
_PRICE: Final = price_of("0.055,0.02,0.1")
_LIMITS: Final = Limits(10**6, 10**9, None, Decimal(1000), Decimal(10_000))


def parts() -> dict[str, list[float]]:
    """Microseconds per call of each round, by part."""
    key = Key("bench", "team", datetime.now(UTC), limits=_LIMITS)
    limiter = Limiter(
        InProcess(), NO_LIMITS, opens=False, token_spent=lambda _, __: Decimal(0), is_over=lambda _: False
    )
    with tempfile.TemporaryDirectory() as folder:
        accounts = SqlAccounts(f"{folder}/accounts.db", Path(folder) / "journal")
        found = {
            "limits": [_microseconds(lambda: asyncio.run(_limited(limiter, key))) for _ in range(ROUNDS)],
            "row, into SQLite": [
                _microseconds(partial(_recorded, accounts.ledger, number)) for number in range(ROUNDS)
            ],
        }
        accounts.close()
    return found


def _microseconds(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return 1e6 * (time.process_time() - before) / CALLS


async def _limited(limiter: Limiter, key: Key) -> None:
    """What the limits do for a call: two reservations, the headers, and what is given back."""
    caller = Caller(key.name, key, "chat/completions")
    for _ in range(CALLS):
        allowance = await limiter.admit(caller)
        await allowance.reserve(200, 100, _PRICE)
        allowance.standing.headers()
        allowance.settle(250, _PRICE.cost(200, 0, 50))


def _recorded(ledger: CallLedger, round_: int) -> None:
    """What the ledger does for a call, until its row is in the database."""
    at = datetime.now(UTC)
    for number in range(CALLS):
        call_id = f"chatcmpl-{number:016x}{round_:016x}"
        usual = "bench", "team", "", "simulated", "chat/completions"
        ledger.begin(LedgerEntry(call_id, at, *usual, LOST, 0, 0, 0, _PRICE.version, 0, 0.0, 0.0))
        cost = _PRICE.cost(200, 0, 50)
        ledger.record(LedgerEntry(call_id, at, *usual, "completed", 200, 0, 50, _PRICE.version, cost, 0.5, 0.1))
    while ledger.state().waiting:
        time.sleep(0.1)  # seldom, as this time is counted
