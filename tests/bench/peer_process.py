"""A peer in processes of its own: started, waited for, watched and stopped."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from tests.bench import load
from tests.support.http import post

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

_START_SECONDS = 300


class PeerError(Exception):
    """A peer ended, or did not answer; the message is what it printed."""


class Peer:
    """A context manager: runs `commands` by the names of their parts, and serves OpenAI's chat API on `port`.

    A process that a command starts belongs to its part, unless its title contains a key of `children`, whose value is
    then the name of its part.
    """

    def __init__(
        self,
        port: int,
        model: str,
        commands: Mapping[str, Sequence[object]],
        *,
        environ: Mapping[str, str] | None = None,
        children: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port
        self.model = model
        self._commands = commands
        self._children = children or {}
        self._directory = tempfile.TemporaryDirectory(prefix="chasqui-bench-")
        # Peers are killed, so what they leave behind has to be where it is removed.
        self._environ = {**os.environ, "TMPDIR": self._directory.name, **(environ or {})}
        self._parts: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Start, and wait until a call of one token gets through; PeerError if none does."""
        try:
            for name, command in self._commands.items():
                with self._output(name).open("wb") as output:
                    self._parts[name] = subprocess.Popen(  # noqa: S603 - the bench's own commands
                        [str(word) for word in command], env=self._environ, stdout=output, stderr=output
                    )
            self._wait_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop."""
        self._stop()

    def request(self, prompt: str, tokens: int, *, stream: bool = True) -> dict[str, Any]:
        """The load's request, for the model that this peer has."""
        return load.body(prompt, tokens, stream=stream) | {"model": self.model}

    def cpu(self) -> dict[str, float]:
        """Seconds that each part has worked."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for name, part in self._parts.items():
            for process in _tree(part.pid):
                with suppress(psutil.NoSuchProcess):
                    seconds[self._part_of(process, name)] += sum(process.cpu_times()[:2])
        return dict(seconds)

    def _part_of(self, process: psutil.Process, parent: str) -> str:
        title = " ".join(process.cmdline())
        return next((part for words, part in self._children.items() if words in title), parent)

    def _wait_ready(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            for name, part in self._parts.items():
                if part.poll() is not None:
                    raise PeerError(f"{name} ended: {self._printed()}")
            try:
                url = f"http://127.0.0.1:{self.port}{load.CHAT}"
                if post(url, self.request("Hello!", 1, stream=False)).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise PeerError(f"no answer from {' and '.join(self._parts)}: {self._printed()}")

    def _stop(self) -> None:
        # The first part is what the others lean on.
        for part in reversed(self._parts.values()):
            processes = [*_tree(part.pid)]
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            part.wait()
            psutil.wait_procs(processes)
        self._directory.cleanup()

    def _output(self, name: str) -> Path:
        return Path(self._directory.name) / name

    def _printed(self) -> str:
        return "\n".join(self._output(name).read_text(errors="replace")[-2000:] for name in self._parts)


def _tree(pid: int) -> Iterator[psutil.Process]:
    """The process and all that it started and that still run."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)
