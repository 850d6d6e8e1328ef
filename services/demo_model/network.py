"""The network: Llama 3.1's decoder in PyTorch, with the parameter names of a Hugging Face checkpoint.

Conversations are not padded: the tokens of a batch lie one after another in one row. Conversations that begin alike
are a family: their common beginning lies there once, and what follows in each sees the beginning and itself. Attention
is computed per family, so none sees another.
"""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: allow-subclassing-any

import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.demo_model.rope import frequencies
from services.demo_model.spec import ModelSpec

EMBEDDING_DEVIATION = 0.5


class Rotation:
    """Cosines and sines per position; the second half of a head is the partner of the first (Hugging Face's order)."""

    def __init__(self, spec: ModelSpec) -> None:
        angles = torch.outer(torch.arange(spec.context, dtype=torch.float32), torch.tensor(frequencies(spec)))
        self._cos = torch.cat((angles, angles), dim=-1).cos()
        self._sin = torch.cat((angles, angles), dim=-1).sin()

    def __call__(self, heads: Tensor, positions: Tensor) -> Tensor:
        """Rotates [tokens, heads, head size]."""
        first, second = heads.chunk(2, dim=-1)
        turned = torch.cat((-second, first), dim=-1)
        return heads * self._cos[positions].unsqueeze(1) + turned * self._sin[positions].unsqueeze(1)


class Layout:
    """Where the tokens of a row belong; `lengths` of a family are those of its beginning and of each continuation."""

    def __init__(self, lengths: Sequence[Sequence[int]]) -> None:
        self.positions = torch.cat([_positions(family) for family in lengths])
        self.sizes = [length for family in lengths for length in family]
        """Tokens in each run of the row, beginnings and continuations alike."""
        self.beginnings: list[tuple[int, Tensor] | None] = []
        """For a continuation the run that is its beginning, and which of both its tokens see; None for a beginning."""
        for first, *rest in lengths:
            beginning = len(self.beginnings)
            self.beginnings.append(None)
            self.beginnings += [(beginning, _seen(first, length)) for length in rest]


def _positions(family: Sequence[int]) -> Tensor:
    beginning, *rest = family
    return torch.cat([torch.arange(beginning), *(torch.arange(beginning, beginning + length) for length in rest)])


def _seen(beginning: int, length: int) -> Tensor:
    return torch.ones(length, beginning + length, dtype=torch.bool).tril(beginning)


class Attention(nn.Module):
    """Causal grouped-query attention."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.q_proj = nn.Linear(spec.hidden, spec.heads * spec.head_size, bias=False)
        self.k_proj = nn.Linear(spec.hidden, spec.kv_heads * spec.head_size, bias=False)
        self.v_proj = nn.Linear(spec.hidden, spec.kv_heads * spec.head_size, bias=False)
        self.o_proj = nn.Linear(spec.heads * spec.head_size, spec.hidden, bias=False)

    def forward(self, hidden: Tensor, layout: Layout, rotation: Rotation) -> Tensor:
        """Attends within each family of the row."""
        size = self.spec.head_size
        query = rotation(self.q_proj(hidden).view(-1, self.spec.heads, size), layout.positions)
        key = rotation(self.k_proj(hidden).view(-1, self.spec.kv_heads, size), layout.positions)
        value = self.v_proj(hidden).view(-1, self.spec.kv_heads, size).float()
        repeats = self.spec.heads // self.spec.kv_heads
        key, value = key.repeat_interleave(repeats, dim=1), value.repeat_interleave(repeats, dim=1)
        queries, keys, values = (each.transpose(0, 1).split(layout.sizes, dim=1) for each in (query, key, value))
        # The gradient of attention takes twice as long in bfloat16 as in float32 on a CPU.
        with torch.autocast("cpu", enabled=False):
            joined = torch.cat(list(_mixed(queries, keys, values, layout)), dim=1).transpose(0, 1)
        return cast("Tensor", self.o_proj(joined.reshape(hidden.shape[0], -1)))


def _mixed(
    queries: Sequence[Tensor], keys: Sequence[Tensor], values: Sequence[Tensor], layout: Layout
) -> Iterator[Tensor]:
    """Each run's values, [heads, tokens, head size] as all of these, mixed as its tokens attend."""
    for query, key, value, begun in zip(queries, keys, values, layout.beginnings, strict=True):
        seen = None
        if begun is not None:
            beginning, seen = begun
            key, value = torch.cat((keys[beginning], key), dim=1), torch.cat((values[beginning], value), dim=1)
        query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen, is_causal=seen is None)
        yield mixed.squeeze(0)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(spec.hidden, spec.feed_forward, bias=False)
        self.up_proj = nn.Linear(spec.hidden, spec.feed_forward, bias=False)
        self.down_proj = nn.Linear(spec.feed_forward, spec.hidden, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """[tokens, hidden] to the same shape."""
        return cast("Tensor", self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden)))


class Layer(nn.Module):
    """One decoder layer."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(spec.hidden, eps=spec.rms_eps)
        self.self_attn = Attention(spec)
        self.post_attention_layernorm = nn.RMSNorm(spec.hidden, eps=spec.rms_eps)
        self.mlp = FeedForward(spec)

    def forward(self, hidden: Tensor, layout: Layout, rotation: Rotation, wanted: Tensor | None = None) -> Tensor:
        """[tokens, hidden] to the same shape, or to [wanted, hidden]."""
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), layout, rotation)
        if wanted is not None:
            hidden = hidden[wanted]
        return hidden + cast("Tensor", self.mlp(self.post_attention_layernorm(hidden)))


class Network(nn.Module):
    """Token ids to the logits of the next token."""

    def __init__(self, spec: ModelSpec, seed: int) -> None:
        super().__init__()
        self.spec = spec
        self.embed_tokens = nn.Embedding(spec.vocabulary, spec.hidden)
        self.layers = nn.ModuleList(Layer(spec) for _ in range(spec.layers))
        self.norm = nn.RMSNorm(spec.hidden, eps=spec.rms_eps)
        self.lm_head = nn.Linear(spec.hidden, spec.vocabulary, bias=False)
        self.rotation = Rotation(spec)
        self._initialise(torch.Generator().manual_seed(seed))

    def _initialise(self, generator: torch.Generator) -> None:
        """Normal weights; those that write to the residual stream are smaller by sqrt(2 * layers)."""
        for name, weights in self.named_parameters():
            if weights.dim() == 2:
                writes = name.endswith(("o_proj.weight", "down_proj.weight"))
                deviation = 0.02 / math.sqrt(2 * self.spec.layers) if writes else 0.02
                deviation = EMBEDDING_DEVIATION if name.startswith("embed") else deviation
                nn.init.normal_(weights, std=deviation, generator=generator)

    def forward(self, ids: Tensor, layout: Layout, wanted: Tensor | None = None) -> Tensor:
        """Logits [wanted or all tokens, vocabulary] for `ids` [tokens], which belong together as `layout` says."""
        hidden = self.embed_tokens(ids)
        for layer in self.layers[:-1]:
            hidden = layer(hidden, layout, self.rotation)
        hidden = self.layers[-1](hidden, layout, self.rotation, wanted)
        return cast("Tensor", self.lm_head(self.norm(hidden)))
