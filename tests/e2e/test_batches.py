"""Files and batches through the `openai` client, as their owners, other keys and a crash meet them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from openai import APIStatusError, OpenAI

from services.cli import main
from tests.support.http import post
from tests.support.service import Service

CHAT: Any = "/v1/chat/completions"
MODEL = "simulated"


def line(custom_id: str, *, url: str = CHAT, **fields: Any) -> str:
    """A line of an input file."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 3} | fields
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


class Operator:
    """The accounts of the service, with a key for each of three owners."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.keys = [self.run("keys", "create", name) for name in ("alice", "bob", "carol")]

    def run(self, *words: str) -> str:
        """Run a command of `chasqui`."""
        done = CliRunner().invoke(main, words, env={"CHASQUI_ACCOUNTS": str(self.place)})
        assert done.exit_code == 0, done.output
        return done.stdout.strip()


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(tmp_path_factory.mktemp("accounts") / "accounts.db")


@pytest.fixture(scope="module")
def service(operator: Operator) -> Iterator[Service]:
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": 500, "model_name": MODEL, "parallel": 4}
    with Service(**settings, accounts=operator.place, max_file_bytes=100_000) as running:
        yield running


@pytest.fixture(scope="module")
def alice(service: Service, operator: Operator) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service.url}/v1", api_key=operator.keys[0], max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def bob(service: Service, operator: Operator) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service.url}/v1", api_key=operator.keys[1], max_retries=0) as client:
        yield client


@pytest.fixture
def carol(service: Service, operator: Operator) -> Iterator[OpenAI]:
    """A client that one test has for itself."""
    with OpenAI(base_url=f"{service.url}/v1", api_key=operator.keys[2], max_retries=0) as client:
        yield client


def upload(client: OpenAI, *lines: str) -> str:
    content = "\n".join(lines).encode()
    return client.files.create(file=("requests.jsonl", content), purpose="batch").id


def ended(client: OpenAI, batch_id: str) -> Any:
    """The batch once it has ended."""
    while True:
        batch = client.batches.retrieve(batch_id)
        if batch.status in {"completed", "failed", "expired", "cancelled"}:
            return batch
        time.sleep(0.05)


def run(client: OpenAI, *lines: str, endpoint: Any = CHAT) -> Any:
    batch = client.batches.create(
        input_file_id=upload(client, *lines), endpoint=endpoint, completion_window="24h", metadata={"of": "a test"}
    )
    return ended(client, batch.id)


def results(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    return [] if file_id is None else [json.loads(each) for each in client.files.content(file_id).text.splitlines()]


def test_a_batch_answers_each_line_once_or_says_why_not_and_its_usage_is_in_the_ledger(
    carol: OpenAI, operator: Operator
) -> None:
    batch = run(carol, *(line(f"good-{number}") for number in range(20)), line("bad", temperature=9), "")
    assert (batch.status, batch.endpoint, batch.metadata) == ("completed", CHAT, {"of": "a test"})
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (21, 20, 1)
    good, bad = results(carol, batch.output_file_id), results(carol, batch.error_file_id)
    assert [each["custom_id"] for each in good] == [f"good-{number}" for number in range(20)]
    assert {each["response"]["status_code"] for each in good} == {200}
    body = good[0]["response"]["body"]
    assert (body["object"], body["service_tier"]) == ("chat.completion", "flex")
    [refused] = bad
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("bad", 400)
    assert refused["response"]["body"]["error"]["param"] == "temperature"
    tokens = sum(each["response"]["body"]["usage"]["total_tokens"] for each in good)
    calls = 0
    while calls < 21:  # those that were answered, and the one that was refused
        rows = json.loads(operator.run("usage", "--format", "json", "--by", "key", "--key", "carol"))
        calls = sum(row["calls"] for row in rows)
        time.sleep(0.05)
    [row] = rows
    assert row["prompt_tokens"] + row["completion_tokens"] == tokens


def test_text_completions_with_several_prompts_are_a_batch_too(alice: OpenAI) -> None:
    several = json.loads(line("several", url="/v1/completions"))
    several["body"] = {"model": MODEL, "prompt": ["One", "Two"], "max_tokens": 2}
    batch = run(alice, json.dumps(several), endpoint="/v1/completions")
    [answer] = results(alice, batch.output_file_id)
    assert len(answer["response"]["body"]["choices"]) == 2


def test_responses_are_a_batch_too(alice: OpenAI) -> None:
    request = json.loads(line("one", url="/v1/responses"))
    request["body"] = {"model": MODEL, "input": "Hello!", "max_output_tokens": 3}
    batch = run(alice, json.dumps(request), endpoint="/v1/responses")
    [answer] = results(alice, batch.output_file_id)
    body = answer["response"]["body"]
    assert (body["object"], body["service_tier"], body["usage"]["output_tokens"]) == ("response", "flex", 3)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([line("a"), '{"custom_id": "b"'], "Line 2 cannot be read"),
        ([line("a"), line("b"), line("a")], "Line 3: the custom_id is that of line 1"),
        ([line("a", url="/v1/embeddings")], "Line 1: url must be one of"),
        ([line("")], "Line 1: custom_id must have"),
        (["", " "], "The file has no lines"),
    ],
)
def test_an_upload_with_a_wrong_line_is_refused_with_its_number_and_leaves_nothing(
    alice: OpenAI, operator: Operator, lines: list[str], words: str
) -> None:
    directory = Path(f"{operator.place}-files")
    before = set(directory.iterdir())
    with pytest.raises(APIStatusError) as caught:
        upload(alice, *lines)
    assert (caught.value.status_code, caught.value.param) == (400, "file")
    assert words in caught.value.message
    assert set(directory.iterdir()) == before


def test_a_batch_for_another_endpoint_than_its_lines_fails_and_names_them(alice: OpenAI) -> None:
    batch = run(alice, line("a"), line("b"), endpoint="/v1/completions")
    assert (batch.status, batch.output_file_id) == ("failed", None)
    assert [(error.line, error.code, error.param) for error in batch.errors.data] == [
        (1, "invalid_url", "url"),
        (2, "invalid_url", "url"),
    ]


def test_a_file_that_is_too_large_or_no_form_is_refused(alice: OpenAI, service: Service, operator: Operator) -> None:
    with pytest.raises(APIStatusError) as caught:
        upload(alice, line("a", user="x" * 100_000))
    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")
    reply = post(f"{service.url}/v1/files", {}, authorization=f"Bearer {operator.keys[0]}")
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")


def test_an_upload_that_is_given_up_leaves_nothing(service: Service, operator: Operator, alice: OpenAI) -> None:
    directory = Path(f"{operator.place}-files")
    before = set(directory.iterdir())
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {operator.keys[0]}\r\n"
        "content-type: multipart/form-data; boundary=b\r\ncontent-length: 90000\r\n\r\n"
        '--b\r\ncontent-disposition: form-data; name="file"; filename="f.jsonl"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(head.encode() + b"x" * 50_000)
    alice.files.list()
    assert set(directory.iterdir()) == before


def test_files_are_listed_described_read_and_deleted_by_their_owner_alone(alice: OpenAI, bob: OpenAI) -> None:
    ids = [upload(alice, line(f"{number}")) for number in range(3)]
    page = alice.files.list(limit=2)
    assert [file.id for file in page.data] == ids[:0:-1]
    assert [file.id for file in alice.files.list(order="asc", after=ids[0]).data][:2] == ids[1:]
    file = alice.files.retrieve(ids[0])
    assert (file.filename, file.purpose, file.bytes) == ("requests.jsonl", "batch", len(line("0")))
    assert alice.files.content(ids[0]).text == line("0")
    for call in (bob.files.retrieve, bob.files.content, bob.files.delete):
        with pytest.raises(APIStatusError) as caught:
            call(ids[0])
        assert (caught.value.status_code, caught.value.code) == (404, "not_found")
    assert bob.files.list().data == []
    assert alice.files.delete(ids[0]).deleted
    with pytest.raises(APIStatusError):
        alice.files.content(ids[0])


def test_batches_are_seen_by_their_owner_alone_and_listed_newest_first(alice: OpenAI, bob: OpenAI) -> None:
    batches = [run(alice, line("a")) for _ in range(2)]
    assert [batch.id for batch in alice.batches.list(limit=2).data] == [batch.id for batch in batches[::-1]]
    assert alice.batches.list(limit=1, after=batches[1].id).data[0].id == batches[0].id
    for call in (bob.batches.retrieve, bob.batches.cancel):
        with pytest.raises(APIStatusError) as caught:
            call(batches[0].id)
        assert caught.value.status_code == 404
    with pytest.raises(APIStatusError) as caught:
        alice.batches.cancel(batches[0].id)
    assert (caught.value.status_code, caught.value.param) == (400, "id")


def test_a_cancelled_batch_keeps_the_answers_that_it_has_and_the_rest_is_in_its_error_file(alice: OpenAI) -> None:
    # Of 0.6 s each, four at a time.
    lines = [line(f"{number}", max_tokens=300, ignore_eos=True) for number in range(300)]
    batch = alice.batches.create(input_file_id=upload(alice, *lines), endpoint=CHAT, completion_window="24h")
    while not ((counts := alice.batches.retrieve(batch.id).request_counts) and counts.completed):
        time.sleep(0.05)
    with pytest.raises(APIStatusError) as caught:
        alice.files.delete(batch.input_file_id)
    assert "cancel it first" in caught.value.message
    assert alice.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
    batch = ended(alice, batch.id)
    assert batch.status == "cancelled"
    done, rest = results(alice, batch.output_file_id), results(alice, batch.error_file_id)
    assert len(done) >= 1
    assert sorted(int(each["custom_id"]) for each in (*done, *rest)) == list(range(300))
    assert {each["error"]["code"] for each in rest} == {"batch_cancelled"}
    assert (batch.request_counts.completed, batch.request_counts.failed) == (len(done), len(rest))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"long": "x" * 513}}, "metadata"),
        ({"input_file_id": "file-0"}, "id"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 9}}, "output_expires_after"),
    ],
)
def test_a_batch_with_a_wrong_field_is_refused_by_name(
    service: Service, operator: Operator, fields: dict[str, Any], param: str
) -> None:
    body = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"} | fields
    reply = post(f"{service.url}/v1/batches", body, authorization=f"Bearer {operator.keys[0]}")
    assert (reply.status, reply.error["param"]) == (404 if param == "id" else 400, param)


def test_without_accounts_files_and_batches_are_refused_in_a_sentence() -> None:
    with Service(engine="simulated") as service:
        reply = post(f"{service.url}/v1/batches", {})
        assert (reply.status, reply.error["code"]) == (404, "no_accounts")
        assert "CHASQUI_ACCOUNTS" in reply.error["message"]
