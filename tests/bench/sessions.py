"""What it saves that a chat's calls stay at one replica: cached prompt tokens and time to the first token.

`make bench-sessions` runs it: three replicas of llama.cpp behind one Envoy, chats whose turns alternate, once with an
`x-session-id` for each chat and once without.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from openai import OpenAI
from rich.console import Console
from rich.table import Table

from tests.bench.machine import describe
from tests.support.callers import MODEL
from tests.support.replicas import Replicas

CHATS = 9
TURNS = 6
SETTINGS: dict[str, Any] = {"engine": "llama-cpp", "parallel": 4, "context_length": 4096, "threads": 1}
# Enough for its processing to take longer than everything else.
SAID = "Please remember this: the runner of the valley carries a message over the mountains. " * 6


@dataclass(slots=True)
class Seen:
    """Of all turns after the first of each chat; times in seconds."""

    prompt: int = 0
    cached: int = 0
    first_tokens: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    console = Console()
    console.print(", ".join(describe().values()))
    table = Table(title=f"{CHATS} chats of {TURNS} turns, three replicas")
    for column in ("", "prompt tokens", "of them cached", "first token, p50", "p90"):
        table.add_column(column)
    for name, kept in (("x-session-id", True), ("without", False)):
        with Replicas(3, **SETTINGS) as replicas:
            seen = _chat(OpenAI(base_url=f"{replicas.url}/v1", api_key="unused"), kept=kept)
        quantiles = statistics.quantiles(seen.first_tokens, n=10)
        times = [f"{1000 * quantiles[index]:.0f} ms" for index in (4, 8)]
        table.add_row(name, str(seen.prompt), f"{seen.cached / seen.prompt:.0%}", *times)
    console.print(table)


def _chat(client: OpenAI, *, kept: bool) -> Seen:
    """Let all chats have their turns, one after the other."""
    seen = Seen()
    histories: list[list[Any]] = [[] for _ in range(CHATS)]
    for turn in range(TURNS):
        for chat, history in enumerate(histories):
            history.append({"role": "user", "content": f"Chat {chat}, turn {turn}. {SAID}"})
            headers = {"x-session-id": f"chat-{chat}"} if kept else {}
            _turn(client, history, headers, seen if turn else Seen())
    return seen


def _turn(client: OpenAI, history: list[Any], headers: dict[str, str], seen: Seen) -> None:
    began = time.monotonic()
    options: dict[str, Any] = {"extra_headers": headers, "stream_options": {"include_usage": True}}
    said = ""
    for chunk in client.chat.completions.create(
        model=MODEL, messages=history, max_tokens=16, temperature=0, stream=True, **options
    ):
        if chunk.choices and chunk.choices[0].delta.content:
            if not said:
                seen.first_tokens.append(time.monotonic() - began)
            said += chunk.choices[0].delta.content
        if chunk.usage is not None and chunk.usage.prompt_tokens_details is not None:
            seen.prompt += chunk.usage.prompt_tokens
            seen.cached += chunk.usage.prompt_tokens_details.cached_tokens or 0
    history.append({"role": "assistant", "content": said})


if __name__ == "__main__":
    main()
