"""Which tokens of a row see which: conversations lie one after another, families with their common beginning once.

What follows in each conversation of a family sees the beginning and itself, and no family sees another. A CPU computes
the attention of each run of tokens alone; a GPU that of the whole row, and leaves out what the mask makes empty.
"""

# torch is Any where it is not installed, and typed where it is; both pass.
# mypy: no-warn-unused-ignores

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Protocol

import numpy as np
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
    return Masked(lengths, device) if device.type == "cuda" else Runs(lengths)


class Runs:
    """Run by run."""

    def __init__(self, lengths: Sequence[Sequence[int]]) -> None:
        self.positions = torch.from_numpy(_places(lengths)[0])
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

    def __init__(self, lengths: Sequence[Sequence[int]], device: torch.device) -> None:
        places = torch.from_numpy(_places(lengths)).to(device, non_blocking=True)
        self.positions, self._first, self._end, self._start = places.unbind()

    def mixer(self) -> Mix:
        """Attention under a mask of blocks, which is made here."""
        first, end, start = self._first, self._end, self._start

        def seen(_batch: Tensor, _head: Tensor, here: Tensor, there: Tensor) -> Tensor:
            # Nothing is looked up for `there`, which would be for every pair of tokens: a step took twice as long.
            return (there <= here) & (there >= first[here]) & ((there < end[here]) | (there >= start[here]))

        tokens = first.shape[0]
        blocks = create_block_mask(seen, None, None, tokens, tokens, first.device)

        def mix(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            # The rotation is in float32 and what is mixed need not be.
            query, key, value = (each.to(value.dtype).unsqueeze(0) for each in (query, key, value))
            return flex_attention(query, key, value, block_mask=blocks).squeeze(0)  # type: ignore[union-attr]

        return mix


def _places(lengths: Sequence[Sequence[int]]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Of each token: its position, and where in the row its family begins, that beginning ends, and its run starts."""
    sizes = [length for family in lengths for length in family]
    starts = [0, *accumulate(sizes)]
    runs, run = [], 0
    for beginning, *rest in lengths:
        first = starts[run]
        end = first + beginning
        runs.append((first, first, end, first))
        runs += [(start - beginning, first, end, start) for start in starts[run + 1 : run + 1 + len(rest)]]
        run += 1 + len(rest)
    places = np.repeat(np.array(runs).T, sizes, axis=1)
    places[0] = np.arange(places.shape[1]) - places[0]
    return places
