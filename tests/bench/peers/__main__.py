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
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from tests.bench.machine import describe
from tests.bench.peer_process import PeerError
from tests.bench.peers.contenders import PEERS, Contender, Stage
from tests.bench.peers.report import table
from tests.bench.peers.rounds import Round, Size, measure
from tests.bench.plot import plot_peers
from tests.bench.serving import OUTPUT, PACE, SETTINGS
from tests.support.service import Service
from tests.support.tensorrt_llm.release import write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Measure, print and write down."""
    arguments = _arguments()
    size = Size(arguments.streams, arguments.tokens, arguments.calls, arguments.singles)
    console = Console(width=150)
    began = time.monotonic()
    with Progress(console=console) as progress, ExitStack() as stack:
        contenders, skipped = _started(arguments.only, progress, stack)
        rounds = _rounds(contenders, size, arguments.rounds, progress)
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
        console.print(f"{name} is left out: {reason}")
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
    """Chasqui and the peers that serve until `stack` is closed, and why the others do not."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    directory = write_checkpoint((OUTPUT / "tokenizer").resolve())
    services = (Service(**SETTINGS, simulated_rate=rate, model_name=directory) for rate in (PACE, 0))
    stage = Stage(directory, *(stack.enter_context(service) for service in services))
    contenders, skipped = {"Chasqui": stage.chasqui}, {}
    task = progress.add_task("starting", total=len(names))
    for name in names:
        entry = PEERS[name]
        progress.update(task, description=f"starting {name}")
        skipped[name] = entry.missing()
        if not skipped[name]:
            try:
                contenders[name] = entry.contender(stack.enter_context(entry.peer(stage)))
            except PeerError as error:
                skipped[name] = str(error)
        progress.advance(task)
    return contenders, {name: reason for name, reason in skipped.items() if reason}


def _rounds(contenders: Mapping[str, Contender], size: Size, count: int, progress: Progress) -> dict[str, list[Round]]:
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    names = list(contenders)
    task = progress.add_task("warming up", total=len(names) * (count + 1))
    warm_up = Size(size.streams, 10, size.calls // 4, 2)
    for name in names:
        measure(contenders[name], warm_up)
        progress.advance(task)
    for number in range(count):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            progress.update(task, description=f"round {number + 1}: {name}")
            rounds[name].append(measure(contenders[name], size))
            progress.advance(task)
    return rounds


if __name__ == "__main__":
    main()
