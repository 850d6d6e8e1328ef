"""Muon for the matrices of the layers, AdamW for both embeddings and the norms."""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: allow-subclassing-any, allow-untyped-decorators, no-warn-unused-ignores

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from services.demo_model.spec import TrainSpec

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
MULTIPLIES_BFLOAT16 = bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
"""Whether bfloat16 saves time: a fifth of a step, up to a third of an update. Elsewhere it costs time."""


def orthogonal(matrix: Tensor, rounds: int = 5) -> Tensor:
    """The nearest orthogonal matrix, about, by Newton-Schulz (Jordan et al., https://kellerjordan.github.io/posts/muon)."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return cast("Tensor", x.T) if tall else x


class Muon(Optimizer):
    """Momentum, made orthogonal before each step."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            for weights in group["params"]:
                memory = self.state[weights].setdefault("momentum", torch.zeros_like(weights))
                memory.lerp_(weights.grad, 1 - group["momentum"])
                update = weights.grad.lerp(memory, group["momentum"])
                update = orthogonal(update.bfloat16() if MULTIPLIES_BFLOAT16 else update).to(weights.dtype)
                scale = max(1.0, weights.shape[0] / weights.shape[1]) ** 0.5
                weights.mul_(1 - group["lr"] * group["decay"]).add_(update, alpha=-group["lr"] * scale)


def optimisers(network: nn.Module, spec: TrainSpec) -> list[Optimizer]:
    """The optimisers at their full learning rates; a high one would make the attention unlearn the planted heads."""
    groups: dict[str, list[Tensor]] = {"self_attn": [], "mlp": [], "": []}
    for name, weights in network.named_parameters():
        groups[next(group for group in groups if group in name)].append(weights)
    return [
        Muon(groups["self_attn"], spec.attention_learning_rate),
        Muon(groups["mlp"], spec.matrix_learning_rate),
        AdamW(groups[""], spec.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
