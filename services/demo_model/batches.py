"""Cuts the stream of families of conversations into training batches of token ids and targets."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from multiprocessing import get_context

from tokenizers import Tokenizer

from services.demo_model.data.corpus import family
from services.demo_model.rendering import render
from services.demo_model.spec import PAD, TrainSpec
from services.demo_model.tokenizer import AssistantSpans, encode, token_id

_IGNORED = -100
"""The target that PyTorch's cross-entropy leaves out."""
_CHUNK = 32
"""Families that a process encodes at a time."""
_AHEAD = 4
"""Chunks for each process that are made before they are asked for."""


@dataclass(slots=True)
class Batch:
    """Families in a row: `ids`, and where (`wanted`) which id (`targets`) comes next.

    `lengths` has a tuple for each family: tokens of the common beginning, then of what follows in each conversation.
    """

    ids: list[int] = field(default_factory=list)
    lengths: list[tuple[int, ...]] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)

    def extend(self, other: "Batch") -> None:
        """Adds the families of the other behind these."""
        start = len(self.ids)
        self.ids += other.ids
        self.lengths += other.lengths
        self.wanted += [start + place for place in other.wanted]
        self.targets += other.targets


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
        batch = Batch()
        while self._fits(batch) or not self._fits(Batch()):
            if self._fits(batch):
                batch.extend(self._next)
            self._next = next(self._families)
            self.cursor += 1
        fill(batch, self._size, self._size // 2, self._filler)
        return batch

    def _fits(self, batch: Batch) -> bool:
        ids, wanted = len(batch.ids) + len(self._next.ids), len(batch.wanted) + len(self._next.wanted)
        return ids <= self._size and wanted <= self._size // 2


def _encoded(tokenizer: Tokenizer, spec: TrainSpec, cursor: int, processes: int) -> Iterator[Batch]:
    """Every family from the cursor on, in order; made in so many other processes, or here."""
    if processes == 0:
        encoder = _Encoder(tokenizer, spec)
        yield from map(encoder.family, count(cursor))
    made, starts, text = deque[Future[list[Batch]]](), count(cursor, _CHUNK), tokenizer.to_str()
    # A process that is forked from one that computes on a GPU or in threads can hang.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        while True:
            while len(made) < _AHEAD * processes:
                made.append(pool.submit(_encode_chunk, text, spec, next(starts)))
            yield from made.popleft().result()


class _Encoder:
    def __init__(self, tokenizer: Tokenizer, spec: TrainSpec) -> None:
        self._tokenizer, self._spec = tokenizer, spec
        self._spans = AssistantSpans(tokenizer)

    def family(self, number: int) -> Batch:
        """The family alone; conversations over `max_length` are left out."""
        made = family(self._spec.seed, number)
        encoded = [encode(self._tokenizer, render(each.messages, each.tools, date=each.date)) for each in made]
        masks = [self._spans.mask(ids, each.learned()) for ids, each in zip(encoded, made, strict=True)]
        members = [(ids, mask) for ids, mask in zip(encoded, masks, strict=True) if len(ids) <= self._spec.max_length]
        return joined(members) if members else Batch()


@cache
def _encoder(tokenizer: str, spec: TrainSpec) -> _Encoder:
    return _Encoder(Tokenizer.from_str(tokenizer), spec)


def _encode_chunk(tokenizer: str, spec: TrainSpec, start: int) -> list[Batch]:
    return [_encoder(tokenizer, spec).family(number) for number in range(start, start + _CHUNK)]


def joined(members: list[tuple[list[int], list[bool]]]) -> Batch:
    """A family of (ids, mask of the ids to be learned), its common beginning once."""
    first, mask = members[0]
    shared = _shared([ids for ids, _ in members])
    batch = Batch()
    _learn(batch, first[:shared], mask)
    rests = [] if len(members) == 1 else members
    for ids, mask in rests:
        rest, wanted = ids[shared:], mask[shared:]
        if rest and wanted[0]:
            batch.wanted.append(shared - 1)
            batch.targets.append(rest[0])
        _learn(batch, rest, wanted)
    batch.lengths.append((shared, *(len(ids) - shared for ids, _ in rests)))
    return batch


def fill(batch: Batch, size: int, targets: int, token: int) -> None:
    """Fills both up; what is filled in teaches nothing."""
    filled, ignored = size - len(batch.ids), targets - len(batch.wanted)
    if filled:
        batch.lengths.append((filled,))
    batch.ids += [token] * filled
    batch.wanted += [0] * ignored
    batch.targets += [_IGNORED] * ignored


def _shared(rows: list[list[int]]) -> int:
    """How many first ids all rows have in common."""
    low, high = min(rows), max(rows)
    pairs = enumerate(zip(low, high, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(low), len(high)))


def _learn(batch: Batch, ids: list[int], mask: list[bool]) -> None:
    """Adds the run, and wants each id of it that is to be learned at the place before it; its first id has none."""
    start = len(batch.ids)
    places = [place for place in range(1, len(ids)) if mask[place]]
    batch.ids += ids
    batch.wanted += [start + place - 1 for place in places]
    batch.targets += [ids[place] for place in places]
