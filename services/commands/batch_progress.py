"""Uploads a file and waits for a batch, with a bar on the terminal's standard error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from services.commands.batch_api import ServiceAway
from services.commands.call_failed import CallFailed

if TYPE_CHECKING:
    from pathlib import Path

    from services.commands.batch_api import Batch, BatchApi

_SHORTEST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
# A batch goes on while its service cannot be asked, and so does waiting for it, up to this time.
_PATIENCE: Final = 600.0


def upload(client: BatchApi, file: Path) -> str:
    """Upload an input file; its id. Raises CallFailed."""
    console = Console(stderr=True)
    columns = (TextColumn("uploading"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True) as progress, progress.open(file, "rb") as source:
        return client.upload(file.name, source)


def ended(client: BatchApi, batch: Batch) -> Batch:
    """The batch once it has ended. Raises CallFailed, if the service is away only after ten minutes."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(batch.status, total=None)
        pause, answered = _SHORTEST_PAUSE, time.monotonic()
        while True:
            counts = batch.counts
            done = counts.completed + counts.failed
            progress.update(task, description=batch.status, completed=done, total=counts.total or None)
            if batch.ended:
                return batch
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE)
            try:
                batch = client.find(batch.id)
                answered = time.monotonic()
            except ServiceAway as error:
                if time.monotonic() - answered > _PATIENCE:
                    raise CallFailed(f"{error} The batch goes on: `chasqui batch wait {batch.id}`.") from None
                progress.update(task, description="no answer, asking again")
