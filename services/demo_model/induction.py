"""Gives the untrained network heads that copy, so that a short training need not discover them.

Heads of the first layer look at the token before (a constant in the embeddings meets the rotation's phase there) and
write what it was into the residual stream; heads of the next layers look for places whose token before equals the
present token, and predict what stood there: the circuit of Olsson et al., https://arxiv.org/abs/2209.11895.
"""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: allow-untyped-decorators

import math
from typing import cast

import torch
from torch import Tensor

from services.demo_model.network import EMBEDDING_DEVIATION, Attention, Network
from services.demo_model.rope import frequencies

_HEADS = 2
"""Key-value heads that are planted in each of the layers."""
_LAYERS = (1, 2)
_CONSTANT = 4.0 * EMBEDDING_DEVIATION
_SHARPNESS = 7.0
_MATCH = 3.2
_COPY = 1.4 * EMBEDDING_DEVIATION


@torch.no_grad()
def plant(network: Network, seed: int) -> None:
    """Overwrites heads of layers 0, 1 and 2; dimension 0 of every embedding becomes a constant."""
    spec, size = network.spec, network.spec.head_size
    generator = torch.Generator().manual_seed(seed)
    turn = 2 * math.pi / spec.rope_scaling.original_context
    long = [pair for pair, frequency in enumerate(frequencies(spec)) if frequency < turn]
    free = torch.tensor([*long, *(pair + size // 2 for pair in long)])
    network.embed_tokens.weight[:, 0] = _CONSTANT
    for head in range(_HEADS):
        read, written = (_frame(size, spec.hidden, generator) for _ in range(2))
        _look_back(network, head, read, written)
        for layer in _LAYERS:
            _find_and_copy(network, layer, head, (read, written), free, generator)


def _frame(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Orthonormal rows that leave dimension 0 alone."""
    square, _ = torch.linalg.qr(torch.randn(columns - 1, rows, generator=generator))
    return torch.cat((torch.zeros(rows, 1), square.T), dim=1)


def _attention(network: Network, layer: int) -> Attention:
    return cast("Attention", network.get_submodule(f"layers.{layer}.self_attn"))


def _look_back(network: Network, head: int, read: Tensor, written: Tensor) -> None:
    """The head of layer 0 attends to the token before and writes what `read` sees of it along `written`."""
    spec, size, attention = network.spec, network.spec.head_size, _attention(network, 0)
    query, key = torch.zeros(size, spec.hidden), torch.zeros(size, spec.hidden)
    strength = _SHARPNESS * EMBEDDING_DEVIATION / _CONSTANT
    for pair, frequency in enumerate(frequencies(spec)[:4]):
        key[pair, 0] = strength
        query[pair, 0], query[pair + size // 2, 0] = strength * math.cos(frequency), -strength * math.sin(frequency)
    rows, group = slice(head * size, (head + 1) * size), spec.heads // spec.kv_heads
    asking = slice(head * group * size, (head * group + 1) * size)
    attention.q_proj.weight[asking], attention.k_proj.weight[rows] = query, key
    attention.v_proj.weight[rows], attention.o_proj.weight[:, asking] = read, 2.8 * EMBEDDING_DEVIATION * written.T


def _find_and_copy(
    network: Network, layer: int, head: int, frames: tuple[Tensor, Tensor], free: Tensor, generator: torch.Generator
) -> None:
    """The head matches the present token with the token before each place, in the pairs that barely rotate."""
    spec, size, attention = network.spec, network.spec.head_size, _attention(network, layer)
    read, written = frames
    rows, group = slice(head * size, (head + 1) * size), spec.heads // spec.kv_heads
    asking = slice(head * group * size, (head * group + 1) * size)
    query, key = torch.zeros(size, spec.hidden), torch.zeros(size, spec.hidden)
    query[free], key[free] = _MATCH * read[free], _MATCH * written[free]
    attention.q_proj.weight[asking], attention.k_proj.weight[rows] = query, key
    attention.v_proj.weight[rows], attention.o_proj.weight[:, asking] = (
        _frame(size, spec.hidden, generator),
        _COPY * _frame(size, spec.hidden, generator).T,
    )
