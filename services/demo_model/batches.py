"""Cuts the stream of conversations into training batches of token ids and targets."""

from dataclasses import dataclass

from tokenizers import Tokenizer

from services.demo_model.data.corpus import conversation
from services.demo_model.rendering import render
from services.demo_model.spec import TrainSpec
from services.demo_model.tokenizer import AssistantSpans, encode


@dataclass(frozen=True, slots=True)
class Batch:
    """Conversations in a row: `ids`, their `lengths`, and where (`wanted`) which id (`targets`) comes next."""

    ids: list[int]
    lengths: list[int]
    wanted: list[int]
    targets: list[int]


class Batches:
    """Batch after batch; `cursor` is the number of the next conversation and all the state there is."""

    def __init__(self, tokenizer: Tokenizer, spec: TrainSpec, cursor: int = 0) -> None:
        self.cursor = cursor
        self._tokenizer, self._spec = tokenizer, spec
        self._spans = AssistantSpans(tokenizer)

    def next(self) -> Batch:
        """The next conversations, until they have `batch_tokens`; those over `max_length` are left out."""
        batch = Batch([], [], [], [])
        while len(batch.ids) < self._spec.batch_tokens:
            made = conversation(self._spec.seed, self.cursor)
            self.cursor += 1
            ids = encode(self._tokenizer, render(made.messages, made.tools, date=made.date))
            if len(ids) > self._spec.max_length:
                continue
            mask, offset = self._spans.mask(ids, made.learned()), len(batch.ids)
            places = [place for place in range(1, len(ids)) if mask[place]]
            batch.wanted.extend(offset + place - 1 for place in places)
            batch.targets.extend(ids[place] for place in places)
            batch.ids.extend(ids)
            batch.lengths.append(len(ids))
        return batch
