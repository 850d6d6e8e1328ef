"""Muon for the matrices of the layers, AdamW for both embeddings and the norms."""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: allow-subclassing-any, allow-untyped-decorators, no-warn-unused-ignores

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from tests.demo_model.spec import TrainSpec

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_CPU_MULTIPLIES_BFLOAT16 = bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 saves time: on a GPU, and on a CPU that has it a fifth of a step. Elsewhere it costs time."""
    return device.type == "cuda" or _CPU_MULTIPLIES_BFLOAT16


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """The nearest orthogonal matrices of [matrices, rows, columns], about, by Newton-Schulz.

    The coefficients are Jordan's, https://kellerjordan.github.io/posts/muon.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return cast("Tensor", x.mT if tall else x)


class Muon(Optimizer):
    """Momentum, made orthogonal before each step; matrices of one shape are computed together."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        shapes = dict[torch.Size, list[Tensor]]()
        for weights in matrices:
            shapes.setdefault(weights.shape, []).append(weights)
        groups = [{"params": alike} for alike in shapes.values()]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix."""
        for group in self.param_groups:
            matrices: list[Tensor] = group["params"]
            gradients = torch.stack([cast("Tensor", weights.grad) for weights in matrices])
            memory = self.state[matrices[0]].setdefault("momentum", torch.zeros_like(gradients))
            memory.lerp_(gradients, 1 - group["momentum"])
            update = gradients.lerp(memory, group["momentum"])
            update = orthogonal(update.bfloat16() if multiplies_bfloat16(update.device) else update).to(memory.dtype)
            rows, columns = matrices[0].shape
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["decay"])
            torch._foreach_add_(matrices, list(update.unbind()), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


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
