"""Writes one sentence in many ways: `[Hi|Hello] {name}` picks an alternative, then fills the slots."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from random import Random

_TOKEN = re.compile(r"[\[\]|]|[^\[\]|]+")
_BEFORE_VOWEL = re.compile(r"\b([Aa])(?= (?:[aio]|e(?!u))(?!ne\b))")
_ROOT = 1 / 3
"""An alternative weighs the cube root of its number of wordings: often enough to be varied, and the single ones are heard."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """Alternatives, each a sequence of texts and choices; `bounds` are the sums of their weights."""

    alternatives: tuple[tuple["str | _Choice", ...], ...]
    bounds: tuple[float, ...]
    wordings: int


def phrase(rng: Random, pattern: str, **slots: object) -> str:
    """Draws one alternative of each `[a|b|]`, nested or not, and of the whole, which is a choice, too; then fills `{slot}`.

    Alternatives with more wordings are drawn more often. Raises KeyError for a slot without a value.
    """
    parts: list[str] = []
    _expand(rng, _parsed(pattern), parts)
    return "".join(parts).format_map(slots)


def _expand(rng: Random, choice: _Choice, parts: list[str]) -> None:
    bounds = choice.bounds
    place = bisect_right(bounds, rng.random() * bounds[-1]) if len(bounds) > 1 else 0
    for part in choice.alternatives[place]:
        if isinstance(part, str):
            parts.append(part)
        else:
            _expand(rng, part, parts)


@lru_cache(maxsize=16384)
def _parsed(pattern: str) -> _Choice:
    """The pattern as a tree. Raises ValueError where a bracket has no partner."""
    levels: list[list[list[str | _Choice]]] = [[[]]]
    for token in _TOKEN.findall(pattern):
        if token == "[":
            levels.append([[]])
        elif token == "|":
            levels[-1].append([])
        elif token != "]":
            levels[-1][-1].append(token)
        elif len(levels) > 1:
            inner = _weighed(levels.pop())
            levels[-1][-1].append(inner)
        else:
            raise ValueError(f"a bracket has no partner in {pattern!r}")
    if len(levels) > 1:
        raise ValueError(f"a bracket has no partner in {pattern!r}")
    return _weighed(levels[0])


def _weighed(alternatives: list[list[str | _Choice]]) -> _Choice:
    """What may be left out is left out as often as one of the others is said, however many wordings they have."""
    counts = [_wordings(parts) for parts in alternatives]
    weights = [count**_ROOT for count in counts]
    said = [weight for weight, parts in zip(weights, alternatives, strict=True) if parts] or [1.0]
    mean = sum(said) / len(said)
    bounds = accumulate(weight if parts else mean for weight, parts in zip(weights, alternatives, strict=True))
    return _Choice(tuple(map(tuple, alternatives)), tuple(bounds), sum(counts))


def _wordings(parts: list[str | _Choice]) -> int:
    count = 1
    for part in parts:
        count *= 1 if isinstance(part, str) else part.wordings
    return count


def capitalised(text: str) -> str:
    """The text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def listed(items: list[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def articled(text: str) -> str:
    """The text with `an` for each `a` before a vowel, as slots were filled without looking."""
    return _BEFORE_VOWEL.sub(r"\1n", text)


def sentences(text: str) -> str:
    """The text with a capital at its beginning and after each mark that ends a sentence, and its articles put right."""
    text = articled(text)
    for mark in (". ", "! ", "? "):
        text = mark.join(capitalised(part) for part in text.split(mark))
    return text
