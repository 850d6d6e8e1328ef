"""Tells whether a grammar can be enforced, and quickly: a process of its own tries it, and is killed if it is slow."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from services.chat.grammar.schema import pointer_to
from services.chat.grammar.trial import MOST_SECONDS
from services.errors import EngineFailed, UnsupportedParameter

if TYPE_CHECKING:
    from services.chat.grammar.structured import Grammar
    from services.engine.model.tokenizer import Tokenizer

_REMEMBERED: Final = 1024  # verdicts


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Why a grammar cannot be enforced, "" if it can, and the field to blame."""

    problem: str
    param: str


class GrammarCompiler:
    """Checks grammars one after another, and remembers what it found. The first one starts the process."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._process: subprocess.Popen[str] | None = None
        # It waits for the process, which works for at most MOST_SECONDS on each grammar.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="grammar")
        self._verdicts: OrderedDict[bytes, asyncio.Future[_Verdict]] = OrderedDict()

    async def check(self, grammar: Grammar) -> None:
        """UnsupportedParameter, with the field and the place in its schema, unless the grammar can be enforced."""
        key = sha256(grammar.text.encode()).digest()
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = asyncio.get_running_loop().run_in_executor(self._thread, self._try, grammar)
            self._verdicts[key] = verdict
            if len(self._verdicts) > _REMEMBERED:
                self._verdicts.popitem(last=False)
        self._verdicts.move_to_end(key)
        try:
            # Others may wait for the same verdict when this caller has gone.
            found = await asyncio.shield(verdict)
        except EngineFailed:
            self._verdicts.pop(key, None)
            raise
        if found.problem:
            message = f"{found.param} cannot be enforced{found.problem}."
            raise UnsupportedParameter(message, param=found.param)

    def close(self) -> None:
        """End the process and the thread."""
        if self._process is not None:
            self._process.kill()
        self._thread.shutdown(cancel_futures=True)
        self._drop()

    def _try(self, grammar: Grammar) -> _Verdict:
        """In the thread. EngineFailed if there is no process to be had."""
        if self._process is None or self._process.poll() is not None:
            self._drop()
            self._process = self._start()
        schemas = list(grammar.schemas.items())
        task = {"grammar": grammar.text, "schemas": [json.dumps(schema) for _, schema in schemas]}
        answer = _exchange(self._process, json.dumps(task))
        if not answer:
            self._drop()
            return _Verdict(f": it takes more than {MOST_SECONDS} s of CPU time to compile", grammar.param)
        told = json.loads(answer)
        if told["schema"] is None:
            return _Verdict(told["problem"] and f": {told['problem']}", grammar.param)
        param, schema = schemas[told["schema"]]
        pointer = pointer_to(schema, told["problem"])
        return _Verdict(f" at {pointer}: {told['problem']}" if pointer else f": {told['problem']}", param)

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "services.chat.grammar.trial"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        tokens = [self._tokenizer.token_bytes(token).hex() for token in range(self._tokenizer.size)]
        if not _exchange(process, json.dumps(tokens)):
            _end(process)
            raise EngineFailed("The process that checks schemas could not be started.")
        return process

    def _drop(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None


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
