"""Limits: what they allow, what is given back, and how they are named; with a real store, too, if there is one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.accounts.keys.caller import Caller
from services.accounts.keys.key import AccountsError, Key
from services.accounts.keys.limits import LIMIT_NAMES, NO_LIMITS, Limits, total_limits
from services.accounts.keys.scoped_token import ScopedToken
from services.accounts.limiting import in_process, spending
from services.accounts.limiting.api import STEPS, Amounts, LimitStore, Shortage, Subject
from services.accounts.limiting.budgets import MOST_SHOWN
from services.accounts.limiting.in_process import InProcess
from services.accounts.limiting.limiter import Limiter
from services.accounts.limiting.window import Window
from services.accounts.prices.money import PICODOLLARS
from services.accounts.prices.price import price_of
from services.errors import InsufficientQuota, RateLimitExceeded, Unavailable
from services.settings import SettingsError
from tests.support.wording import is_one_sentence

# The URL of a Valkey or Redis server that may be emptied: `make test-accounts` has one.
SERVER = os.environ.get("TEST_VALKEY", "")
PRICE = price_of("1,0.5,2")


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.start = datetime(2027, 1, 31, 23, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds - 1000.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counted(clock: Clock) -> InProcess:
    return InProcess(clock.monotonic, clock.now)


def stopped() -> InProcess:
    """Counts at one moment in the middle of a month: no minute, day or month ends during a test."""
    moment = datetime.now(UTC).replace(day=15, hour=12)
    return InProcess(lambda: 1000.0, lambda: moment)


@pytest.fixture(params=["in process", "valkey"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[LimitStore]:
    """Valkey has a clock of its own: what is asserted holds unless a test takes half a minute."""
    if request.param == "in process":
        yield stopped()
        return
    if not SERVER:
        pytest.skip("TEST_VALKEY names no server; `make test-accounts` has one")
    from redis.asyncio import Redis

    from services.accounts.limiting.valkey import Valkey

    async with Redis.from_url(SERVER) as client:
        await client.flushall()
    made = Valkey(SERVER)
    yield made
    await made.close()


def caller(**limits: Any) -> Caller:
    return Caller("ana", Key("ana", "", datetime.now(UTC), limits=Limits(**limits)))


def with_token(usd: str, named: str = "t", **limits: Any) -> Caller:
    """A caller with a token of ana that may spend so much."""
    token = ScopedToken(named, datetime.now(UTC) + timedelta(days=300), (), Decimal(usd))
    return replace(caller(**limits), token=token)


def limiter_of(
    store: LimitStore,
    total: Limits = NO_LIMITS,
    *,
    opens: bool = False,
    spent: str = "0",
    over: Collection[str] = (),
) -> Limiter:
    """A limiter beside a ledger in which every token has spent so much, and keys of which some are over."""
    return Limiter(store, total, opens=opens, token_spent=lambda _, __: Decimal(spent), is_over=over.__contains__)


async def refused(limiter: Limiter, by: Caller) -> RateLimitExceeded:
    with pytest.raises(RateLimitExceeded) as raised:
        await limiter.admit(by)
    return raised.value


async def settled() -> None:
    """Wait until what was given back is there."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "limits given back"))


async def soon_refused(limiter: Limiter, by: Caller) -> RateLimitExceeded:
    """The refusal of a call that is let in until the spending so far is known."""
    async with asyncio.timeout(60):
        while True:
            try:
                (await limiter.admit(by)).settle()
            except RateLimitExceeded as error:
                return error
            await asyncio.sleep(0.01)


async def test_calls_of_a_minute_are_counted_and_the_next_is_refused_with_its_wait(store: LimitStore) -> None:
    limiter = limiter_of(store)
    for remaining in (2, 1, 0):
        allowance = await limiter.admit(caller(calls_per_minute=3))
        allowance.settle()
        headers = allowance.standing.headers()
        assert headers["x-ratelimit-limit-requests"] == "3"
        assert headers["x-ratelimit-remaining-requests"] == str(remaining)
        assert 30 < float(headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 60
    error = await refused(limiter, caller(calls_per_minute=3))
    assert error.reason == "RATE_LIMIT_EXCEEDED"
    assert "this API key is 3 calls per minute" in error.message
    assert is_one_sentence(error.message.replace("; try again in ", " ").replace(" s.", "."))
    assert error.retry_after is not None
    assert 30 < error.retry_after <= 60
    assert error.rate_limits["x-ratelimit-remaining-requests"] == "0"
    assert limiter.refused["ana", "calls_per_minute"] == 1


async def test_a_minute_is_any_sixty_seconds(counted: InProcess, clock: Clock) -> None:
    limiter = limiter_of(counted)
    for _ in range(2):
        (await limiter.admit(caller(calls_per_minute=2))).settle()
        clock.seconds += 20
    assert (await refused(limiter, caller(calls_per_minute=2))).retry_after == 20
    clock.seconds += 20
    (await limiter.admit(caller(calls_per_minute=2))).settle()
    assert (await refused(limiter, caller(calls_per_minute=2))).retry_after == 20


async def test_tokens_are_reserved_at_most_and_the_rest_is_given_back(store: LimitStore) -> None:
    limiter = limiter_of(store)
    by = caller(tokens_per_minute=100)
    first = await limiter.admit(by)
    await first.reserve(10, 80, PRICE)
    assert first.standing.headers()["x-ratelimit-remaining-tokens"] == "10"
    second = await limiter.admit(by)
    with pytest.raises(RateLimitExceeded) as raised:
        await second.reserve(10, 10, PRICE)
    assert raised.value.retry_after is not None
    first.settle(15)
    first.settle(90)  # a second time is none
    await settled()
    await second.reserve(10, 75, PRICE)
    assert second.standing.headers()["x-ratelimit-remaining-tokens"] == "0"


async def test_a_call_that_exceeds_the_limit_by_itself_need_not_try_again(store: LimitStore) -> None:
    allowance = await limiter_of(store).admit(caller(tokens_per_minute=100))
    with pytest.raises(RateLimitExceeded, match="which this call alone exceeds") as raised:
        await allowance.reserve(10, 91, PRICE)
    assert raised.value.retry_after is None


async def test_calls_at_a_time_are_bounded_until_one_ends(store: LimitStore) -> None:
    limiter = limiter_of(store)
    by = caller(concurrent_calls=2)
    first, _ = await limiter.admit(by), await limiter.admit(by)
    assert "2 concurrent calls" in (await refused(limiter, by)).message
    first.settle()
    await settled()
    await limiter.admit(by)
    await refused(limiter, by)


@pytest.mark.parametrize("period", ["usd_per_day", "usd_per_month"])
async def test_a_budget_is_never_exceeded_and_what_was_not_spent_is_given_back(store: LimitStore, period: str) -> None:
    limiter = limiter_of(store)
    by = caller(**{period: Decimal("0.0001")})  # 50 completion tokens
    first = await limiter.admit(by)
    await first.reserve(10, 40, PRICE)  # at most 90 millionths of a dollar
    second = await limiter.admit(by)
    with pytest.raises(InsufficientQuota) as raised:
        await second.reserve(11, 0, PRICE)
    assert (raised.value.reason, raised.value.retry_after) == ("INSUFFICIENT_QUOTA", None)
    first.settle(20, 30 * PICODOLLARS // 10**6)
    await settled()
    await second.reserve(10, 30, PRICE)
    assert (await refused(limiter, by)).reason == "INSUFFICIENT_QUOTA"


async def test_a_day_s_budget_is_there_again_on_the_next_day_and_a_month_s_in_the_next_month(
    counted: InProcess, clock: Clock
) -> None:
    async def spend(**budget: Any) -> None:
        await counted.take([Subject("ana", Limits(**budget))], Amounts(cost=PICODOLLARS))

    clock.start = datetime(2027, 1, 30, 23, 0, tzinfo=UTC)
    await spend(usd_per_day=Decimal(1))
    with pytest.raises(Shortage) as raised:
        await spend(usd_per_day=Decimal(1))
    assert raised.value.wait == 3600
    clock.seconds += 3600
    await spend(usd_per_day=Decimal(1))
    with pytest.raises(Shortage) as raised:
        await spend(usd_per_month=Decimal(2))
    assert raised.value.wait == 24 * 3600
    clock.seconds += 24 * 3600
    await spend(usd_per_month=Decimal(1))


async def test_the_limits_of_all_calls_hold_for_every_caller(store: LimitStore) -> None:
    limiter = limiter_of(store, Limits(calls_per_minute=2))
    await limiter.admit(Caller("address:10.0.0.1"))
    await limiter.admit(caller(calls_per_minute=9))
    error = await refused(limiter, Caller("address:10.0.0.2"))
    assert "the service is 2 calls per minute" in error.message
    # What a key's own limit refuses is not counted for all.
    assert (await refused(limiter, caller(calls_per_minute=0))).message.startswith("The limit of this API key is 0")


async def test_what_the_ledger_has_is_spent_when_a_server_begins(store: LimitStore) -> None:
    limiter = limiter_of(store, Limits(usd_per_month=Decimal(9)))
    running = asyncio.create_task(
        limiter.run(lambda: {"ana": (Decimal(1), Decimal(2)), "ben": (Decimal(0), Decimal(7))})
    )
    ana = caller(usd_per_day=Decimal(1))
    assert (await soon_refused(limiter, ana)).limit == "usd_per_day"
    assert (await soon_refused(limiter, Caller("address:10.0.0.1"))).limit == "usd_per_month"
    running.cancel()


async def test_a_store_that_loses_its_memory_is_given_the_spending_again_while_calls_come(store: LimitStore) -> None:
    if isinstance(store, InProcess):
        pytest.skip("what a server counts by itself ends with it")
    from redis.asyncio import Redis

    limiter, ana = limiter_of(store), caller(usd_per_day=Decimal(1))
    running = asyncio.create_task(limiter.run(lambda: {"ana": (Decimal(1), Decimal(2))}))
    await soon_refused(limiter, ana)
    async with Redis.from_url(SERVER) as client:
        await client.flushall()
    assert (await soon_refused(limiter, ana)).limit == "usd_per_day"
    running.cancel()


async def test_a_token_spends_no_more_than_its_limit_whatever_its_key_may(store: LimitStore) -> None:
    limiter = limiter_of(store)
    by = with_token("0.0001")  # 50 completion tokens
    first = await limiter.admit(by)
    await first.reserve(10, 40, PRICE)
    second = await limiter.admit(by)
    with pytest.raises(InsufficientQuota, match="spending limit of this token is") as raised:
        await second.reserve(11, 0, PRICE)
    assert (raised.value.limit, raised.value.retry_after) == ("spending_limit", None)
    assert limiter.refused["ana", "spending_limit"] == 1
    first.settle(20, 30 * PICODOLLARS // 10**6)
    await settled()
    await second.reserve(10, 30, PRICE)
    assert (await refused(limiter, by)).reason == "INSUFFICIENT_QUOTA"
    # Neither another token nor the key itself is at that limit.
    for other in (with_token("0.0001", "u"), caller()):
        await (await limiter.admit(other)).reserve(10, 40, PRICE)


async def test_a_token_is_held_to_the_limits_of_its_key_too_and_counts_there(store: LimitStore) -> None:
    limiter = limiter_of(store)
    await limiter.admit(with_token("1", calls_per_minute=2))
    allowance = await limiter.admit(with_token("1", "u", calls_per_minute=2))
    assert allowance.standing.headers()["x-ratelimit-remaining-requests"] == "0"
    for by in (with_token("1", "v", calls_per_minute=2), caller(calls_per_minute=2)):
        assert (await refused(limiter, by)).limit == "calls_per_minute"
    spent = limiter_of(store)
    await (await spent.admit(with_token("9", "w", usd_per_day=Decimal("0.0001")))).reserve(10, 40, PRICE)
    with pytest.raises(InsufficientQuota, match="USD per day"):
        await (await spent.admit(caller(usd_per_day=Decimal("0.0001")))).reserve(10, 40, PRICE)


@given(
    token_limit=st.integers(0, 200),
    key_limit=st.integers(0, 200),
    calls=st.lists(st.tuples(st.booleans(), st.integers(1, 60), st.integers(0, 60), st.booleans()), max_size=30),
)
@settings(deadline=None)
async def test_however_calls_overlap_neither_a_token_nor_its_key_spends_more_than_its_own(
    token_limit: int, key_limit: int, calls: list[tuple[bool, int, int, bool]]
) -> None:
    """Each call, of the token or of the key itself, reserves tokens of output, and ends at once or at the end."""
    limiter = limiter_of(stopped())
    of_key = caller(usd_per_month=Decimal(key_limit).scaleb(-6))
    of_token = replace(with_token(f"{token_limit / 10**6:.6f}"), key=of_key.key)
    price = price_of("0,0,1")  # a millionth of a dollar for each token of output
    spent = {True: 0, False: 0}
    running = []
    for is_token, reserved, used, ends in calls:
        with suppress(InsufficientQuota):
            allowance = await limiter.admit(of_token if is_token else of_key)
            await allowance.reserve(0, reserved, price)
            cost = min(used, reserved)
            spent[is_token] += cost
            if ends:
                allowance.settle(cost, cost * PICODOLLARS // 10**6)
            else:
                running.append((allowance, cost))
        assert spent[True] <= token_limit
        assert spent[True] + spent[False] <= key_limit
    for allowance, cost in running:
        allowance.settle(cost, cost * PICODOLLARS // 10**6)
    left = token_limit - spent[True], key_limit - sum(spent.values())
    if min(left) > 0:
        await (await limiter.admit(of_token)).reserve(0, min(left), price)


async def test_what_a_token_has_spent_elsewhere_is_counted_from_its_first_call(store: LimitStore) -> None:
    assert (await refused(limiter_of(store, spent="1"), with_token("1"))).limit == "spending_limit"
    # It is read once: later it may be behind what is counted.
    assert (await refused(limiter_of(store, spent="0"), with_token("1"))).limit == "spending_limit"


async def test_what_a_token_spends_at_other_servers_is_counted_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "SHARED_SECONDS", 0.01)
    ledger, reads = Decimal(0), 0

    def token_spent(_: str, __: str) -> Decimal:
        nonlocal reads
        reads += 1
        return ledger

    limiter = Limiter(InProcess(), NO_LIMITS, opens=False, token_spent=token_spent, is_over=lambda _: False)

    async def fits(tokens: int) -> bool:
        allowance = await limiter.admit(with_token("1"))
        try:
            await allowance.reserve(0, tokens, PRICE)
        except InsufficientQuota:
            return False
        finally:
            allowance.settle()
        return True

    running = await limiter.admit(with_token("1"))
    await running.reserve(0, 200_000, PRICE)  # 0.4 USD
    counting = asyncio.create_task(limiter.run(dict))
    assert await fits(300_000)
    ledger = Decimal("0.5")
    while await fits(60_000):  # noqa: ASYNC110 - another task
        await asyncio.sleep(0.01)
    assert await fits(40_000)  # 0.08 of the 0.1 USD that are left
    # The ledger may be behind what is counted here.
    running.settle(200_000, 400_000 * PICODOLLARS // 10**6)
    ledger, before = Decimal(0), reads
    while reads < before + 2:
        assert not await fits(60_000)
        await asyncio.sleep(0.01)
    counting.cancel()


@pytest.mark.parametrize("opens", [True, False])
async def test_a_token_whose_spending_cannot_be_read_is_refused_unless_it_is_set_otherwise(opens: bool) -> None:
    def away(_: str, __: str) -> Decimal:
        raise AccountsError("The accounts' database is away.")

    limiter = Limiter(InProcess(), NO_LIMITS, opens=opens, token_spent=away, is_over=lambda _: False)
    if opens:
        (await limiter.admit(with_token("1"))).settle()
        return
    with pytest.raises(Unavailable) as raised:
        await limiter.admit(with_token("1"))
    assert raised.value.reason == "LIMITS_UNAVAILABLE"


async def test_many_tokens_are_forgotten_but_none_with_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "MOST_TOKENS", 3)
    store = InProcess()
    limiter = limiter_of(store)
    running = await limiter.admit(with_token("0.0001", "running"))
    await running.reserve(10, 40, PRICE)
    for number in range(20):
        allowance = await limiter.admit(with_token("0.0001", f"t{number}"))
        await allowance.reserve(10, 40, PRICE)
        allowance.settle(50, 90 * PICODOLLARS // 10**6)
    with pytest.raises(InsufficientQuota):
        await (await limiter.admit(with_token("0.0001", "running"))).reserve(10, 40, PRICE)
    # An old one begins with the ledger again.
    await (await limiter.admit(with_token("0.0001", "t0"))).reserve(10, 40, PRICE)


async def test_without_limits_nothing_is_counted() -> None:
    class Untouched:
        available = True

    limiter = limiter_of(Untouched())  # type: ignore[arg-type]
    allowance = await limiter.admit(caller())
    await allowance.reserve(10, 10, PRICE)
    allowance.settle(20)
    assert allowance.standing.headers() == {}


@pytest.mark.parametrize("opens", [True, False])
async def test_while_the_store_is_away_calls_are_refused_unless_it_is_set_otherwise(opens: bool) -> None:
    from services.accounts.limiting.valkey import Valkey

    store = Valkey("valkey://127.0.0.1:1")
    limiter = limiter_of(store, Limits(calls_per_minute=1), opens=opens)
    if opens:
        for _ in range(2):
            (await limiter.admit(caller())).settle()
    else:
        with pytest.raises(Unavailable) as raised:
            await limiter.admit(caller())
        assert (raised.value.reason, raised.value.retry_after) == ("LIMITS_UNAVAILABLE", 1.0)
    assert (limiter.available, limiter.store_available) == (opens, False)
    await store.close()


@pytest.mark.parametrize(
    ("text", "named"),
    [("calls=3", "calls=3"), ("calls_per_minute=-1", "'-1'"), ("usd_per_day=free", "'free'"), ("12", "12")],
)
def test_total_limits_that_are_none_are_one_sentence(text: str, named: str) -> None:
    with pytest.raises(SettingsError) as raised:
        total_limits(text)
    assert is_one_sentence(str(raised.value))
    assert named in str(raised.value)


def test_total_limits_are_read() -> None:
    assert total_limits("") == NO_LIMITS
    assert total_limits("calls_per_minute=3, usd_per_day=0.5") == Limits(calls_per_minute=3, usd_per_day=Decimal("0.5"))


async def test_the_budgets_that_are_spent_most_are_known_by_their_share(counted: InProcess, clock: Clock) -> None:
    limiter = limiter_of(counted, Limits(usd_per_month=Decimal(1000)))
    assert limiter.budgets() == []
    for number in range(MOST_SHOWN + 5):
        key = Key(f"key-{number}", "", datetime.now(UTC), limits=Limits(usd_per_day=Decimal(1), calls_per_minute=99))
        allowance = await limiter.admit(Caller(key.name, key))
        await allowance.reserve(10_000 * number, 0, PRICE)
    shares = limiter.budgets()
    assert len(shares) == MOST_SHOWN
    assert shares[0] == ("key-24", "usd_per_day", 0.24)
    assert [share for _, _, share in shares] == sorted((share for _, _, share in shares), reverse=True)
    clock.seconds += 24 * 3600
    assert [(name, share) for name, _, share in limiter.budgets()][:2] == [(":total", 0.0), ("key-0", 0.0)]


async def test_a_budget_that_was_lifted_is_not_shown(counted: InProcess) -> None:
    limiter = limiter_of(counted)
    await limiter.admit(caller(usd_per_day=Decimal(1)))
    await limiter.admit(caller(calls_per_minute=9))
    assert limiter.budgets() == []


async def test_the_budget_of_a_key_that_is_over_is_shown_no_more(counted: InProcess) -> None:
    over = set[str]()
    limiter = limiter_of(counted, Limits(usd_per_day=Decimal(9)), over=over)
    await (await limiter.admit(caller(usd_per_day=Decimal(1)))).reserve(100_000, 0, PRICE)
    assert {name for name, _, _ in limiter.budgets()} == {"ana", ":total"}
    over.add("ana")
    assert {name for name, _, _ in limiter.budgets()} == {":total"}


async def test_keys_that_are_over_are_forgotten_when_others_call(counted: InProcess) -> None:
    over = set[str]()
    limiter = limiter_of(counted, over=over)
    for number in range(100):
        key = Key(f"key-{number}", "", datetime.now(UTC), limits=Limits(usd_per_day=Decimal(1)))
        (await limiter.admit(Caller(key.name, key))).settle()
        over.add(key.name)
    assert len(limiter._of_keys) < 3
    assert len(limiter._budgets._limits) < 3


async def test_counts_are_forgotten_unless_they_still_limit_something(counted: InProcess, clock: Clock) -> None:
    clock.start = datetime(2027, 1, 30, 12, 0, tzinfo=UTC)
    spender, runner = (Subject(name, Limits(usd_per_month=Decimal(1), concurrent_calls=1)) for name in ("ana", "ben"))
    limited = Subject("eva", Limits(calls_per_minute=1))
    await counted.take([spender], Amounts(cost=PICODOLLARS))
    grant = await counted.take([runner], Amounts(running=1))
    await counted.take([limited], Amounts(calls=1))

    async def others_call() -> None:
        for number in range(50):
            await counted.take([Subject(f"{clock.seconds}-{number}", Limits(calls_per_minute=9))], Amounts(calls=1))

    clock.seconds += 59
    await others_call()
    for subject, amounts in ((spender, Amounts()), (runner, Amounts(running=1)), (limited, Amounts(calls=1))):
        with pytest.raises(Shortage):
            await counted.take([subject], amounts)
    clock.seconds += 61
    await others_call()
    assert {"ana", "ben"} < set(counted._counts)
    assert "eva" not in counted._counts
    counted.give_back(grant, Amounts(running=1))
    clock.seconds += 48 * 3600  # another month
    await others_call()
    assert len(counted._counts) == 50


async def test_what_budgets_have_spent_is_known_of_every_store(store: LimitStore) -> None:
    limiter = limiter_of(store)
    allowance = await limiter.admit(caller(usd_per_day=Decimal(1), usd_per_month=Decimal(2)))
    await allowance.reserve(100_000, 0, PRICE)
    running = asyncio.create_task(limiter.run(dict))
    expected = [("ana", "usd_per_day", 0.1), ("ana", "usd_per_month", 0.05)]
    async with asyncio.timeout(60):
        while limiter.budgets() != expected:  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.01)
    running.cancel()


async def test_refusals_of_more_keys_than_are_counted_are_counted_together(
    counted: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.accounts.limiting.limiter.MOST_REFUSED", len(LIMIT_NAMES) + 1)
    limiter = limiter_of(counted)
    for name in ("ana", "ben", "eva", "ana"):
        key = Key(name, "", datetime.now(UTC), limits=Limits(concurrent_calls=0))
        await refused(limiter, Caller(name, key))
    assert {who: calls for who, calls in limiter.refused.items() if calls} == {
        ("ana", "concurrent_calls"): 2,
        (":others", "concurrent_calls"): 2,
    }


def test_a_window_keeps_the_steps_of_one_minute_only() -> None:
    window = Window()
    for step in range(10 * STEPS):
        window.advance(step)
        window.add(1)
    assert (len(window._amounts), window.total) == (STEPS, STEPS)
