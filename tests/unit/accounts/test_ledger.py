"""The ledger: every call once, whatever happens to the database, and its sums exact."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict
from sqlalchemy import Engine, event, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError

from services.accounts.ledger import journal as journal_file
from services.accounts.ledger.entry import LOST, LedgerEntry
from services.accounts.ledger.journal import Journal
from services.accounts.ledger.usage import UsageQuery
from services.accounts.prices.money import picodollars_of, usd_of
from services.accounts.sql import ledger as ledger_thread
from services.accounts.sql.database import open_database, writing
from services.accounts.sql.entry_insert import EntryInsert
from services.accounts.sql.ledger import Ledger
from services.accounts.sql.tables import CALLS
from services.accounts.sql.usage_report import usage_report
from tests.support.ledger import AT, an_entry


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches and retries come at once."""
    monkeypatch.setattr(ledger_thread, "_BATCH_SECONDS", 0.02)
    monkeypatch.setattr(ledger_thread, "_RETRY_SECONDS", 0.05)


@pytest.fixture
def ledger(database: Engine, tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(database, Journal(tmp_path / "journal"))
    yield opened
    opened.close()


def rows(database: Engine) -> list[LedgerEntry]:
    with database.connect() as connection:
        found = connection.execute(select(CALLS).order_by(CALLS.c.call_id)).mappings()
        return [LedgerEntry(**{**row, "cost": picodollars_of(row["cost"])}) for row in found]


def eventually(condition: object) -> bool:
    """Whether a function becomes true, within the seconds that a slow machine may need."""
    end = time.monotonic() + 60
    assert callable(condition)
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())


class Outage:
    """Makes every connection to a database fail until it is over."""

    def __init__(self, database: Engine, error: Exception | None = None) -> None:
        self._database = database
        self._error = error or OperationalError("", {}, Exception("the server closed the connection"))
        event.listen(database, "checkout", self._fail)

    def _fail(self, *_: object) -> None:
        raise self._error

    def end(self) -> None:
        event.remove(self._database, "checkout", self._fail)


def test_an_entry_is_in_the_database_soon_as_it_was_given(ledger: Ledger, database: Engine) -> None:
    given = [an_entry("a"), an_entry("b", outcome="cancelled", user="f00", cost=1_000_000_000_001)]
    for entry in given:
        ledger.record(entry)
    assert eventually(lambda: rows(database) == given)


def test_an_entry_that_comes_again_is_one_row(ledger: Ledger, database: Engine) -> None:
    for entry in (an_entry("a"), an_entry("a"), an_entry("a", completion_tokens=9), an_entry("z")):
        ledger.record(entry)
        assert eventually(lambda: ledger.state().waiting == 0)
    assert rows(database) == [an_entry("a"), an_entry("z")]


def test_of_many_rows_that_are_inserted_at_once_each_call_has_the_one_that_counts(database: Engine) -> None:
    own = [an_entry(f"{number:03}", prompt_tokens=number) for number in range(200)]
    lost = [an_entry(one.call_id, outcome=LOST, completion_tokens=0) for one in own]
    given = [entry for pair in zip(lost, own, strict=True) for entry in pair]
    with writing(database) as connection:
        EntryInsert(database.dialect)(connection.exec_driver_sql, [*given, *lost, *own[:7], *given])
    assert rows(database) == own


@pytest.mark.parametrize("count", [1, 31, 32, 33, 256, 257, 600])
def test_any_number_of_rows_is_inserted_in_their_order(database: Engine, count: int) -> None:
    given = [an_entry(f"{number:03}", prompt_tokens=number) for number in range(count)]
    with writing(database) as connection:
        EntryInsert(database.dialect)(connection.exec_driver_sql, given)
    assert rows(database) == given


@pytest.mark.parametrize("parameters", [100, 999, 32_766, 250_000])
def test_no_statement_has_more_parameters_than_sqlite_was_built_for(
    parameters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite before 3.32 takes 999."""

    def limited(place: str) -> sqlite3.Connection:
        connection = connect(place)
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, parameters)
        return connection

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", limited)
    sizes: list[int] = []
    insert = EntryInsert(sqlite.dialect())
    insert(lambda _, values: sizes.append(len(values)), [an_entry(f"{number:03}") for number in range(300)])
    columns = len(LedgerEntry.__struct_fields__)
    assert sum(sizes) == 300 * columns
    assert max(sizes) <= min(parameters, 256 * columns)


def test_the_ledger_s_statements_have_few_forms(database: Engine) -> None:
    """A driver keeps some of them prepared, each in as much memory as it has rows."""
    insert = EntryInsert(database.dialect)
    statements: set[str] = set()
    given = [an_entry(f"{number:03}") for number in range(600)]
    for count in range(600):
        insert(lambda statement, _: statements.add(statement), given[:count])
    assert len(statements) == 31 + 256 // 32


@pytest.mark.parametrize("lost_first", [True, False])
def test_a_server_s_record_counts_and_not_what_an_edge_reports(
    ledger: Ledger, database: Engine, lost_first: bool
) -> None:
    own = an_entry("a")
    lost = an_entry("a", outcome=LOST, completion_tokens=9, at=own.at + timedelta(seconds=1))
    for entry in (lost, own) if lost_first else (own, lost):
        ledger.record(entry)
        assert eventually(lambda: ledger.state().waiting == 0)
    assert rows(database) == [own]


def test_while_the_database_is_away_entries_are_in_the_journal_and_afterwards_in_the_database(
    ledger: Ledger, database: Engine, tmp_path: Path
) -> None:
    ledger.record(an_entry("before"))
    assert eventually(lambda: ledger.state().written == 1)
    outage = Outage(database)
    for number in range(3):
        ledger.record(an_entry(f"during-{number}"))
        assert eventually(lambda: ledger.state().journalled == number + 1)  # noqa: B023 - called at once
    assert "during-2" in (tmp_path / "journal.0").read_text()
    outage.end()
    assert eventually(lambda: ledger.state().journalled == 0)
    ledger.record(an_entry("zafter"))
    assert eventually(lambda: len(rows(database)) == 5)
    assert [row.call_id for row in rows(database)] == ["before", "during-0", "during-1", "during-2", "zafter"]


def test_a_row_that_the_database_cannot_take_is_logged_and_keeps_no_other_out(
    ledger: Ledger, database: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    for entry in (an_entry("a"), an_entry("huge", prompt_tokens=2**63), an_entry("z")):
        ledger.record(entry)
    assert eventually(lambda: ledger.state().waiting == 0)
    assert rows(database) == [an_entry("a"), an_entry("z")]
    assert (ledger.state().written, ledger.state().dropped, ledger.state().journalled) == (2, 1, 0)
    [record] = [record for record in caplog.records if "a row of the ledger is lost" in record.message]
    assert '"call_id": "huge"' in record.__dict__["fields"]["entry"]


def test_an_error_that_nobody_foresaw_does_not_end_the_ledger(ledger: Ledger, database: Engine) -> None:
    outage = Outage(database, RuntimeError("a bug"))
    ledger.record(an_entry("a"))
    assert eventually(lambda: ledger.state().journalled == 1)
    outage.end()
    assert eventually(lambda: rows(database) == [an_entry("a")])


def test_what_a_server_leaves_in_its_journal_the_next_one_writes(place: str, tmp_path: Path) -> None:
    database = open_database(place)
    outage = Outage(database)
    first = Ledger(database, Journal(tmp_path / "journal"))
    first.record(an_entry("a"))
    first.close()
    outage.end()
    second = Ledger(database, Journal(tmp_path / "journal"))
    assert eventually(lambda: rows(database) == [an_entry("a")])
    second.close()
    assert list(tmp_path.glob("journal.*")) == []
    database.dispose()


def test_two_servers_have_a_journal_each(tmp_path: Path) -> None:
    first, second = Journal(tmp_path / "journal"), Journal(tmp_path / "journal")
    first.append([an_entry("a")])
    second.append([an_entry("b")])
    assert ([*first.entries()], [*second.entries()]) == ([an_entry("a")], [an_entry("b")])
    first.close()
    second.close()
    again = Journal(tmp_path / "journal")
    assert [*again.entries()] == [an_entry("a")]
    again.close()


def test_a_line_that_a_crash_has_cut_off_harms_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [an_entry("a").to_json(), an_entry("b").to_json()[:50], an_entry("c").to_json()]
    (tmp_path / "journal.0").write_text("\n".join(lines) + "\n")
    journal = Journal(tmp_path / "journal")
    assert [entry.call_id for entry in journal.entries()] == ["a", "c"]
    assert "no entry" in caplog.text
    journal.close()


def test_a_journal_that_is_full_says_what_is_lost(
    ledger: Ledger, database: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_file, "MAX_BYTES", 600)
    outage = Outage(database)
    ledger.record(an_entry("kept"))
    assert eventually(lambda: ledger.state().journalled == 1)
    ledger.record(an_entry("dropped"))
    assert eventually(lambda: "a row of the ledger is lost" in caplog.text)
    assert ledger.state().dropped == 1
    outage.end()
    assert eventually(lambda: [row.call_id for row in rows(database)] == ["kept"])


@given(entries=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 10**9)), max_size=20))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_sums_are_exact(database: Engine, entries: list[tuple[str, str, int]]) -> None:
    made = [
        an_entry(str(number), key=key, model=model, prompt_tokens=tokens, cost=tokens * 55_000)
        for number, (key, model, tokens) in enumerate(entries)
    ]
    with database.begin() as connection:
        connection.execute(CALLS.delete())
        for one in made:
            connection.execute(CALLS.insert().values(**{**asdict(one), "cost": usd_of(one.cost)}))
    report = usage_report(database, UsageQuery(("key", "model")))
    assert [tuple(row.groups.values()) for row in report] == sorted({(key, model) for key, model, _ in entries})
    for row in report:
        own = [one for one in made if (one.key, one.model) == tuple(row.groups.values())]
        assert (row.calls, row.prompt_tokens) == (len(own), sum(one.prompt_tokens for one in own))
        assert row.cost == usd_of(sum(one.cost for one in own))
    [total] = usage_report(database, UsageQuery())
    assert (total.calls, total.cost) == (len(made), usd_of(sum(one.cost for one in made)))


def test_sums_are_grouped_by_time_and_bounded_by_it(ledger: Ledger, database: Engine) -> None:
    for days in range(3):
        ledger.record(an_entry(f"d{days}", at=AT + timedelta(days=days)))
    assert eventually(lambda: ledger.state().written == 3)

    def times(group: str, **bounds: object) -> list[str]:
        query = UsageQuery((group,), **bounds)  # type: ignore[arg-type]
        return [row.groups[group] for row in usage_report(database, query)]

    assert times("day") == ["2027-01-31", "2027-02-01", "2027-02-02"]
    assert times("month") == ["2027-01", "2027-02"]
    assert times("hour")[0] == "2027-01-31 12"
    assert times("day", since=AT + timedelta(days=1)) == ["2027-02-01", "2027-02-02"]
    assert times("day", until=AT + timedelta(days=1)) == ["2027-01-31"]
    assert times("day", where={"key": "ben"}) == []


def test_calls_are_selected_by_every_filter_and_a_token_s_by_its_id(ledger: Ledger, database: Engine) -> None:
    ledger.record(an_entry("own"))
    for number, token in enumerate(("t", "t", "u")):
        ledger.record(an_entry(f"{number}", token=token))
    ledger.record(an_entry("other", key="ben", owner="o", user="f00", model="m", endpoint="e", outcome="failed"))
    assert eventually(lambda: ledger.state().written == 5)

    def calls(**where: str) -> int:
        return usage_report(database, UsageQuery(where=where))[0].calls

    assert (calls(token="t", key="ana"), calls(token="t", key="ben"), calls(token="")) == (2, 0, 2)
    for name, value in {"owner": "o", "user": "f00", "model": "m", "endpoint": "e", "outcome": "failed"}.items():
        assert (calls(**{name: value}), calls(**{name: value, "key": "ana"})) == (1, 0)
    by_token = usage_report(database, UsageQuery(("token",), where={"key": "ana"}))
    assert [(row.groups["token"], row.calls) for row in by_token] == [("", 1), ("t", 2), ("u", 1)]


def test_a_line_of_a_journal_before_tokens_is_an_entry() -> None:
    line = an_entry("a").to_json().replace(', "token": ""', "")
    assert '"token"' not in line
    assert LedgerEntry.from_json(line) == an_entry("a")
