"""Files and batches over gRPC: the same as over REST, seen by their owner alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from click.testing import CliRunner, Result
from openai import OpenAI

from chasqui.v1 import batch_service_pb2 as batches
from chasqui.v1 import batch_service_pb2_grpc, file_service_pb2_grpc
from chasqui.v1 import file_service_pb2 as files
from services.cli import main
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAT: Any = "/v1/chat/completions"
ENDED = {
    batches.BATCH_STATUS_COMPLETED,
    batches.BATCH_STATUS_FAILED,
    batches.BATCH_STATUS_EXPIRED,
    batches.BATCH_STATUS_CANCELLED,
}
LIMIT = 100_000


def line(custom_id: str, **fields: Any) -> str:
    """A line of an input file."""
    body = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 3} | fields
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body})


class Owner:
    """A caller with a key of its own."""

    def __init__(self, channel: grpc.Channel, key: str) -> None:
        self.key = key
        self._metadata = (("authorization", f"Bearer {key}"),)
        self._files: Any = file_service_pb2_grpc.FileServiceStub(channel)
        self._batches: Any = batch_service_pb2_grpc.BatchServiceStub(channel)

    def call(self, method: str, request: Any) -> Any:
        stub = self._files if hasattr(self._files, method) else self._batches
        return getattr(stub, method)(request, metadata=self._metadata)

    def upload(self, *lines: str, parts: Sequence[files.UploadFileRequest] | None = None) -> files.File:
        content = "\n".join(lines).encode()
        first = files.UploadFileRequest(file=files.NewFile(filename="requests.jsonl", purpose="batch"))
        rest = [files.UploadFileRequest(data=content[at : at + 1000]) for at in range(0, len(content), 1000)]
        uploaded: files.File = self.call("UploadFile", iter((first, *rest) if parts is None else parts)).file
        return uploaded

    def content(self, file_id: str) -> bytes:
        return b"".join(part.data for part in self.call("DownloadFile", files.DownloadFileRequest(id=file_id)))

    def batch(self, batch_id: str) -> batches.Batch:
        found: batches.Batch = self.call("GetBatch", batches.GetBatchRequest(id=batch_id)).batch
        return found

    def ended(self, batch_id: str) -> batches.Batch:
        while (batch := self.batch(batch_id)).status not in ENDED:
            time.sleep(0.05)
        return batch


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("accounts") / "accounts.db"


@pytest.fixture(scope="module")
def keys(place: Path) -> list[str]:
    """Made before the service starts, which reads new ones within a second."""
    environ = {"CHASQUI_ACCOUNTS": str(place)}
    return [CliRunner().invoke(main, ["keys", "create", name], env=environ).stdout.strip() for name in ("alice", "bob")]


@pytest.fixture(scope="module")
def service(place: Path, keys: list[str]) -> Iterator[Service]:
    assert all(keys)
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": 500, "model_name": "simulated", "parallel": 4}
    with Service(**settings, accounts=place, max_file_bytes=LIMIT) as running:
        yield running


@pytest.fixture(scope="module")
def channel(service: Service) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(service.target) as channel:
        yield channel


@pytest.fixture(scope="module")
def alice(channel: grpc.Channel, keys: list[str]) -> Owner:
    return Owner(channel, keys[0])


@pytest.fixture(scope="module")
def bob(channel: grpc.Channel, keys: list[str]) -> Owner:
    return Owner(channel, keys[1])


def refused(owner: Owner, method: str, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        answer = owner.call(method, request)
        if method == "DownloadFile":
            list(answer)
    return caught.value.code(), str(caught.value.details())


def test_a_batch_is_uploaded_run_and_downloaded_and_is_the_same_over_rest(alice: Owner, service: Service) -> None:
    lines = [*(line(f"good-{number}") for number in range(20)), line("bad", temperature=9)]
    file = alice.upload(*lines)
    assert (file.filename, file.purpose, file.size_bytes) == ("requests.jsonl", "batch", len("\n".join(lines)))
    request = batches.CreateBatchRequest(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata={"of": "a test"}
    )
    batch = alice.ended(alice.call("CreateBatch", request).batch.id)
    assert batch.status == batches.BATCH_STATUS_COMPLETED
    assert (batch.total, batch.completed, batch.failed, batch.metadata["of"]) == (21, 20, 1, "a test")
    assert batch.status_since.ToSeconds() >= batch.created.ToSeconds()
    answers = [json.loads(each) for each in alice.content(batch.output_file_id).splitlines()]
    assert [each["custom_id"] for each in answers] == [f"good-{number}" for number in range(20)]
    assert json.loads(alice.content(batch.error_file_id))["custom_id"] == "bad"
    with OpenAI(base_url=f"{service.url}/v1", api_key=alice.key) as rest:
        same = rest.batches.retrieve(batch.id)
        assert (same.status, same.output_file_id) == ("completed", batch.output_file_id)
        assert rest.files.content(file.id).content == alice.content(file.id)


def test_a_batch_with_a_wrong_file_fails_and_names_its_lines(alice: Owner) -> None:
    request = batches.CreateBatchRequest(
        input_file_id=alice.upload(line("a")).id, endpoint="/v1/completions", completion_window="24h"
    )
    batch = alice.ended(alice.call("CreateBatch", request).batch.id)
    assert batch.status == batches.BATCH_STATUS_FAILED
    assert [(error.line, error.code, error.param) for error in batch.errors] == [(1, "invalid_url", "url")]


def test_files_and_batches_are_listed_in_pages_and_seen_by_their_owner_alone(alice: Owner, bob: Owner) -> None:
    ids = [alice.upload(line(f"{number}")).id for number in range(3)]
    page = alice.call("ListFiles", files.ListFilesRequest(limit=2))
    assert ([file.id for file in page.files], page.has_more) == (ids[:0:-1], True)
    page = alice.call("ListFiles", files.ListFilesRequest(after=ids[0], oldest_first=True))
    assert [file.id for file in page.files] == ids[1:]
    request = batches.CreateBatchRequest(input_file_id=ids[0], endpoint=CHAT, completion_window="24h")
    batch = alice.ended(alice.call("CreateBatch", request).batch.id)
    assert alice.call("ListBatches", batches.ListBatchesRequest(limit=1)).batches[0].id == batch.id
    assert list(bob.call("ListFiles", files.ListFilesRequest()).files) == []
    for method, of_another in (
        ("GetFile", files.GetFileRequest(id=ids[0])),
        ("DownloadFile", files.DownloadFileRequest(id=ids[0])),
        ("DeleteFile", files.DeleteFileRequest(id=ids[0])),
        ("CreateBatch", request),
        ("GetBatch", batches.GetBatchRequest(id=batch.id)),
        ("CancelBatch", batches.CancelBatchRequest(id=batch.id)),
    ):
        assert refused(bob, method, of_another)[0] is grpc.StatusCode.NOT_FOUND
    assert refused(alice, "CancelBatch", batches.CancelBatchRequest(id=batch.id))[0] is grpc.StatusCode.INVALID_ARGUMENT
    alice.call("DeleteFile", files.DeleteFileRequest(id=ids[0]))
    assert refused(alice, "GetFile", files.GetFileRequest(id=ids[0]))[0] is grpc.StatusCode.NOT_FOUND


def test_a_batch_is_cancelled(alice: Owner) -> None:
    lines = [line(f"{number}", max_tokens=3000, ignore_eos=True) for number in range(30)]
    request = batches.CreateBatchRequest(input_file_id=alice.upload(*lines).id, endpoint=CHAT, completion_window="24h")
    batch = alice.call("CreateBatch", request).batch
    status = alice.call("CancelBatch", batches.CancelBatchRequest(id=batch.id)).batch.status
    assert status in (batches.BATCH_STATUS_CANCELLING, batches.BATCH_STATUS_CANCELLED)
    assert alice.ended(batch.id).status == batches.BATCH_STATUS_CANCELLED


FIRST = files.UploadFileRequest(file=files.NewFile(purpose="batch"))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "file is missing"),
        ([files.UploadFileRequest(data=b"{}")], "file comes in the first message"),
        ([FIRST, FIRST], "file comes in the first message"),
        ([FIRST, files.UploadFileRequest()], "file comes in the first message"),
        ([FIRST, files.UploadFileRequest(data=b"{")], "Line 1 cannot be read"),
        ([FIRST, files.UploadFileRequest(data=b"x" * LIMIT), FIRST], "file comes in the first message"),
        ([FIRST, *[files.UploadFileRequest(data=b"x" * LIMIT)] * 2], f"The file is larger than {LIMIT:,} bytes"),
        ([files.UploadFileRequest(file=files.NewFile(purpose="vision"))], "purpose must be batch"),
    ],
)
def test_an_upload_that_is_wrong_is_refused_with_what_is_wrong_and_leaves_nothing(
    alice: Owner, place: Path, parts: list[files.UploadFileRequest], words: str
) -> None:
    before = set(Path(f"{place}-files").iterdir())
    with pytest.raises(grpc.RpcError) as caught:
        alice.upload(parts=parts)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in str(caught.value.details())
    assert set(Path(f"{place}-files").iterdir()) == before


def test_without_a_key_nothing_is_uploaded_and_a_page_has_a_limit(alice: Owner, channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        Owner(channel, "wrong").upload(line("a"))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    for request in (files.ListFilesRequest(limit=0), files.ListFilesRequest(limit=10_001)):
        assert refused(alice, "ListFiles", request) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "limit must be a number from 1 to 10,000.",
        )


def chasqui(service: Service, owner: Owner, *words: str) -> Result:
    options = ("--url", service.url, "--key", owner.key)
    return CliRunner().invoke(main, ["batch", *words, *options])


def test_a_file_is_run_from_the_shell_and_its_answers_and_errors_are_beside_it(
    alice: Owner, service: Service, tmp_path: Path
) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text("\n".join([line("a"), line("b"), line("c", temperature=9)]))
    done = chasqui(service, alice, "run", str(requests))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "completed: 2 answers in" in done.stderr
    answers = (tmp_path / "requests.output.jsonl").read_text().splitlines()
    assert sorted(json.loads(answer)["custom_id"] for answer in answers) == ["a", "b"]
    assert json.loads((tmp_path / "requests.errors.jsonl").read_text())["custom_id"] == "c"
    [row, *_] = json.loads(chasqui(service, alice, "list", "--format", "json").stdout)
    assert (row["status"], row["lines"], row["completed"], row["failed"]) == ("completed", 3, 2, 1)
    assert "completed" in chasqui(service, alice, "show", row["id"]).stdout
    cancelled = chasqui(service, alice, "cancel", row["id"])
    assert (cancelled.exit_code, cancelled.stderr) == (
        1,
        "chasqui: The batch is completed and cannot be cancelled any more.\n",
    )
    output = tmp_path / "again.jsonl"
    again = chasqui(service, alice, "wait", row["id"], "--output", str(output), "--errors", str(tmp_path / "errors"))
    assert (again.exit_code, output.read_text().splitlines()) == (1, answers)


def test_a_file_all_of_whose_lines_are_answered_ends_with_status_0_and_an_empty_file_of_errors(
    alice: Owner, service: Service, tmp_path: Path
) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text(line("a"))
    assert chasqui(service, alice, "run", str(requests)).exit_code == 0
    assert (tmp_path / "requests.errors.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("hello", (), "is no request of a batch"),
        (f"{line('a')}\n{{", (), "Line 2 cannot be read"),
        (line("a"), ("--endpoint", "/v1/embeddings"), "endpoint must be one of"),
        (line("a"), ("--url", "http://127.0.0.1:9"), "Nobody answers at http://127.0.0.1:9"),
        (line("a"), ("--url", "ftp://host"), "ftp://host is no address of a service"),
        (line("a"), ("--key", "wrong"), "Incorrect API key"),
    ],
)
def test_what_cannot_be_run_is_one_sentence_and_the_status_is_1(
    alice: Owner, service: Service, tmp_path: Path, content: str, options: tuple[str, ...], words: str
) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text(content)
    # The last one of an option counts.
    usual = ("--url", service.url, "--key", alice.key)
    done = CliRunner().invoke(main, ["batch", "run", str(requests), *usual, *options])
    assert (done.exit_code, done.stdout) == (1, "")
    assert words in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"requests.jsonl"}
