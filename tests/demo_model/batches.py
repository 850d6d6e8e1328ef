"""Cuts the stream of families of conversations into training batches of token ids and targets."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, count
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tests.demo_model.data.corpus import family
from tests.demo_model.rendering import render
from tests.demo_model.spec import PAD, TrainSpec
from tests.demo_model.tokenizer import AssistantSpans, encode, token_id

_IGNORED = -100
"""The target that PyTorch's cross-entropy leaves out."""
_CHUNK = 32
"""Families that a process encodes at a time."""
_AHEAD = 4
"""Chunks for each process that are made before they are asked for."""


Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Families in a row: `ids`, and where (`wanted`) which id (`targets`) comes next.

    `lengths` has a tuple for each family: tokens of the common beginning, then of what follows in each conversation.
    """

    ids: Ids
    lengths: tuple[tuple[int, ...], ...]
    wanted: Ids
    targets: Ids


class Batches:
    """Batch after batch; `cursor` is the number of the next family and all the state there is.

    Every batch has `batch_tokens` ids and half as many targets, of which the last are filled in. A compiled network
    needs one shape, and so does oneDNN: it compiles and keeps kernels for every new one. With rows of any length a step
    takes 1.4 times as long after 200 steps, and the process grows to 5 GB.
    """

    def __init__(self, tokenizer: Tokenizer, spec: TrainSpec, cursor: int = 0, processes: int = 0) -> None:
        self.cursor = cursor
        self._size = spec.batch_tokens
        self._filler = token_id(tokenizer, PAD)
        self._families = _encoded(tokenizer, spec, cursor, processes)
        self._next = next(self._families)

    def next(self) -> Batch:
        """The next families that fit; one that fits into no batch is left out."""
        families, ids, targets = list[Batch](), 0, 0
        while self._fits(ids, targets) or not self._fits(0, 0):
            if self._fits(ids, targets):
                families.append(self._next)
                ids, targets = ids + len(self._next.ids), targets + len(self._next.targets)
            self._next = next(self._families)
            self.cursor += 1
        return joined(families, self._size, self._size // 2, self._filler)

    def _fits(self, ids: int, targets: int) -> bool:
        return ids + len(self._next.ids) <= self._size and targets + len(self._next.targets) <= self._size // 2


def _encoded(tokenizer: Tokenizer, spec: TrainSpec, cursor: int, processes: int) -> Iterator[Batch]:
    """Every family from the cursor on, in order; made in so many other processes, or here."""
    if processes == 0:
        encoder = _Encoder(tokenizer, spec)
        yield from map(encoder.family, count(cursor))
    made, starts, text = deque[Future[list[Batch]]](), count(cursor, _CHUNK), tokenizer.to_str()
    # A process that is forked from one that computes on a GPU or in threads can hang.
    pool = ProcessPoolExecutor(processes, get_context("spawn"))
    try:
        while True:
            while len(made) < _AHEAD * processes:
                made.append(pool.submit(_encode_chunk, text, spec, next(starts)))
            yield from made.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Encoder:
    def __init__(self, tokenizer: Tokenizer, spec: TrainSpec) -> None:
        self._tokenizer, self._seed, self._longest = tokenizer, spec.seed, spec.max_length
        self._spans = AssistantSpans(tokenizer)

    def family(self, number: int) -> Batch:
        """The family alone; conversations over `max_length` are left out."""
        made = family(self._seed, number)
        encoded = [encode(self._tokenizer, render(each.messages, each.tools, date=each.date)) for each in made]
        masks = [self._spans.mask(ids, each.learned()) for ids, each in zip(encoded, made, strict=True)]
        return overlaid([(ids, mask) for ids, mask in zip(encoded, masks, strict=True) if len(ids) <= self._longest])


@cache
def _encoder(tokenizer: str, spec: TrainSpec) -> _Encoder:
    return _Encoder(Tokenizer.from_str(tokenizer), spec)


def _encode_chunk(tokenizer: str, spec: TrainSpec, start: int) -> list[Batch]:
    return [_encoder(tokenizer, spec).family(number) for number in range(start, start + _CHUNK)]


def overlaid(members: list[tuple[list[int], list[bool]]]) -> Batch:
    """A family of (ids, mask of the ids to be learned), its common beginning once; possibly of none."""
    if not members:
        return joined([], 0, 0, 0)
    shared = _shared([ids for ids, _ in members])
    first, mask = members[0]
    rests = [] if len(members) == 1 else [(ids[shared:], mask[shared:]) for ids, mask in members]
    runs = [(first[:shared], mask[:shared]), *rests]
    ids, wanted, targets = list[int](), list[int](), list[int]()
    for run, learned in runs:
        # What comes before the first id of a run is the beginning's last one; of the beginning itself nothing.
        places = [place for place in range(not ids, len(run)) if learned[place]]
        wanted += [len(ids) + place - 1 if place else shared - 1 for place in places]
        targets += [run[place] for place in places]
        ids += run
    lengths = tuple(len(run) for run, _ in runs)
    return Batch(np.array(ids), (lengths,), np.array(wanted, dtype=np.int64), np.array(targets, dtype=np.int64))


def joined(families: list[Batch], size: int, targets: int, token: int) -> Batch:
    """The families in a row, filled up to `size` ids and so many targets; what is filled in teaches nothing."""
    starts = [0, *accumulate(len(family.ids) for family in families)]
    filled, ignored = size - starts[-1], targets - sum(len(family.targets) for family in families)
    ids = np.concatenate([*(family.ids for family in families), np.full(filled, token)])
    lengths = (*(each for family in families for each in family.lengths), *([(filled,)] if filled else []))
    wanted = [family.wanted + start for family, start in zip(families, starts, strict=False)]
    # What is filled in wants places that differ: gradients of one place are added one after another.
    wanted.append(np.arange(ignored))
    learned = np.concatenate([*(family.targets for family in families), np.full(ignored, _IGNORED)])
    return Batch(ids, lengths, np.concatenate(wanted), learned)


def _shared(rows: list[list[int]]) -> int:
    """How many first ids all rows have in common."""
    low, high = min(rows), max(rows)
    pairs = enumerate(zip(low, high, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(low), len(high)))
