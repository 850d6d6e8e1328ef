"""Writes one sentence in many ways: `[Hi|Hello] {name}` picks an alternative, then fills the slots."""

import re
from random import Random

_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def phrase(rng: Random, pattern: str, **slots: object) -> str:
    """Expands the innermost `[a|b|]` choices first, then `{slot}`; raises KeyError for a slot without a value."""
    while match := _CHOICE.search(pattern):
        pattern = pattern[: match.start()] + rng.choice(match.group(1).split("|")) + pattern[match.end() :]
    return pattern.format_map(slots)


def capitalised(text: str) -> str:
    """The text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def listed(items: list[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def with_article(noun: str) -> str:
    """The noun with `a` or `an`."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def loosened(rng: Random, text: str) -> str:
    """The text as people type it: now and then in lower case or without its last mark."""
    roll = rng.random()
    if roll < 0.10:
        text = text.lower()
    if roll > 0.88:
        text = text.rstrip(".?!")
    return text
