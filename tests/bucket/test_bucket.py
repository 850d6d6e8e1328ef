"""Files and batches in a bucket of S3, played by moto. Run by `make test-bucket`, which installs what this needs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer
from openai import APIStatusError, OpenAI

from services.batches.bucket_contents import BucketContents
from services.cli import main
from services.errors import Unavailable
from services.settings import SettingsError
from tests.support.service import Service

CHAT: Any = "/v1/chat/completions"
BUCKET = "requests"
URL = f"s3://{BUCKET}/files"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """An empty bucket; the environment says where it is, also to the processes that are started."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        made = boto3.resource("s3").create_bucket(Bucket=BUCKET)
        yield made
    server.stop()


def names(bucket: Any) -> set[str]:
    return {each.key.rpartition("/")[2] for each in bucket.objects.all()}


def test_a_content_is_written_whole_or_not_at_all(bucket: Any) -> None:
    contents = BucketContents(URL)
    assert contents.write("one", [b"abc", b"def"]) == 6
    assert contents.read("one", 1, 3) == b"bcd"
    with contents.open("one") as file:
        assert file.readlines() == [b"abcdef"]
    assert contents.write("none", []) == 0
    with contents.open("none") as file:
        assert file.read() == b""

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise ValueError("The rest cannot be read.")

    with pytest.raises(Unavailable):
        contents.write("two", broken())
    assert names(bucket) == {"one", "none"}
    for name in ("one", "none", "two"):
        contents.delete(name)
    assert names(bucket) == set()
    with pytest.raises(FileNotFoundError):
        contents.read("one", 0, 1)


def test_a_bucket_that_cannot_be_reached_is_a_sentence_at_the_start(bucket: Any) -> None:
    with pytest.raises(SettingsError, match="CHASQUI_FILES is 's3://elsewhere/files', which cannot be used"):
        BucketContents("s3://elsewhere/files")
    with pytest.raises(SettingsError, match="CHASQUI_FILES is 'nothing://files'"):
        BucketContents("nothing://files")


def test_a_batch_has_its_files_in_the_bucket_and_nothing_on_disk(bucket: Any, tmp_path: Path) -> None:
    place = tmp_path / "accounts.db"
    key = CliRunner().invoke(main, ["keys", "create", "ana"], env={"CHASQUI_ACCOUNTS": str(place)}).stdout.strip()
    body = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 3}
    line = {"method": "POST", "url": CHAT, "body": body}
    content = "\n".join(json.dumps({"custom_id": f"{number}", **line}) for number in range(50)).encode()
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": 500, "model_name": "simulated"}
    with (
        Service(**settings, accounts=place, files=URL) as service,
        OpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0) as client,
    ):
        file = client.files.create(file=("requests.jsonl", content), purpose="batch")
        batch: Any = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        while (batch := client.batches.retrieve(batch.id)).status != "completed":
            time.sleep(0.1)
        answers = client.files.content(str(batch.output_file_id)).text.splitlines()
        assert sorted(int(json.loads(answer)["custom_id"]) for answer in answers) == list(range(50))
        assert client.files.content(file.id).content == content
        assert names(bucket) == {file.id, batch.output_file_id}
        assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == set()
        client.files.delete(file.id)
        assert names(bucket) == {batch.output_file_id}
        bucket.objects.all().delete()
        with pytest.raises(APIStatusError) as caught:
            client.files.content(str(batch.output_file_id))
        assert caught.value.status_code == 404
