"""The network: Llama 3.1's decoder in PyTorch, with the parameter names of a Hugging Face checkpoint.

The tokens of a batch lie one after another in one row, without padding; its layout says which of them see which.
"""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: allow-subclassing-any

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.demo_model.layout import Layout, Mix
from tests.demo_model.rope import frequencies
from tests.demo_model.spec import ModelSpec

Turn = Callable[[Tensor], Tensor]
EMBEDDING_DEVIATION = 0.5


class Rotation(nn.Module):
    """Cosines and sines per position; the second half of a head is the partner of the first (Hugging Face's order)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        angles = torch.outer(torch.arange(spec.context, dtype=torch.float32), torch.tensor(frequencies(spec)))
        angles = torch.cat((angles, angles), dim=-1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, positions: Tensor) -> Turn:
        """Rotates [tokens, heads, head size] by the tokens' positions."""
        cos, sin = self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)

        def turn(heads: Tensor) -> Tensor:
            first, second = heads.chunk(2, dim=-1)
            return heads * cos + torch.cat((-second, first), dim=-1) * sin

        return turn


class Attention(nn.Module):
    """Grouped-query attention."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.q_proj = nn.Linear(spec.hidden, spec.heads * spec.head_size, bias=False)
        self.k_proj = nn.Linear(spec.hidden, spec.kv_heads * spec.head_size, bias=False)
        self.v_proj = nn.Linear(spec.hidden, spec.kv_heads * spec.head_size, bias=False)
        self.o_proj = nn.Linear(spec.heads * spec.head_size, spec.hidden, bias=False)

    def forward(self, hidden: Tensor, turn: Turn, mix: Mix) -> Tensor:
        """[tokens, hidden] to the same shape."""
        size, repeats = self.spec.head_size, self.spec.heads // self.spec.kv_heads
        query = turn(self.q_proj(hidden).view(-1, self.spec.heads, size))
        key = turn(self.k_proj(hidden).view(-1, self.spec.kv_heads, size)).repeat_interleave(repeats, dim=1)
        value = self.v_proj(hidden).view(-1, self.spec.kv_heads, size).repeat_interleave(repeats, dim=1)
        mixed = mix(query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)).transpose(0, 1)
        return cast("Tensor", self.o_proj(mixed.reshape(hidden.shape[0], -1)))


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

    def forward(self, hidden: Tensor, turn: Turn, mix: Mix, wanted: Tensor | None = None) -> Tensor:
        """[tokens, hidden] to the same shape, or to [wanted, hidden]."""
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), turn, mix)
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
        hidden, turn, mix = self.embed_tokens(ids), self.rotation(layout.positions), layout.mixer()
        for layer in self.layers[:-1]:
            hidden = layer(hidden, turn, mix)
        hidden = self.layers[-1](hidden, turn, mix, wanted)
        return cast("Tensor", self.lm_head(self.norm(hidden)))
