"""Cuts the stream of families of conversations into training batches of token ids and targets."""

from dataclasses import dataclass

from tokenizers import Tokenizer

from services.demo_model.data.corpus import family
from services.demo_model.rendering import render
from services.demo_model.spec import PAD, TrainSpec
from services.demo_model.tokenizer import AssistantSpans, encode, token_id

_IGNORED = -100
"""The target that PyTorch's cross-entropy leaves out."""
_MULTIPLE = 128


@dataclass(frozen=True, slots=True)
class Batch:
    """Families in a row: `ids`, and where (`wanted`) which id (`targets`) comes next.

    `lengths` has a tuple for each family: tokens of the common beginning, then of what follows in each conversation.
    """

    ids: list[int]
    lengths: list[tuple[int, ...]]
    wanted: list[int]
    targets: list[int]


class Batches:
    """Batch after batch; `cursor` is the number of the next family and all the state there is."""

    def __init__(self, tokenizer: Tokenizer, spec: TrainSpec, cursor: int = 0) -> None:
        self.cursor = cursor
        self._tokenizer, self._spec = tokenizer, spec
        self._spans = AssistantSpans(tokenizer)

    def next(self) -> Batch:
        """The next families, until they have `batch_tokens`; conversations over `max_length` are left out."""
        batch = Batch([], [], [], [])
        while len(batch.ids) < self._spec.batch_tokens:
            made = family(self._spec.seed, self.cursor)
            self.cursor += 1
            encoded = [encode(self._tokenizer, render(each.messages, each.tools, date=each.date)) for each in made]
            masks = [self._spans.mask(ids, each.learned()) for ids, each in zip(encoded, made, strict=True)]
            fitting = [
                (ids, mask) for ids, mask in zip(encoded, masks, strict=True) if len(ids) <= self._spec.max_length
            ]
            if fitting:
                append(batch, fitting)
        pad(batch, token_id(self._tokenizer, PAD))
        return batch


def append(batch: Batch, family: list[tuple[list[int], list[bool]]]) -> None:
    """Adds a family of (ids, mask of the ids to be learned), its common beginning once."""
    start, (first, mask) = len(batch.ids), family[0]
    shared = _shared([ids for ids, _ in family])
    _learn(batch, start, first[:shared], mask)
    batch.ids.extend(first[:shared])
    rests = [] if len(family) == 1 else family
    for ids, mask in rests:
        rest, wanted = ids[shared:], mask[shared:]
        if rest and wanted[0]:
            batch.wanted.append(start + shared - 1)
            batch.targets.append(rest[0])
        _learn(batch, len(batch.ids), rest, wanted)
        batch.ids.extend(rest)
    batch.lengths.append((shared, *(len(ids) - shared for ids, _ in rests)))


def pad(batch: Batch, token: int) -> None:
    """Fills both lengths up to multiples of 128; what is filled in teaches nothing.

    For every new shape oneDNN compiles and keeps new kernels: with any length, a step takes 1.4 times as long after 200
    steps, and the process grows to 5 GB.
    """
    filled, ignored = -len(batch.ids) % _MULTIPLE, -len(batch.wanted) % _MULTIPLE
    if filled:
        batch.lengths.append((filled,))
    batch.ids.extend([token] * filled)
    batch.wanted.extend([0] * ignored)
    batch.targets.extend([_IGNORED] * ignored)


def _shared(rows: list[list[int]]) -> int:
    """How many first ids all rows have in common."""
    low, high = min(rows), max(rows)
    pairs = enumerate(zip(low, high, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(low), len(high)))


def _learn(batch: Batch, start: int, ids: list[int], mask: list[bool]) -> None:
    """Wants each id of the run that is to be learned at the place before it; the run's first id has none."""
    places = [place for place in range(1, len(ids)) if mask[place]]
    batch.wanted.extend(start + place - 1 for place in places)
    batch.targets.extend(ids[place] for place in places)
