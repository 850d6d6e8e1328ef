"""A client of OpenAI's files and batches over REST, for any service that has them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec

from services.commands.batch_api import Batch, ServiceAway
from services.commands.call_failed import CallFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

# An upload is answered when all of its lines are checked.
_TIMEOUT: Final = httpx2.Timeout(60.0, read=600.0)
_PREFIX: Final = "/v1"


class _File(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    data: list[Batch]


class _Problem(msgspec.Struct):
    message: str


class _Envelope(msgspec.Struct):
    error: _Problem


Body = TypeVar("Body", bound=msgspec.Struct)


class BatchClient:
    """Files and batches at one address; all methods raise CallFailed. A context manager that closes the connection."""

    def __init__(self, url: str, key: str) -> None:
        """`url` is the service's, with or without `/v1`."""
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CallFailed(f"{url} is no address of a service, as http://127.0.0.1:8080 is one.")
        self._address = f"{parts.scheme}://{parts.netloc}"
        base = f"{self._address}{parts.path.rstrip('/') or _PREFIX}"
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(base_url=base, headers=headers, timeout=_TIMEOUT)

    def __enter__(self) -> Self:
        """The client."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Close the connection."""
        self._http.close()

    def upload(self, filename: str, file: IO[bytes]) -> str:
        """Upload an input file; its id."""
        form: Any = {"data": {"purpose": "batch"}, "files": {"file": (filename, file, "application/jsonl")}}
        return self._call("POST", "/files", _File, **form).id

    def create(self, file_id: str, endpoint: str) -> Batch:
        """A batch of an uploaded file."""
        body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h"}
        return self._call("POST", "/batches", Batch, json=body)

    def find(self, batch_id: str) -> Batch:
        """A batch; ServiceAway if it may be asked for again."""
        return self._call("GET", f"/batches/{batch_id}", Batch)

    def latest(self, limit: int) -> list[Batch]:
        """The last `limit` batches, newest first."""
        return self._call("GET", "/batches", _Page, params={"limit": limit}).data

    def cancel(self, batch_id: str) -> Batch:
        """Begin to cancel a batch."""
        return self._call("POST", f"/batches/{batch_id}/cancel", Batch)

    def download(self, file_id: str | None, target: Path) -> None:
        """Write a file's content to `target`, whole or not at all; nothing into it if there is no such file."""
        unfinished = target.with_name(f"{target.name}.part")
        try:
            with unfinished.open("wb") as out:
                if file_id is not None:
                    with self._answered(), self._http.stream("GET", f"/files/{file_id}/content") as response:
                        self._check(response)
                        for data in response.iter_bytes():
                            out.write(data)
            unfinished.replace(target)
        except OSError as error:
            raise CallFailed(f"{target} cannot be written: {error.strerror}.") from error
        finally:
            unfinished.unlink(missing_ok=True)

    def _call(self, method: str, path: str, kind: type[Body], **given: Any) -> Body:
        with self._answered():
            response = self._http.request(method, path, **given)
            self._check(response)
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise CallFailed(f"{self._address} does not answer as a service with batches does.") from None

    @contextmanager
    def _answered(self) -> Iterator[None]:
        """ServiceAway if there is no connection, or it breaks."""
        try:
            yield
        except httpx2.HTTPError as error:
            raise ServiceAway(f"Nobody answers at {self._address}: {error}.") from None

    def _check(self, response: httpx2.Response) -> None:
        """Raise the error that a response is."""
        if response.is_success:
            return
        response.read()
        try:
            message = msgspec.json.decode(response.content, type=_Envelope).error.message
        except (msgspec.MsgspecError, UnicodeDecodeError):
            message = f"{self._address} answered {response.status_code} {response.reason_phrase}."
        later = response.status_code == httpx2.codes.TOO_MANY_REQUESTS or response.status_code >= 500
        raise (ServiceAway if later else CallFailed)(message)
