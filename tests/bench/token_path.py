"""What a token costs in the chat server, by part: simulated engine, the call that it pushes into, the Relay's message.

`make bench-token-path` runs it, in one process, without gRPC. A step gives one token to each of 128 calls. Steps follow
each other at once, or with the pauses that they have when a stream gets 50 tokens/s: the caches lose what a step needs
meanwhile, and the same code takes two to three times as long. Figures are medians over the steps, in microseconds of
the thread's CPU time per token.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from typing import Any, Final

import uvloop
from rich.console import Console
from rich.table import Table

from services.chat.answer.call import ChatCall
from services.chat.answer.form import AnswerForm
from services.chat.transport.relay_session import RelaySession, RelayTraffic
from services.chat.transport.relayed_outbox import RelayedOutbox
from services.engine.api import Generation, TokenDelta
from services.engine.factory import build_engine
from services.settings import Settings
from tests.bench.machine import describe

CALLS: Final = 128
# Seconds between two steps, and how many steps.
PACES: Final = ((0.0, 1000), (0.02, 300))
_NEVER: Final = 1e-4  # tokens/s
Figures = dict[str, float]


class _Counted:
    """A sink that only keeps the token deltas of a step."""

    def __init__(self, deltas: list[TokenDelta]) -> None:
        self.token_delta = deltas.append


def _measure(pause: float, steps: int) -> Figures:
    # Its own timer never fires: it steps when it is told.
    settings = Settings(engine="simulated", parallel=CALLS, simulated_rate=_NEVER)
    engine: Any = build_engine(settings)
    deltas: list[TokenDelta] = []
    for number in range(CALLS):
        prompt = [number, 1, 2, 3]
        engine.submit(Generation(prompt, max_tokens=steps + 1, ignore_eos=True), _Counted(deltas))
    engine._step()  # their prefill
    # The session's stream is never used: what it gathers is serialized here.
    unused: Any = None
    session = RelaySession(unused, unused, unused, RelayTraffic(), unused, 0.0)
    outboxes = [RelayedOutbox(number + 1, streamed=True, on_ready=session._on_ready) for number in range(CALLS)]
    calls = [
        ChatCall(unused, AnswerForm(1), engine.tokenizer, outbox, on_end=unused, on_released=unused)
        for outbox in outboxes
    ]
    taken: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(steps):
        time.sleep(pause)
        began = time.thread_time()
        engine._step()
        pushed = time.thread_time()
        for call, delta in zip(calls, deltas, strict=True):
            call.token_delta(delta)
        handled = time.thread_time()
        session._gather().SerializeToString()
        sent = time.thread_time()
        deltas.clear()
        for part, seconds in (("engine", pushed - began), ("call", handled - pushed), ("message", sent - handled)):
            taken[part].append(1e6 * seconds / CALLS)
    return {part: statistics.median(values) for part, values in taken.items()}


async def _all() -> dict[float, Figures]:
    return {pause: _measure(pause, steps) for pause, steps in PACES}


def main() -> None:
    """Measure and print."""
    console = Console()
    console.print(", ".join(describe().values()))
    table = Table(title=f"CPU µs per token, {CALLS} calls")
    for heading in ("between two steps", "simulated engine", "call", "Relay's message", "together"):
        table.add_column(heading, justify="right")
    for pause, parts in uvloop.run(_all()).items():
        table.add_row(f"{1e3 * pause:.0f} ms", *(f"{value:.2f}" for value in (*parts.values(), sum(parts.values()))))
    console.print(table)


if __name__ == "__main__":
    main()
