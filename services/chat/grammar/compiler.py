"""Checks that a grammar can be enforced, and quickly: a process of its own tries it, and is killed if it is slow."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from services.chat.grammar.trial import MOST_SECONDS
from services.errors import EngineFailed, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.chat.grammar.structured import Grammar
    from services.engine.model.tokenizer import Tokenizer

_REMEMBERED: Final = 1024  # results
_TOO_SLOW: Final = f"it takes more than {MOST_SECONDS} s of CPU time to compile"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a grammar cannot be enforced: a message for the caller, and the field that it names."""

    param: str
    message: str


class GrammarCompiler:
    """Checks grammars one after another, and remembers the results. The first check starts the process."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._process: subprocess.Popen[str] | None = None
        # It waits for the process, which works for at most MOST_SECONDS on each grammar.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="grammar")
        self._results: OrderedDict[bytes, asyncio.Future[Sequence[Problem]]] = OrderedDict()

    async def check(self, grammar: Grammar) -> None:
        """UnsupportedParameter, with the field and the place in its schema, unless the grammar can be enforced."""
        for problem in await self.problems(grammar):
            raise UnsupportedParameter(problem.message, param=problem.param)

    async def problems(self, grammar: Grammar) -> Sequence[Problem]:
        """What keeps the grammar from being enforced, for each of its schemas; EngineFailed without a process."""
        key = sha256(grammar.text.encode()).digest()
        result = self._results.get(key)
        if result is None or _has_failed(result):  # a check that could not be made is made again
            result = asyncio.get_running_loop().run_in_executor(self._thread, self._try, grammar)
            self._results[key] = result
            if len(self._results) > _REMEMBERED:
                self._results.popitem(last=False)
        self._results.move_to_end(key)
        # Others may wait for the same result when this caller has gone.
        return await asyncio.shield(result)

    def close(self) -> None:
        """End the process and the thread."""
        if self._process is not None:
            self._process.kill()
        self._thread.shutdown(cancel_futures=True)
        self._drop()

    def _try(self, grammar: Grammar) -> Sequence[Problem]:
        """In the thread. EngineFailed if no process can make the check."""
        params = list(grammar.schemas)
        task = {"grammar": grammar.text, "schemas": [json.dumps(schema) for schema in grammar.schemas.values()]}
        for _ in range(2):  # once more if the process is killed by something else than its time limit
            answer = self._answer(json.dumps(task))
            if answer is None:
                return [Problem(grammar.param, f"{grammar.param} cannot be enforced: {_TOO_SLOW}.")]
            if answer:
                return [_problem(grammar, params, found) for found in json.loads(answer)]
        raise EngineFailed("The process that checks schemas does not stay alive.")

    def _answer(self, task: str) -> str | None:
        """The answer of the process; "" if it ended without one, None if that was at its limit of CPU time."""
        if self._process is None or self._process.poll() is not None:
            self._drop()
            self._process = self._start()
        answer = _exchange(self._process, task)
        if answer:
            return answer
        self._process.wait()
        too_slow = self._process.returncode == -signal.SIGPROF
        self._drop()
        return None if too_slow else ""

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "services.chat.grammar.trial"]
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        except OSError as error:
            raise EngineFailed(f"The process that checks schemas could not be started: {error.strerror}.") from error
        tokens = [self._tokenizer.token_bytes(token).hex() for token in range(self._tokenizer.size)]
        if not _exchange(process, json.dumps(tokens)):
            _end(process)
            raise EngineFailed("The process that checks schemas could not be started.")
        return process

    def _drop(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None


def _has_failed(result: asyncio.Future[Sequence[Problem]]) -> bool:
    return result.cancelled() or (result.done() and result.exception() is not None)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill the process, if it still runs, and let go of it."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # what was not yet written is lost with the process
                pipe.close()


def _exchange(process: subprocess.Popen[str], line: str) -> str:
    """The line that answers a line; "" if the process ends instead."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return process.stdout.readline()


def _problem(grammar: Grammar, params: Sequence[str], found: dict[str, Any]) -> Problem:
    """What the process found, as a message."""
    param = grammar.param if found["schema"] is None else params[found["schema"]]
    place = f" at {found['pointer']}" if found["pointer"] else ""
    return Problem(param, f"{param} cannot be enforced{place}: {found['problem']}.")
