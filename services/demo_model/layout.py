"""Which tokens of a row see which: conversations lie one after another, families with their common beginning once.

What follows in each conversation of a family sees the beginning and itself, and no family sees another. A CPU computes
the attention of each run of tokens alone; a GPU that of the whole row, and leaves out what the mask makes empty.
"""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: no-warn-unused-ignores

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values, each [heads, tokens, head size], to the values as each token attends to them."""


class Layout(Protocol):
    """Where the tokens of a row belong."""

    positions: Tensor
    """Each token's place in its conversation."""

    def mixer(self) -> Mix:
        """Attention for this row."""


def layout(lengths: Sequence[Sequence[int]], device: torch.device) -> Layout:
    """For a row of families; the lengths of one are those of its beginning and of each continuation."""
    positions = torch.cat([_positions(family) for family in lengths])
    return Masked(lengths, positions, device) if device.type == "cuda" else Runs(lengths, positions)


def _positions(family: Sequence[int]) -> Tensor:
    beginning, *rest = family
    return torch.cat([torch.arange(beginning), *(torch.arange(beginning, beginning + length) for length in rest)])


class Runs:
    """Run by run."""

    def __init__(self, lengths: Sequence[Sequence[int]], positions: Tensor) -> None:
        self.positions = positions
        self._sizes = [length for family in lengths for length in family]
        """Tokens in each run of the row, beginnings and continuations alike."""
        self._beginnings: list[tuple[int, Tensor] | None] = []
        """For a continuation the run that is its beginning, and which of both its tokens see; None for a beginning."""
        for first, *rest in lengths:
            beginning = len(self._beginnings)
            self._beginnings.append(None)
            self._beginnings += [(beginning, _seen(first, length)) for length in rest]

    def mixer(self) -> Mix:
        """In float32: the gradient of attention takes twice as long in bfloat16 on a CPU."""
        return self._mix

    def _mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        queries, keys, values = (torch.split(each.float(), self._sizes, dim=1) for each in (query, key, value))
        with torch.autocast("cpu", enabled=False):
            return torch.cat(list(self._mixed(queries, keys, values)), dim=1)

    def _mixed(self, queries: Sequence[Tensor], keys: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[Tensor]:
        for query, key, value, begun in zip(queries, keys, values, self._beginnings, strict=True):
            seen = None
            if begun is not None:
                beginning, seen = begun
                key, value = torch.cat((keys[beginning], key), dim=1), torch.cat((values[beginning], value), dim=1)
            query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen, is_causal=seen is None)
            yield mixed.squeeze(0)


def _seen(beginning: int, length: int) -> Tensor:
    return torch.ones(length, beginning + length, dtype=torch.bool).tril(beginning)


class Masked:
    """The row as a whole. To be compiled: as it stands, every token's score for every other is kept."""

    def __init__(self, lengths: Sequence[Sequence[int]], positions: Tensor, device: torch.device) -> None:
        sizes = torch.tensor([length for family in lengths for length in family])
        families = torch.tensor([number for number, family in enumerate(lengths) for _ in family])
        begin = torch.tensor([place == 0 for family in lengths for place, _ in enumerate(family)])
        self.positions = positions.to(device, non_blocking=True)
        self._family = families.repeat_interleave(sizes).to(device, non_blocking=True)
        self._run = torch.arange(len(sizes)).repeat_interleave(sizes).to(device, non_blocking=True)
        self._begins = begin.repeat_interleave(sizes).to(device, non_blocking=True)

    def mixer(self) -> Mix:
        """Attention under a mask of blocks, which is made here."""
        family, run, begins = self._family, self._run, self._begins

        def seen(_batch: Tensor, _head: Tensor, here: Tensor, there: Tensor) -> Tensor:
            together = (family[here] == family[there]) & (begins[there] | (run[here] == run[there]))
            return together & (there <= here)

        tokens = family.shape[0]
        blocks = create_block_mask(seen, None, None, tokens, tokens, family.device)

        def mix(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            # The rotation is in float32 and what is mixed need not be.
            query, key, value = (each.to(value.dtype).unsqueeze(0) for each in (query, key, value))
            return flex_attention(query, key, value, block_mask=blocks).squeeze(0)  # type: ignore[union-attr]

        return mix
