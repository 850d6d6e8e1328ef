"""Chasqui beside its peers: what a streamed token and a call cost in CPU time, and how soon the first token comes.

`make bench-peers` runs it and writes one table, `build/bench/peers.json` and `build/bench/peers.png`. All contenders
run at once and take turns, in another order in every round. A figure is the median of the rounds with the lowest and
the highest, a ratio that of the rounds' ratios. Peers that are not installed or do not start are left out, with the
reason.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tests.bench.load import WrongAnswerError
from tests.bench.machine import describe
from tests.bench.peer_process import PeerError
from tests.bench.peers.contenders import PEERS, Contender, Stage
from tests.bench.peers.report import table
from tests.bench.peers.rounds import Round, Size, measure
from tests.bench.plot import plot_peers
from tests.bench.serving import OUTPUT, PACE, SETTINGS
from tests.support.service import Service
from tests.support.tensorrt_llm.release import write_checkpoint

_WARM_UP = Size(streams=32, tokens=10, calls=64, singles=2)
_FAILURES = (PeerError, WrongAnswerError, OSError)


def main() -> None:
    """Measure, print and write down."""
    arguments = _arguments()
    size = Size(arguments.streams, arguments.tokens, arguments.calls, arguments.singles)
    console = Console(width=150)
    began = time.monotonic()
    with Progress(console=console) as progress, ExitStack() as stack:
        contenders, skipped = _started(arguments.only, progress, stack)
        rounds = _rounds(contenders, skipped, size, arguments.rounds, progress)
    result: dict[str, Any] = {
        "machine": describe(),
        "pace": PACE,
        "size": asdict(size),
        "peers": {name: entry.described() for name, entry in PEERS.items() if name in rounds},
        "skipped": skipped,
        "rounds": {name: [asdict(each) for each in done] for name, done in rounds.items()},
    }
    (OUTPUT / "peers.json").write_text(json.dumps(result, indent=2) + "\n")
    plot_peers(result, OUTPUT / "peers.png")
    console.print(", ".join([*describe().values(), f"{time.monotonic() - began:.0f} s"]))
    console.print(table(result))
    for name, reason in skipped.items():
        console.print(f"{name} is left out: {reason.splitlines()[-1]}", markup=False)
    console.print(f"{OUTPUT / 'peers.json'} and {OUTPUT / 'peers.png'} are written.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=200, help="per stream")
    parser.add_argument("--calls", type=int, default=480, help="calls of one token in each round")
    parser.add_argument("--singles", type=int, default=20, help="calls of one token by one caller")
    parser.add_argument("--only", nargs="*", choices=PEERS, default=list(PEERS), help="these peers")
    return parser.parse_args()


def _started(names: list[str], progress: Progress, stack: ExitStack) -> tuple[dict[str, Contender], dict[str, str]]:
    """Chasqui and the peers, warm, until `stack` is closed; and why other peers are left out."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    directory = write_checkpoint((OUTPUT / "tokenizer").resolve())
    services = (Service(**SETTINGS, simulated_rate=rate, model_name=directory) for rate in (PACE, 0))
    stage = Stage(directory, *(stack.enter_context(service) for service in services))
    contenders, skipped = {"Chasqui": stage.chasqui}, {}
    measure(stage.chasqui, _WARM_UP)
    task = progress.add_task("starting", total=len(names))
    for name in names:
        progress.update(task, description=f"starting {name}")
        try:
            peer = PEERS[name].installed(stage)
            contenders[name] = PEERS[name].contender(stack.enter_context(peer))
            measure(contenders[name], _WARM_UP)
        except _FAILURES as error:
            contenders.pop(name, None)
            skipped[name] = str(error)
        progress.advance(task)
    return contenders, skipped


def _rounds(
    contenders: dict[str, Contender], skipped: dict[str, str], size: Size, count: int, progress: Progress
) -> dict[str, list[Round]]:
    """`count` rounds of each contender. A peer that fails in one goes from `contenders` to `skipped`."""
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    task = progress.add_task("measuring", total=len(contenders) * count)
    for number in range(count):
        names = list(contenders)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            progress.update(task, description=f"round {number + 1}: {name}")
            try:
                rounds[name].append(measure(contenders[name], size))
            except _FAILURES as error:
                if name == "Chasqui":
                    raise
                del contenders[name], rounds[name]
                skipped[name] = f"failed in round {number + 1}: {error}"
            progress.advance(task)
    return rounds


if __name__ == "__main__":
    main()
