"""The training loop: resumable, deterministic from the seed, loss on what the assistant writes."""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: no-warn-unused-ignores

import math
import time
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from torch.nn import functional

from services.demo_model.batches import Batch, Batches
from services.demo_model.induction import plant
from services.demo_model.network import Layout, Network
from services.demo_model.optimiser import MULTIPLIES_BFLOAT16, optimisers
from services.demo_model.spec import BuildSpec, TrainSpec


def pace(step: int, spec: TrainSpec) -> float:
    """Share of the full learning rate: linear warm-up, constant, cosine to 2 % over the last `decay_share`."""
    if step < spec.warmup_steps:
        return (step + 1) / spec.warmup_steps
    begin = spec.steps * (1 - spec.decay_share)
    if step < begin:
        return 1.0
    return 0.02 + 0.98 * (1 + math.cos(math.pi * (step - begin) / (spec.steps - begin))) / 2


class Trainer:
    """The network, its optimisers and the place in the stream; `checkpoint` holds all of it."""

    def __init__(self, build: BuildSpec, tokenizer: Tokenizer, checkpoint: Path) -> None:
        torch.set_num_threads(build.train.threads)
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # 3 % of the time
        self.spec, self.checkpoint = build.train, checkpoint
        self.network = Network(build.model, build.train.seed)
        plant(self.network, tokenizer, build.train.seed)
        self.optimisers = optimisers(self.network, build.train)
        self._full_rates = [optimiser.param_groups[0]["lr"] for optimiser in self.optimisers]
        self.batches = Batches(tokenizer, build.train)
        self.losses: list[float] = []
        if checkpoint.exists():
            self._restore(torch.load(checkpoint, weights_only=True))

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)

    def train(self, until: int | None = None) -> None:
        """Trains to step `until` (default: the last), with a checkpoint every `checkpoint_seconds` and at the end."""
        until = self.spec.steps if until is None else until
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        saved = time.monotonic()
        with Progress(*columns) as progress:
            task = progress.add_task("", total=until, completed=self.step)
            while self.step < until:
                self.losses.append(self._update(self.batches.next()))
                recent = self.losses[-20:]
                progress.update(task, completed=self.step, description=f"loss {sum(recent) / len(recent):.3f}")
                if time.monotonic() - saved > self.spec.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def _update(self, batch: Batch) -> float:
        for optimiser, rate in zip(self.optimisers, self._full_rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * pace(self.step, self.spec)
            optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=MULTIPLIES_BFLOAT16):
            logits = self.network(torch.tensor(batch.ids), Layout(batch.lengths), torch.tensor(batch.wanted))
        loss = functional.cross_entropy(logits.float(), torch.tensor(batch.targets))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        return float(loss.item())

    def save(self) -> None:
        """Writes the checkpoint beside its place, then renames it."""
        state = {
            "network": self.network.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "cursor": self.batches.cursor,
            "losses": self.losses,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.batches.cursor = state["cursor"]
        self.losses = list(state["losses"])
