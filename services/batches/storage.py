"""Files, batches and lines of `CHASQUI_ACCOUNTS`, opened together."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import event
from sqlalchemy.exc import InterfaceError, OperationalError

from services.accounts.sql.database import open_database, writing
from services.batches.batch_store import BatchStore, move
from services.batches.contents import DirectoryContents
from services.batches.file_store import FileStore
from services.batches.line_store import LineStore, delete_lines
from services.batches.record import Batch, Status, StoredFile
from services.errors import Unavailable
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ExceptionContext

    from services.batches.contents import Contents
    from services.settings import Settings

_RETRY_SECONDS: Final = 5.0


class BatchStorage:
    """Owns the connections to the database until it is closed."""

    def __init__(self, settings: Settings) -> None:
        """SettingsError if the database, or what has the contents, cannot be used."""
        contents = _contents(settings)
        self._engine = open_database(settings.accounts)
        event.listen(self._engine, "handle_error", _unavailable)
        self.max_file_bytes = settings.max_file_bytes
        self.file_days = settings.file_days
        self.files = FileStore(self._engine, contents)
        self.batches = BatchStore(self._engine)
        self.lines = LineStore(self._engine)

    def end(self, batch: Batch, status: Status) -> None:
        """Write the result files of a batch whose lines all have results, and end it; can be repeated after a crash."""
        counts, files = {}, {}
        for name, succeeded in (("completed", True), ("failed", False)):
            kind = "output" if succeeded else "error"
            file_id = f"file-{batch.id.removeprefix('batch_')}-{kind}"
            lines = _Counted(self.lines.results(batch, succeeded=succeeded))
            size = self.files.contents.write(file_id, lines)
            counts[name] = lines.count
            if lines.count:
                filename = f"{batch.id}_{kind}.jsonl"
                files[f"{kind}_file"] = StoredFile(
                    file_id, batch.account, "batch_output", filename, size, datetime.now(UTC)
                )
            else:
                self.files.contents.delete(file_id)
        with writing(self._engine) as connection:
            ids = {column: file.id for column, file in files.items()}
            if move(connection, batch, status, **counts, **ids):
                for file in files.values():
                    self.files.insert(connection, file)
                connection.execute(delete_lines(batch))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


class _Counted:
    """Lines of text as bytes, counted as they are taken."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.count = 0
        self._lines = lines

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line.encode() + b"\n"


def _contents(settings: Settings) -> Contents:
    if "://" not in settings.files:
        return DirectoryContents(Path(settings.files or f"{settings.accounts}-files"))
    try:
        from services.batches.bucket_contents import BucketContents
    except ImportError as error:
        raise SettingsError(
            f"CHASQUI_FILES is a URL, which needs the extra 'bucket' (pip install 'chasqui[bucket]'): {error}."
        ) from error
    return BucketContents(settings.files)


def _unavailable(context: ExceptionContext) -> None:
    """Raise Unavailable in place of the error of a database that is away, or that another process holds too long."""
    error = context.sqlalchemy_exception
    if isinstance(error, OperationalError | InterfaceError) and not context.is_pre_ping:
        raise Unavailable(
            "The database of files and batches does not answer.", reason="UNAVAILABLE", retry_after=_RETRY_SECONDS
        ) from context.original_exception
