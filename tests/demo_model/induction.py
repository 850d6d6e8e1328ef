"""Gives the untrained network heads that copy, and heads that know whose parameters are meant: training need not.

Two heads of the first layer look one and two tokens back (a constant in the embeddings meets the rotation's phase
there) and write what they see into the residual stream; one head of layers 1 and 2 looks for places that follow the
same two tokens, and predicts what stood there: the circuit of Olsson et al., https://arxiv.org/abs/2209.11895.

A third head of the first layer gathers the words around each place, and heads of layers 3 and 4 compare them: the
parameters of the function that is being called have its name and purpose around them, those of other functions do not.

The output embeddings are the input embeddings, turned, and the copying heads turn alike: so from the first step every
token can be copied, also one that the training hardly shows. They do not see the words around, or the training would
turn that head off before it is of use. The strengths fit heads of 64 and six layers.
"""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: allow-untyped-decorators

import math
import re
from typing import cast

import torch
from tokenizers import Tokenizer
from torch import Tensor

from tests.demo_model.network import EMBEDDING_DEVIATION, Attention, Network
from tests.demo_model.rope import frequencies

_CONSTANT, _COMMON = range(2)
"""Reserved dimensions: the same for every token, and for tokens that tell nothing of what is spoken of."""
_RESERVED = 2
_LEVEL = 4.0 * EMBEDDING_DEVIATION
_SHARPNESS = 8.0 * EMBEDDING_DEVIATION / _LEVEL
_PREVIOUS = 2.8 * EMBEDDING_DEVIATION
_AROUND = 4.0
_GATHER = 12.0
_FALL = (0.0, 0.0, 0.02, 0.04, 0.08, 0.11, 0.15, 0.19)
"""Shares of the rotated pairs from the fifth on; the sum of their cosines falls over some two hundred places."""
_MATCH = (3.0, 2.0)
"""How sharply the present token and the one before are compared with the two before each place."""
_COMPARE = (3.0, 2.0)
"""How sharply the words around are compared, and one token."""
_COPY = 6.0 * EMBEDDING_DEVIATION
_HEAD = 0.08 / EMBEDDING_DEVIATION
_PIECE = re.compile(r"[A-Za-z]+")
_OF_EVERY_PROMPT = {
    "type", "string", "integer", "number", "boolean", "object", "array", "function", "name", "description",
    "parameters", "properties", "required", "enum", "items", "system", "user", "assistant", "ipython",
}  # fmt: skip


@torch.no_grad()
def plant(network: Network, tokenizer: Tokenizer, seed: int) -> None:
    """Overwrites both embeddings and heads of layers 0 to 4; two dimensions of the embeddings are reserved."""
    spec, size = network.spec, network.spec.head_size
    generator = torch.Generator().manual_seed(seed)
    turn = 2 * math.pi / (4 * spec.rope_scaling.original_context)
    long = [pair for pair, frequency in enumerate(frequencies(spec)) if frequency < turn]
    free = torch.tensor([*long, *(pair + size // 2 for pair in long)])
    output = _orthogonal(spec.hidden, generator)
    # What the look-back heads write is for the match alone: the copying heads see other directions.
    read, last, before, around = torch.split(_orthogonal(spec.hidden, generator)[_RESERVED:], size)[:4]
    hidden = torch.cat((torch.eye(spec.hidden)[:_RESERVED], around))
    seen = torch.eye(spec.hidden) - hidden.T @ hidden
    _embed(network, tokenizer, seen, output)
    _look_back(network, 0, 1, read, last)
    _look_back(network, 1, 2, read, before)
    _gather(network, around)
    copied = (read @ (output @ seen)).T
    for layer in (1, 2):
        _find(network, layer, (read, last, before), free)
        _copy(network, layer, 0, read, _COPY * copied)
    for layer, head, tokens in ((3, 0, (read, last)), (3, 1, (last, before)), (4, 0, (read, last))):
        _compare(network, layer, head, around, tokens, free)
        _copy(network, layer, head, read, _COPY / 2 * copied)


def _orthogonal(size: int, generator: torch.Generator) -> Tensor:
    """An orthogonal matrix that leaves the reserved dimensions alone."""
    matrix, others = torch.eye(size), size - _RESERVED
    matrix[_RESERVED:, _RESERVED:], _ = torch.linalg.qr(torch.randn(others, others, generator=generator))
    return matrix


def _embed(network: Network, tokenizer: Tokenizer, seen: Tensor, output: Tensor) -> None:
    """Both embeddings within the directions `seen`, and the reserved dimensions."""
    embeddings = network.embed_tokens.weight
    # They get the norm back that they lose with the directions of the words around.
    embeddings.copy_(embeddings @ seen * math.sqrt(len(seen) / float(seen.trace())))
    network.lm_head.weight.copy_(_HEAD * embeddings @ output @ seen)
    embeddings[:, _CONSTANT] = _LEVEL
    for token, number in tokenizer.get_vocab().items():
        telling = _PIECE.fullmatch(token) and token not in _OF_EVERY_PROMPT
        embeddings[number, _COMMON] = 0.0 if telling else _LEVEL


def _attention(network: Network, layer: int) -> Attention:
    return cast("Attention", network.get_submodule(f"layers.{layer}.self_attn"))


def _places(network: Network, head: int) -> tuple[slice, slice]:
    """Rows of the key-value head in `k_proj` and `v_proj`, and of its first query head in `q_proj`."""
    size, group = network.spec.head_size, network.spec.heads // network.spec.kv_heads
    return slice(head * size, (head + 1) * size), slice(head * group * size, (head * group + 1) * size)


def _empty(network: Network) -> tuple[Tensor, Tensor]:
    """Rows of a query and of a key."""
    size, hidden = network.spec.head_size, network.spec.hidden
    return torch.zeros(size, hidden), torch.zeros(size, hidden)


def _look_back(network: Network, head: int, steps: int, read: Tensor, written: Tensor) -> None:
    """The head of layer 0 attends to the token `steps` before and writes what `read` sees of it along `written`."""
    size, attention = network.spec.head_size, _attention(network, 0)
    query, key = _empty(network)
    for pair, frequency in enumerate(frequencies(network.spec)[:4]):
        key[pair, _CONSTANT] = _SHARPNESS
        query[pair, _CONSTANT] = _SHARPNESS * math.cos(steps * frequency)
        query[pair + size // 2, _CONSTANT] = -_SHARPNESS * math.sin(steps * frequency)
    rows, asking = _places(network, head)
    attention.q_proj.weight[asking], attention.k_proj.weight[rows] = query, key
    attention.v_proj.weight[rows], attention.o_proj.weight[:, asking] = read, _PREVIOUS * written.T


def _gather(network: Network, around: Tensor) -> None:
    """The last query head of layer 0, which shares keys and values with a look-back head, adds up the telling words."""
    attention = _attention(network, 0)
    query, key = _empty(network)
    strength = math.sqrt(8 * _GATHER) * EMBEDDING_DEVIATION / _LEVEL
    for pair, share in enumerate(_FALL, start=4):
        key[pair, _CONSTANT], key[pair, _COMMON] = share * strength, -share * strength
        query[pair, _CONSTANT] = strength
    size = network.spec.head_size
    attention.q_proj.weight[-size:] = query
    attention.k_proj.weight[-size:] += key
    attention.o_proj.weight[:, -size:] = 0
    attention.o_proj.weight[:, -size:][:, : len(around)] = _AROUND * around.T


def _find(network: Network, layer: int, frames: tuple[Tensor, Tensor, Tensor], free: Tensor) -> None:
    """Head 0 compares the present token and the one before with the two before each place, in the slow pairs."""
    attention = _attention(network, layer)
    read, last, before = frames
    query, key = _empty(network)
    one, two = free[0::2], free[1::2]
    query[one], key[one] = _MATCH[0] * read[one], _MATCH[0] * last[one]
    query[two], key[two] = _MATCH[1] * last[two], _MATCH[1] * before[two]
    rows, asking = _places(network, 0)
    attention.q_proj.weight[asking], attention.k_proj.weight[rows] = query, key


def _compare(
    network: Network, layer: int, head: int, around: Tensor, frames: tuple[Tensor, Tensor], free: Tensor
) -> None:
    """The head compares the words around, and what one frame has here with what the other has there."""
    attention = _attention(network, layer)
    here, there = frames
    query, key = _empty(network)
    words, token = free[:28], free[28:]
    query[words] = key[words] = _COMPARE[0] * around[:28]
    query[token], key[token] = _COMPARE[1] * here[: len(token)], _COMPARE[1] * there[: len(token)]
    rows, asking = _places(network, head)
    attention.q_proj.weight[asking], attention.k_proj.weight[rows] = query, key


def _copy(network: Network, layer: int, head: int, shown: Tensor, written: Tensor) -> None:
    """The head writes what `shown` sees of the place where the output embedding of the token there reads it."""
    attention = _attention(network, layer)
    rows, asking = _places(network, head)
    attention.v_proj.weight[rows], attention.o_proj.weight[:, asking] = shown, written
