"""The training loop: resumable, deterministic from the seed, loss on what the assistant writes."""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: no-warn-unused-ignores

import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from tests.demo_model.batches import Batch, Batches, Ids
from tests.demo_model.induction import plant
from tests.demo_model.layout import layout
from tests.demo_model.network import Network
from tests.demo_model.optimiser import multiplies_bfloat16, optimisers
from tests.demo_model.spec import BuildSpec, TrainSpec

_SHOWN = 20
"""Steps whose mean loss is shown."""


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

    def __init__(self, build: BuildSpec, tokenizer: Tokenizer, checkpoint: Path, device: str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._make_deterministic()
        torch.set_num_threads(build.train.threads)
        self.spec, self.checkpoint = build.train, checkpoint
        self.network = Network(build.model, build.train.seed)
        plant(self.network, tokenizer, build.train.seed)
        self.network.to(self.device)
        self.optimisers = optimisers(self.network, build.train)
        self._full_rates = [optimiser.param_groups[0]["lr"] for optimiser in self.optimisers]
        self._losses: list[Tensor] = []
        saved = torch.load(checkpoint, weights_only=True, map_location=self.device) if checkpoint.exists() else None
        if saved is not None:
            self._restore(saved)
        self.batches = Batches(tokenizer, build.train, saved["cursor"] if saved else 0, self._encoders())
        on_gpu = self.device.type == "cuda"
        self._forward = torch.compile(self.network, dynamic=False) if on_gpu else self.network

    def _make_deterministic(self) -> None:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # 3 % of the time

    def _encoders(self) -> int:
        """Processes: a GPU is faster than one encodes, and leaves the CPU free; a CPU is best left to the training."""
        return max(1, (os.cpu_count() or 1) - 2) if self.device.type == "cuda" else 0

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self._losses)

    @property
    def losses(self) -> list[float]:
        """The loss of each step."""
        return [float(loss) for loss in torch.stack(self._losses).tolist()] if self._losses else []

    def train(self, until: int | None = None) -> None:
        """Trains to step `until` (default: the last), with a checkpoint every `checkpoint_seconds` and at the end."""
        until = self.spec.steps if until is None else until
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        saved = time.monotonic()
        with Progress(*columns) as progress:
            task = progress.add_task("", total=until, completed=self.step)
            while self.step < until:
                self._losses.append(self._update(self.batches.next()))
                progress.update(task, completed=self.step)
                if self.step % _SHOWN == 0:
                    # A GPU is a few steps behind, and waited for only here.
                    loss = float(torch.stack(self._losses[-_SHOWN:]).mean())
                    progress.update(task, description=f"loss {loss:.3f}")
                if time.monotonic() - saved > self.spec.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def _update(self, batch: Batch) -> Tensor:
        for optimiser, rate in zip(self.optimisers, self._full_rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * pace(self.step, self.spec)
            optimiser.zero_grad(set_to_none=True)
        ids, wanted, targets = (self._tensor(each) for each in (batch.ids, batch.wanted, batch.targets))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=multiplies_bfloat16(self.device)):
            logits = self._forward(ids, layout(batch.lengths, self.device), wanted)
        loss = functional.cross_entropy(logits.float(), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        return loss.detach()

    def _tensor(self, ids: Ids) -> Tensor:
        return torch.from_numpy(ids).to(self.device, non_blocking=True)

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
        self._losses = list(torch.tensor(state["losses"], device=self.device).unbind())
