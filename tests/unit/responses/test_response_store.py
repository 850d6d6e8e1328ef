"""Stored responses in the database: whose they are, how long, in which order, and when the database is away."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from services.accounts.sql.tables import RESPONSES
from services.errors import InvalidValue, NotFound, PreviousResponseNotFound, Unavailable
from services.responses import response_store, write_queue
from services.responses.factory import open_responses
from services.responses.record import StoredResponse
from services.responses.response_store import ResponseStore
from services.settings import Settings, SettingsError

RETRY = 60.0


def response(response_id: str, **fields: Any) -> StoredResponse:
    given: dict[str, Any] = {"account": "ana", "created_at": datetime.now(UTC), "input": "[]", "body": "{}"} | fields
    return StoredResponse(response_id, **given)


def save(store: ResponseStore, *responses: StoredResponse) -> None:
    for saved in [store.save(one) for one in responses]:
        assert saved.result(RETRY)


def chain(store: ResponseStore, *ids: str) -> None:
    """Responses of which each continues the one before."""
    for depth, response_id in enumerate(ids):
        save(store, response(response_id, depth=depth + 1, previous=ids[depth - 1] if depth else None))


def rows(store: ResponseStore) -> int:
    with store._engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(RESPONSES)).scalar_one())


def test_a_response_is_there_as_soon_as_it_is_stored_whatever_it_holds(store: ResponseStore) -> None:
    stored = response("resp_1", input='[{"a":"\\u0000 ¡🏃"}]', body='{"b":"' + "x" * 100_000 + '"}')
    save(store, stored)
    assert store.find("ana", "resp_1") == stored
    save(store, replace(stored, body="{}"))  # again: the first one stays
    assert store.find("ana", "resp_1") == stored


def test_another_key_sees_a_response_no_more_than_one_that_is_not_there(store: ResponseStore) -> None:
    save(store, response("resp_1"))
    for account, response_id in (("bob", "resp_1"), ("ana", "resp_2")):
        for call in (store.find, store.delete, store.conversation):
            with pytest.raises(NotFound, match=response_id):
                call(account, response_id)
        with pytest.raises(PreviousResponseNotFound, match=response_id):
            store.continued(account, response_id)
    assert store.find("ana", "resp_1").account == "ana"


def test_a_conversation_is_every_response_of_it_the_oldest_first(store: ResponseStore) -> None:
    ids = [f"resp_{number}" for number in range(20)]
    chain(store, *ids)
    save(store, response("resp_side", previous="resp_3", depth=5))
    assert [one.id for one in store.continued("ana", "resp_19")] == ids
    assert [one.id for one in store.continued("ana", "resp_side")] == [*ids[:4], "resp_side"]
    assert [one.id for one in store.continued("ana", "resp_0")] == ["resp_0"]


def test_a_conversation_goes_on_only_while_all_of_it_is_stored(store: ResponseStore) -> None:
    chain(store, "resp_a", "resp_b", "resp_c", "resp_d")
    store.delete("ana", "resp_b")
    with pytest.raises(PreviousResponseNotFound, match="resp_b") as caught:
        store.continued("ana", "resp_d")
    assert caught.value.param == "previous_response_id"
    assert [one.id for one in store.conversation("ana", "resp_d")] == ["resp_c", "resp_d"]
    assert [one.id for one in store.continued("ana", "resp_a")] == ["resp_a"]


def test_a_conversation_has_no_responses_of_another_key(store: ResponseStore) -> None:
    save(store, response("resp_1", account="bob"), response("resp_2", previous="resp_1", depth=2))
    with pytest.raises(PreviousResponseNotFound, match="resp_1"):
        store.continued("ana", "resp_2")


@pytest.mark.parametrize("bound", ["MAX_DEPTH", "MAX_CONVERSATION_CHARACTERS"])
def test_a_longer_conversation_than_the_bounds_is_refused_by_name(
    store: ResponseStore, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    save(store, response("resp_1", depth=3, conversation_characters=3))
    monkeypatch.setattr(response_store, bound, 3)
    assert len(store.continued("ana", "resp_1")) == 1
    monkeypatch.setattr(response_store, bound, 2)
    with pytest.raises(InvalidValue, match="begin a new one") as caught:
        store.continued("ana", "resp_1")
    assert caught.value.param == "previous_response_id"


def test_an_old_response_is_not_served_and_then_removed(store: ResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store._queue._next_sweep = math.inf  # the thread's own
    old = datetime.now(UTC) - timedelta(days=30, seconds=1)
    save(store, *(response(f"resp_{number}", created_at=old) for number in range(5)))
    save(store, response("resp_new", previous="resp_1", depth=2))
    with pytest.raises(NotFound):
        store.find("ana", "resp_1")
    with pytest.raises(NotFound):
        store.delete("ana", "resp_1")
    with pytest.raises(PreviousResponseNotFound, match="resp_1"):
        store.continued("ana", "resp_new")
    monkeypatch.setattr(response_store, "_SWEPT", 3)
    assert (rows(store), store.sweep(), rows(store), store.sweep(), rows(store)) == (6, True, 3, False, 1)
    assert store.find("ana", "resp_new").id == "resp_new"


def test_a_deleted_response_is_gone_from_the_database(store: ResponseStore) -> None:
    save(store, response("resp_1"))
    store.delete("ana", "resp_1")
    assert rows(store) == 0


def test_while_the_database_is_away_nothing_is_stored_or_waits_and_afterwards_all_is_again(
    store: ResponseStore,
) -> None:
    save(store, response("resp_1"))
    with store._engine.begin() as connection:
        connection.execute(text("ALTER TABLE responses RENAME TO hidden"))
    assert store.save(response("resp_2")).result(RETRY) is False
    assert store.save(response("resp_3")).done()
    with pytest.raises(Unavailable) as caught:
        store.check()
    assert (caught.value.reason, caught.value.retry_after) == ("STORE_UNAVAILABLE", 1.0)
    for call in (store.find, store.delete, store.conversation, store.continued):
        with pytest.raises(Unavailable):
            call("ana", "resp_1")
    with store._engine.begin() as connection:
        connection.execute(text("ALTER TABLE hidden RENAME TO responses"))
    end = time.monotonic() + RETRY
    while store._queue._away and time.monotonic() < end:
        store._queue._wake.set()  # it looks once a second by itself
        time.sleep(0.001)
    store.check()
    save(store, response("resp_4"))
    assert rows(store) == 2


def test_more_than_may_wait_and_a_response_that_is_too_large_are_not_stored(
    store: ResponseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_queue, "MAX_CHARACTERS", 50)
    assert store.save(response("resp_1", body="x" * 49)).result(RETRY) is False
    assert store.save(response("resp_2", body="x" * 48)).result(RETRY)
    monkeypatch.setattr(write_queue, "MAX_WAITING_CHARACTERS", 49)
    assert store.save(response("resp_3", body="x" * 48)).result(RETRY) is False
    assert rows(store) == 1


def test_what_waits_when_the_process_ends_is_stored(place: str) -> None:
    settings = Settings(accounts=place, response_days=1)
    store = ResponseStore(settings)
    saved = [store.save(response(f"resp_{number}")) for number in range(50)]
    store.close()
    assert all(one.result(0) for one in saved)
    again = ResponseStore(settings)
    assert rows(again) == 50
    again.close()


def test_without_accounts_or_days_there_is_no_store(place: str) -> None:
    assert open_responses(Settings(accounts=place)) is None
    with pytest.raises(SettingsError, match="CHASQUI_RESPONSE_DAYS needs CHASQUI_ACCOUNTS"):
        open_responses(Settings(response_days=1))
