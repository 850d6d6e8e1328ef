"""Patterns of `[a|b|]` and `{slot}` whose slots draw something new each time; alternatives are equally likely.

Those of `wording.py` are filled with values that the caller has, and weigh an alternative by its wordings.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

Maker = Callable[[Random], str]
"""Draws one text."""
_TOKEN = re.compile(r"[\[\]|]|\{\w+\}|[^\[\]|{}]+")


def one_of(makers: Sequence[Maker]) -> Maker:
    """Draws one of the makers, each as likely, and then its text."""
    fixed, count = tuple(makers), len(makers)
    return fixed[0] if count == 1 else lambda rng: fixed[int(rng.random() * count)](rng)


def word_of(words: Sequence[str]) -> Maker:
    """Draws one of the words, each as likely."""
    fixed, count = tuple(words), len(words)
    return lambda rng: fixed[int(rng.random() * count)]


def compiled(patterns: Sequence[str], slots: Mapping[str, Maker]) -> Maker:
    """Draws one of the patterns and fills it. Raises KeyError at once for a slot that there is not."""
    return one_of([_alternatives(_TOKEN.findall(pattern), slots) for pattern in patterns])


def _alternatives(tokens: list[str], slots: Mapping[str, Maker]) -> Maker:
    """Reads tokens up to the bracket that closes, and removes them from the list."""
    choices: list[list[Maker]] = [[]]
    while tokens:
        token = tokens.pop(0)
        if token == "]":
            break
        if token == "|":
            choices.append([])
        elif token == "[":
            choices[-1].append(_alternatives(tokens, slots))
        else:
            choices[-1].append(slots[token[1:-1]] if token[0] == "{" else word_of((token,)))
    return one_of([_joined(parts) for parts in choices])


def _joined(parts: list[Maker]) -> Maker:
    fixed = tuple(parts)
    return fixed[0] if len(fixed) == 1 else lambda rng: "".join([part(rng) for part in fixed])
