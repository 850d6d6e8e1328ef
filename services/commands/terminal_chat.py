"""The loop of `chasqui chat`: what is typed, and what is shown."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from rich.console import Console

from services.commands.call_failed import CallFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from services.commands.dialogue import Answer, Dialogue

with suppress(ImportError):  # Windows has none
    import readline  # noqa: F401 - with it, input() has a history and can be edited

_HELP = """\
/system TEXT   set the system prompt; without a text there is none
/tools FILE    offer the tools in a JSON file, in OpenAI's form; without a file none
/save FILE     save the messages as JSON, in OpenAI's form
/help          this list
Ctrl-C stops the answer, Ctrl-D ends the chat."""


class TerminalChat:
    """Reads messages and commands until the end of the input."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._console = Console(highlight=False)
        self._commands: Mapping[str, Callable[[str], str]] = {
            "/system": self._system,
            "/tools": self._tools,
            "/save": self._save,
            "/help": lambda _: _HELP,
        }

    def run(self) -> None:
        """Return at the end of the input."""
        self._note(f"{self._dialogue.request.model}; /help lists the commands")
        while True:
            try:
                line = self._console.input("[bold]> [/bold]")
            except EOFError:
                self._console.print()
                return
            except KeyboardInterrupt:
                self._console.print()
                continue
            if line.startswith("/"):
                self._command(line)
            elif line.strip():
                self._say(line)

    def _command(self, line: str) -> None:
        name, _, argument = line.partition(" ")
        command = self._commands.get(name)
        if command is None:
            self._note(f"There is no command {name}; /help lists them.")
            return
        try:
            self._note(command(argument.strip()))
        except (CallFailed, OSError) as error:
            self._note(str(error))

    def _system(self, text: str) -> str:
        self._dialogue.instruct(text)
        return "system prompt set" if text else "no system prompt"

    def _tools(self, path: str) -> str:
        count = self._dialogue.offer(Path(path).read_text(encoding="utf-8") if path else "[]")
        return f"tools offered: {count}"

    def _save(self, path: str) -> str:
        if not path:
            return "Name a file: /save chat.json"
        messages = json.dumps(self._dialogue.messages(), ensure_ascii=False, indent=2)
        Path(path).write_text(messages + "\n", encoding="utf-8")
        return f"saved to {path}"

    def _say(self, text: str) -> None:
        before = len(self._dialogue.request.messages)
        try:
            answer = self._dialogue.say(text)
            while self._shown(answer) and answer.calls:
                results = [self._result(call.function.name, call.function.arguments) for call in answer.calls]
                answer = self._dialogue.give_results(answer.calls, results)
        except CallFailed as error:
            self._dialogue.take_back(before)
            self._note(str(error))
        except (KeyboardInterrupt, EOFError):  # in place of a tool's result
            self._dialogue.take_back(before)
            self._note("\ninterrupted: the message is taken back")

    def _shown(self, answer: Answer) -> bool:
        """Show an answer as it comes; False if it was stopped."""
        with _on_interrupt(answer.stop):
            for text in answer.texts():
                self._console.print(text, end="", markup=False, soft_wrap=True)
        if not answer.is_complete:
            self._note("\nstopped")
            return False
        usage, first = answer.usage, (answer.first_token or 0.0) * 1000
        self._note(
            f"\n{usage.prompt_tokens} + {usage.completion_tokens} tokens, ${usage.estimated_cost:.7f}, "
            f"first token after {first:.0f} ms, {answer.tokens_per_second:.0f} tokens/s"
        )
        return True

    def _result(self, name: str, arguments: str) -> str:
        self._console.print(f"{name}({arguments})", style="yellow", markup=False)
        return self._console.input("result> ")

    def _note(self, text: str) -> None:
        self._console.print(text, style="dim", markup=False)


@contextmanager
def _on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` at each SIGINT. A KeyboardInterrupt in the middle of gRPC's code could be lost there."""
    # In a thread: a handler must not wait for locks that the code which it interrupts may hold.
    before = signal.signal(signal.SIGINT, lambda *_: Thread(target=act, daemon=True).start())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
