"""Chooses llama.cpp's slot for each generation, so that a conversation finds the KV cache of its last turn.

llama.cpp's own choice takes the slot of another conversation as soon as a tenth of the prompt is the same, such as the
system prompt, and two conversations then evict each other although other slots are free.

Slots that are busy at the same time are kept next to each other, because each slot has a KV cache of its own and
llama.cpp computes only neighbours together: the tokens of slots 0, 1 and 5 take two passes over the weights for a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# What one more group of busy neighbours costs, in tokens of prefill. With 200 million weights on two cores, a step of
# four slots took 73 ms in four groups and 51 ms in one: 7 ms for each further group, the time of two prompt tokens.
# An answer has a hundred steps or more.
_GROUP_TOKENS: Final = 256
# Token ids are compared in blocks of this many, in C.
_BLOCK: Final = 256


@dataclass(slots=True)
class _CachedPrompt:
    """What a slot holds: the last prompt that it got, and the number of tokens generated for it."""

    prompt: Sequence[int] = ()
    generated: int = 0
    used: int = 0  # grows with every use
    busy: bool = False


class PromptCache:
    """The prompts in llama.cpp's slots, as far as they are known."""

    def __init__(self, slots: int) -> None:
        self._slots = [_CachedPrompt() for _ in range(slots)]
        self._unplaced = 0
        self._uses = 0

    def take(self, prompt: Sequence[int], n: int) -> int | None:
        """The slot for a generation of `n` choices; None to leave it to llama.cpp.

        That is the slot from which most tokens are reused, less those that are lost there and the cost of a further
        group; or, where more would be lost than reused, the one that was not used for the longest time among those
        that make the fewest groups. llama.cpp chooses the slots of further choices without saying which; while it does,
        it chooses all.
        """
        if n > 1 or self._unplaced:
            self._unplaced += 1
            for slot in self._slots:
                if not slot.busy:
                    slot.prompt, slot.generated = (), 0
            return None
        free = [number for number, slot in enumerate(self._slots) if not slot.busy]
        gains = {number: self._gain(self._slots[number], prompt) for number in free}
        groups = {number: self._further_groups(number) for number in free}
        best = max(free, key=lambda number: gains[number] - _GROUP_TOKENS * groups[number])
        if gains[best] <= 0:
            best = min(free, key=lambda number: (groups[number], self._slots[number].used))
        self._uses += 1
        self._slots[best] = _CachedPrompt(prompt, 0, self._uses, busy=True)
        return best

    def give_back(self, slot: int | None, generated: int) -> None:
        """A generation has ended, after so many tokens."""
        if slot is None:
            self._unplaced -= 1
        else:
            self._slots[slot].generated = generated
            self._slots[slot].busy = False

    def _further_groups(self, number: int) -> int:
        """How many more groups of busy neighbours there are with this slot: 1 by itself, -1 if it joins two."""
        return 1 - sum(slot.busy for slot in (*self._slots[number - 1 : number], *self._slots[number + 1 : number + 2]))

    def _gain(self, slot: _CachedPrompt, prompt: Sequence[int]) -> int:
        """The tokens that the prompt would reuse, less those that would have to be computed again for the last one."""
        reused = _common_prefix(slot.prompt, prompt)
        # The next turn of a conversation has its last answer in it: nothing of that is lost.
        lost = 0 if reused == len(slot.prompt) else len(slot.prompt) + slot.generated - reused
        return reused - lost


def _common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """The number of equal ids at the beginning of both."""
    shorter = min(len(one), len(other))
    start = 0
    while start < shorter and one[start : start + _BLOCK] == other[start : start + _BLOCK]:
        start += _BLOCK
    start = min(start, shorter)
    while start < shorter and one[start] == other[start]:
        start += 1
    return start
