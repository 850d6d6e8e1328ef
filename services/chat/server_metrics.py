"""The state of a server as metrics that are observed on collection: calls record nothing for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics
from opentelemetry.metrics import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.metrics import CallbackOptions

    from services.accounts.api import Accounts, LedgerState
    from services.accounts.limiting.limiter import Limiter
    from services.batches.watch import BatchWatch
    from services.chat.scheduling.admission import Admission
    from services.chat.transport.health import HealthMonitor
    from services.chat.transport.relay_session import RelayTraffic
    from services.engine.api import Engine


def show_server(admission: Admission, engine: Engine, health: HealthMonitor, traffic: RelayTraffic) -> None:
    """Register the metrics of a server."""
    meter = metrics.get_meter("chasqui.server")
    gauges: tuple[tuple[str, str, str, Callable[[], float | None]], ...] = (
        ("chasqui.calls.running", "{call}", "Calls in the engine.", lambda: admission.running),
        (
            "chasqui.calls.waiting",
            "{call}",
            "Calls that wait for the engine, or whose prompt is being processed.",
            lambda: admission.waiting,
        ),
        ("chasqui.ready", "1", "1 while the server is ready for calls, else 0.", lambda: int(health.serving)),
        (
            "chasqui.engine.heartbeat.age",
            "s",
            "Time since a working engine last made progress.",
            lambda: health.heartbeat_age,
        ),
        (
            *("chasqui.engine.kv_cache.use", "1", "Share of the KV cache in use, if the engine reports it."),
            lambda: engine.heartbeat().kv_cache_use,
        ),
    )
    for name, unit, description, value in gauges:
        meter.create_observable_gauge(name, [_observed(value)], unit, description)
    counters: tuple[tuple[str, str, str, Callable[[], float]], ...] = (
        ("chasqui.relay.messages", "{message}", "Messages to edge workers.", lambda: traffic.messages),
        ("chasqui.relay.entries", "{entry}", "Entries of calls in those messages.", lambda: traffic.entries),
        (
            *("chasqui.calls.preempted", "{call}", "Flex calls that gave up their slots for others, to run again."),
            lambda: admission.preempted,
        ),
    )
    for name, unit, description, value in counters:
        meter.create_observable_counter(name, [_observed(value)], unit, description)


def show_limits(limiter: Limiter) -> None:
    """Register the metrics of the limits."""
    meter = metrics.get_meter("chasqui.server")

    def refused(_: CallbackOptions) -> Iterator[Observation]:
        for (key, limit), count in list(limiter.refused.items()):
            yield Observation(count, {"chasqui.key": key, "chasqui.limit": limit})

    def budgets(_: CallbackOptions) -> Iterator[Observation]:
        for key, limit, share in limiter.budgets():
            yield Observation(share, {"chasqui.key": key, "chasqui.limit": limit})

    meter.create_observable_counter("chasqui.limits.refused", [refused], "{call}", "Calls that a limit has refused.")
    meter.create_observable_gauge(
        "chasqui.limits.budget.use",
        [budgets],
        "1",
        "Spent or reserved share of a budget, of those that are spent most.",
    )
    meter.create_observable_gauge(
        "chasqui.limits.available",
        [_observed(lambda: int(limiter.store_available))],
        "1",
        "1 while limits can be checked, 0 while their store is away.",
    )


def show_ledger(accounts: Accounts | None) -> None:
    """Register the metrics of the ledger; without one they stay at zero."""
    meter = metrics.get_meter("chasqui.server")
    counters: tuple[tuple[str, str, Callable[[LedgerState], float]], ...] = (
        ("chasqui.ledger.written", "Rows that were written to the ledger.", lambda state: state.written),
        ("chasqui.ledger.dropped", "Rows that are in the log only: the journal was full.", lambda state: state.dropped),
    )
    for name, description, value in counters:
        meter.create_observable_counter(name, [_observed(_of_ledger(accounts, value))], "{row}", description)
    gauges: tuple[tuple[str, str, Callable[[LedgerState], float]], ...] = (
        ("chasqui.ledger.waiting", "Rows for the next write to the ledger.", lambda state: state.waiting),
        ("chasqui.ledger.journal", "Rows in the journal: the database is away.", lambda state: state.journalled),
    )
    for name, description, value in gauges:
        meter.create_observable_gauge(name, [_observed(_of_ledger(accounts, value))], "{row}", description)


def show_batches(watch: BatchWatch | None) -> None:
    """Register the metrics of batches; without any they stay at zero."""
    meter = metrics.get_meter("chasqui.server")
    gauges: tuple[tuple[str, str, str, Callable[[BatchWatch], float]], ...] = (
        ("chasqui.batches.unfinished", "{batch}", "Batches that have not ended.", lambda each: each.unfinished),
        ("chasqui.batches.open.lines", "{line}", "Lines of them without a result.", lambda each: each.open_lines),
        ("chasqui.batches.age", "s", "Time since the oldest of them was created.", lambda each: each.oldest),
        ("chasqui.batches.idle", "s", "Time since one of their lines last got its result.", lambda each: each.idle),
    )
    for name, unit, description, value in gauges:
        meter.create_observable_gauge(name, [_observed(_of_batches(watch, value))], unit, description)


def _of_batches(watch: BatchWatch | None, value: Callable[[BatchWatch], float]) -> Callable[[], float]:
    return lambda: 0 if watch is None else value(watch)


def _of_ledger(accounts: Accounts | None, value: Callable[[LedgerState], float]) -> Callable[[], float]:
    return lambda: 0 if accounts is None else value(accounts.ledger.state())


def _observed(value: Callable[[], float | None]) -> Callable[[CallbackOptions], Iterator[Observation]]:
    def observe(_: CallbackOptions) -> Iterator[Observation]:
        now = value()
        if now is not None:
            yield Observation(now)

    return observe
