"""`chasqui chat` and `chasqui ask`: the typed gRPC API in a terminal."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from services.commands.call_failed import CallFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.commands.dialogue import Dialogue

_INTERRUPTED: Final = 130  # as shells report a program that SIGINT ended


def _connected(command: Callable[..., int]) -> Callable[..., None]:
    """Call a command with a new dialogue; what fails is one sentence on the terminal, and status 1."""

    @click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="The service; https is TLS.")
    @click.option("--key", default="", help="API key, if the service asks for one.")
    @click.option("--model", default="", help="Model or alias; by default the one that is served.")
    @click.option("--system", default="", help="System prompt.")
    @click.option("--temperature", type=float, help="0 to 2; 0 is greedy.")
    @click.option("--max-tokens", type=int, help="Longest answer.")
    @wraps(command)
    def run(*, url: str, key: str, **options: Any) -> None:
        # Imported here: gRPC takes longer to import than other commands take to run.
        from services.commands.connection import connected
        from services.commands.dialogue import Dialogue

        fields = {name: options.pop(name) for name in ("model", "system", "temperature", "max_tokens")}
        try:
            with connected(url, key) as connection:
                sys.exit(command(Dialogue(connection, **fields), **options))
        except CallFailed as error:
            click.echo(f"chasqui: {error}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)

    return run


@click.command()
@click.option("--tools", type=click.File(encoding="utf-8"), help="JSON file with a list of tools, in OpenAI's form.")
@_connected
def chat(dialogue: Dialogue, tools: Any) -> int:
    """Talk to the model. /help lists what can be typed beside messages."""
    from services.commands.terminal_chat import TerminalChat

    if tools is not None:
        dialogue.offer(tools.read())
    TerminalChat(dialogue).run()
    return 0


@click.command()
@click.argument("question", required=False, default="")
@click.option("--json-schema", type=click.File(encoding="utf-8"), help="File with the JSON Schema of the answer.")
@_connected
def ask(dialogue: Dialogue, question: str, json_schema: Any) -> int:
    """Ask one QUESTION and print the answer. What is piped in is put below the question.

    Exit status: 0 with a complete answer, 1 if the call failed or the answer was cut off.
    """
    piped = "" if sys.stdin.isatty() else sys.stdin.read()
    message = "\n\n".join(part for part in (question, piped.strip()) if part)
    if not message:
        raise click.UsageError("There is no question: give one, or pipe one in.")
    if json_schema is not None:
        dialogue.follow_schema(json_schema.read())
    answer = dialogue.say(message)
    for text in answer.texts():
        click.echo(text, nl=False)
    click.echo()
    if answer.is_cut_off:
        click.echo("chasqui: the answer was cut off by --max-tokens or the context length", err=True)
    return int(answer.is_cut_off)
