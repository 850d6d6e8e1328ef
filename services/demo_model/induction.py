"""Gives the untrained network heads that copy, so that a short training need not discover them.

Two heads of the first layer look one and two tokens back (a constant in the embeddings meets the rotation's phase
there) and write what they see into the residual stream; one head of each of the next layers looks for places that
follow the same two tokens, and predicts what stood there: the circuit of Olsson et al.,
https://arxiv.org/abs/2209.11895. The output embeddings are the input embeddings, turned, and the copying heads turn
alike: so from the first step every token can be copied, also one that the training hardly shows.
"""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: allow-untyped-decorators

import math
from typing import cast

import torch
from torch import Tensor

from services.demo_model.network import EMBEDDING_DEVIATION, Attention, Network
from services.demo_model.rope import frequencies

_LAYERS = (1, 2)
_CONSTANT = 4.0 * EMBEDDING_DEVIATION
_SHARPNESS = 8.0
_PREVIOUS = 2.8 * EMBEDDING_DEVIATION
_MATCH = (3.0, 2.0)
"""How sharply the present token and the one before are compared with the two before each place."""
_COPY = 6.0 * EMBEDDING_DEVIATION
_HEAD = 0.08 / EMBEDDING_DEVIATION


@torch.no_grad()
def plant(network: Network, seed: int) -> None:
    """Overwrites the output embeddings and heads of layers 0, 1 and 2; dimension 0 of embeddings becomes constant."""
    spec, size = network.spec, network.spec.head_size
    generator = torch.Generator().manual_seed(seed)
    turn = 2 * math.pi / spec.rope_scaling.original_context
    long = [pair for pair, frequency in enumerate(frequencies(spec)) if frequency < turn]
    free = torch.tensor([*long, *(pair + size // 2 for pair in long)])
    output = _orthogonal(spec.hidden, generator)
    network.lm_head.weight.copy_(_HEAD * _embeddings(network) @ output)
    network.embed_tokens.weight[:, 0] = _CONSTANT
    # What the look-back heads write is for the match alone: the copying heads see other directions.
    read, last, before, *rest = _orthogonal(spec.hidden, generator)[1:].split(size)
    _look_back(network, 0, 1, read, last)
    _look_back(network, 1, 2, read, before)
    shown = torch.cat((*rest, read))
    for place, layer in enumerate(_LAYERS):
        start = place * size % (len(shown) - size)
        _find(network, layer, (read, last, before), free)
        _copy(network, layer, shown[start : start + size], output)


def _orthogonal(size: int, generator: torch.Generator) -> Tensor:
    """An orthogonal matrix that leaves dimension 0 alone."""
    matrix = torch.eye(size)
    matrix[1:, 1:], _ = torch.linalg.qr(torch.randn(size - 1, size - 1, generator=generator))
    return matrix


def _embeddings(network: Network) -> Tensor:
    """The input embeddings without the dimension that becomes a constant."""
    weights = network.embed_tokens.weight.clone()
    weights[:, 0] = 0
    return weights


def _attention(network: Network, layer: int) -> Attention:
    return cast("Attention", network.get_submodule(f"layers.{layer}.self_attn"))


def _places(network: Network, head: int) -> tuple[slice, slice]:
    """Rows of the key-value head in `k_proj` and `v_proj`, and of its first query head in `q_proj`."""
    size, group = network.spec.head_size, network.spec.heads // network.spec.kv_heads
    return slice(head * size, (head + 1) * size), slice(head * group * size, (head * group + 1) * size)


def _look_back(network: Network, head: int, steps: int, read: Tensor, written: Tensor) -> None:
    """The head of layer 0 attends to the token `steps` before and writes what `read` sees of it along `written`."""
    spec, size, attention = network.spec, network.spec.head_size, _attention(network, 0)
    query, key = torch.zeros(size, spec.hidden), torch.zeros(size, spec.hidden)
    strength = _SHARPNESS * EMBEDDING_DEVIATION / _CONSTANT
    for pair, frequency in enumerate(frequencies(spec)[:4]):
        key[pair, 0] = strength
        query[pair, 0] = strength * math.cos(steps * frequency)
        query[pair + size // 2, 0] = -strength * math.sin(steps * frequency)
    rows, asking = _places(network, head)
    attention.q_proj.weight[asking], attention.k_proj.weight[rows] = query, key
    attention.v_proj.weight[rows], attention.o_proj.weight[:, asking] = read, _PREVIOUS * written.T


def _find(network: Network, layer: int, frames: tuple[Tensor, Tensor, Tensor], free: Tensor) -> None:
    """Head 0 compares the present token and the one before with the two before each place, in the slow pairs."""
    spec, attention = network.spec, _attention(network, layer)
    read, last, before = frames
    query, key = torch.zeros(spec.head_size, spec.hidden), torch.zeros(spec.head_size, spec.hidden)
    one, two = free[0::2], free[1::2]
    query[one], key[one] = _MATCH[0] * read[one], _MATCH[0] * last[one]
    query[two], key[two] = _MATCH[1] * last[two], _MATCH[1] * before[two]
    rows, asking = _places(network, 0)
    attention.q_proj.weight[asking], attention.k_proj.weight[rows] = query, key


def _copy(network: Network, layer: int, shown: Tensor, output: Tensor) -> None:
    """Head 0 writes what `shown` sees of the place where the output embedding of the token there reads it."""
    attention = _attention(network, layer)
    rows, asking = _places(network, 0)
    attention.v_proj.weight[rows], attention.o_proj.weight[:, asking] = shown, _COPY * (shown @ output).T
