"""`chasqui batch`: runs a file of requests as a batch, and lists, shows and cancels batches."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from services.commands.call_failed import CallFailed
from services.commands.listing import FORMATS, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.commands.batch_api import Batch, BatchApi

_INTERRUPTED: Final = 130  # as shells report a program that SIGINT ended
_NEEDED: Final = "chasqui batch needs the extra 'client' (pip install 'chasqui[client]')"
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_FORMAT: Final = click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
_LONGEST_LINE: Final = 8 * 1024 * 1024


class _Target(msgspec.Struct):
    """What is read of a line before it is uploaded."""

    url: str


@click.group()
def batch() -> None:
    """Run files of requests on a service that has OpenAI's files and batches."""


def _connected(command: Callable[..., int]) -> Callable[..., None]:
    """Call a command with a client; what fails is one sentence on the terminal, and status 1."""

    @click.option(
        "--url",
        default="http://127.0.0.1:8080",
        show_default=True,
        help="The service, with or without /v1; https is TLS.",
    )
    @click.option("--key", default="", help="API key, if the service asks for one.")
    @wraps(command)
    def run(*, url: str, key: str, **options: Any) -> None:
        try:
            from services.commands.batch_client import BatchClient  # its HTTP client is not needed by other commands
        except ImportError as error:
            click.echo(f"{_NEEDED}: {error}.", err=True)
            sys.exit(2)
        try:
            with BatchClient(url, key) as client:
                sys.exit(command(client, **options))
        except CallFailed as error:
            click.echo(f"chasqui: {error}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)

    return run


def _results(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--errors", type=_FILE, help="Where errors go.  [default: FILE or BATCH with .errors.jsonl]"),
        click.option("--output", type=_FILE, help="Where answers go.  [default: FILE or BATCH with .output.jsonl]"),
    ):
        command = option(command)
    return command


@batch.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True))
@click.option("--endpoint", default="", help="Where the lines go.  [default: the url of the first line]")
@_results
@_connected
def run(client: BatchApi, file: Path, endpoint: str, output: Path | None, errors: Path | None) -> int:
    """Run the requests in FILE, one line of JSON each, and write their answers and errors to files.

    Exit status: 0 if every line has an answer, 1 if not.
    """
    from services.commands.batch_progress import upload

    endpoint = endpoint or _endpoint_of(file)
    created = client.create(upload(client, file), endpoint)
    click.echo(f"{created.id} runs; Ctrl-C leaves it running.", err=True)
    return _finished(client, created, output or _output_of(file), errors or _errors_of(file))


@batch.command()
@click.argument("name", metavar="BATCH")
@_results
@_connected
def wait(client: BatchApi, name: str, output: Path | None, errors: Path | None) -> int:
    """Wait for BATCH, and write its answers and errors to files; the exit status is that of run."""
    place = Path(f"{name}.jsonl")
    return _finished(client, client.find(name), output or _output_of(place), errors or _errors_of(place))


@batch.command("list")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="The last so many.")
@_FORMAT
@_connected
def list_batches(client: BatchApi, limit: int, form: str) -> int:
    """List batches, newest first."""
    found = client.latest(limit)
    if found or form == "json":
        click.echo(listed([_row(each) for each in found], form))
    return 0


@batch.command()
@click.argument("name", metavar="BATCH")
@_FORMAT
@_connected
def show(client: BatchApi, name: str, form: str) -> int:
    """Show BATCH, and what is wrong with its file."""
    found = client.find(name)
    row = _row(found)
    if form == "table":
        click.echo(listed([{"field": field.replace("_", " "), "value": row[field]} for field in row], form))
    else:
        click.echo(listed([row], form))
    _show_problems(found)
    return 0


@batch.command()
@click.argument("name", metavar="BATCH")
@_connected
def cancel(client: BatchApi, name: str) -> int:
    """Cancel BATCH; lines that have an answer keep it."""
    click.echo(client.cancel(name).status)
    return 0


def _endpoint_of(file: Path) -> str:
    """Where the first line goes; CallFailed if it is no line of a batch."""
    with file.open("rb") as lines:
        first = next((line for line in iter(lambda: lines.readline(_LONGEST_LINE), b"") if line.strip()), b"")
    try:
        return msgspec.json.decode(first, type=_Target).url
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CallFailed(f"The first line of {file} is no request of a batch: {error}.") from None


def _output_of(file: Path) -> Path:
    return file.with_suffix(".output.jsonl")


def _errors_of(file: Path) -> Path:
    return file.with_suffix(".errors.jsonl")


def _finished(client: BatchApi, given: Batch, output: Path, errors: Path) -> int:
    """Wait for the end of a batch and write its files; the exit status."""
    from services.commands.batch_progress import ended

    try:
        done = ended(client, given)
    except KeyboardInterrupt:
        click.echo(f"{given.id} goes on: `chasqui batch wait {given.id}` waits for it.", err=True)
        raise
    client.download(done.output_file_id, output)
    client.download(done.error_file_id, errors)
    _show_problems(done)
    counts = done.counts
    click.echo(f"{done.status}: {counts.completed} answers in {output}, {counts.failed} errors in {errors}.", err=True)
    return int(done.status != "completed" or counts.failed > 0)


def _show_problems(given: Batch) -> None:
    for problem in given.errors.data if given.errors is not None else ():
        click.echo(f"chasqui: {problem.message}", err=True)


def _row(given: Batch) -> dict[str, Any]:
    counts = given.counts
    return {
        "id": given.id,
        "status": given.status,
        "endpoint": given.endpoint,
        "lines": counts.total,
        "completed": counts.completed,
        "failed": counts.failed,
        "created_at": _moment(given.created_at),
        "expires_at": _moment(given.expires_at),
        "input_file": given.input_file_id,
        "output_file": given.output_file_id,
        "error_file": given.error_file_id,
    }


def _moment(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
