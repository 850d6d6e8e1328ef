"""Contents of files in a bucket, or wherever else fsspec has a file system for the URL."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import fsspec.core

from services.errors import Unavailable
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_RETRY_SECONDS: Final = 5.0


class BucketContents:
    """Contents below a URL such as `s3://bucket/folder`; credentials come from the environment, as AWS's tools say.

    What an interrupted upload leaves is invisible, and removed by the bucket's own rule for incomplete uploads.
    """

    def __init__(self, url: str) -> None:
        """SettingsError if there is no file system for the URL, or its folder cannot be listed."""
        self._files: Any
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
            self._files.ls(self._root.partition("/")[0], detail=False)
        except Exception as error:  # each file system has errors of its own
            raise SettingsError(f"CHASQUI_FILES is {url!r}, which cannot be used: {error}") from error

    def write(self, name: str, parts: Iterable[bytes]) -> int:
        """As the interface says."""
        with _reached():
            file = self._files.open(self._path(name), "wb", autocommit=False)
            try:
                for part in parts:
                    file.write(part)
                size = int(file.tell())
                file.close()
                file.commit()
            except BaseException:
                file.discard()
                raise
            return size

    def open(self, name: str) -> IO[bytes]:
        """As the interface says."""
        with _reached():
            opened: IO[bytes] = self._files.open(self._path(name), "rb")
            return opened

    def read(self, name: str, offset: int, length: int) -> bytes:
        """As the interface says."""
        with _reached():
            return bytes(self._files.cat_file(self._path(name), start=offset, end=offset + length))

    def delete(self, name: str) -> None:
        """As the interface says."""
        with _reached():
            if self._files.exists(self._path(name)):
                self._files.rm_file(self._path(name))

    def sweep(self) -> int:
        """As the interface says: nothing."""
        return 0

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


@contextmanager
def _reached() -> Iterator[None]:
    """Unavailable in place of the errors that a file system has of its own."""
    try:
        yield
    except (FileNotFoundError, Unavailable):
        raise
    except Exception as error:
        raise Unavailable("The files cannot be reached.", reason="UNAVAILABLE", retry_after=_RETRY_SECONDS) from error
