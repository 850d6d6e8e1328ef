"""The forms of English words: plurals, articles, and what a verb turns into. Words behind a verb stay: `picking up`."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

_FORMS = tomllib.loads((Path(__file__).parent / "inflection.toml").read_text(encoding="utf-8"))
_PLURALS: dict[str, str] = _FORMS["plurals"]
_PARTICIPLES: dict[str, str] = _FORMS["participles"]
_DOUBLED = frozenset(_FORMS["verbs"]["doubled"].split())
_ONE_SYLLABLE = re.compile("[^aeiou]+[aeiou][^aeiouwxy]")
"""Verbs that write their last letter twice before an ending, too."""
_HISSING = re.compile("(s|x|z|ch|sh)$")
_ENDS_IN_Y = re.compile("[^aeiou]y$")
_SILENT_H = ("hour", "honest", "honour", "heir")
_SPOKEN_YU = ("uni", "use", "usu", "uku", "uti", "eu", "one", "once", "ute")
_NOT_SPOKEN_YU = ("unim", "unin", "unid")


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb in all its forms."""

    base: str
    past: str
    participle: str
    third: str
    continued: str


def verb(entry: str) -> Verb:
    """The verb of `base`, `base/past` or `base/past/participle`, with underscores for blanks."""
    base, *irregular = entry.replace("_", " ").split("/")
    past = irregular[0] if irregular else _regular(base)
    return Verb(base, past, irregular[-1] if irregular else past, third(base), continued(base))


def continued(base: str) -> str:
    """The -ing form of a verb."""
    first, blank, rest = base.partition(" ")
    if first.endswith("ie"):
        stem = f"{first[:-2]}y"
    elif first.endswith("e") and not first.endswith(("ee", "ye", "oe")):
        stem = first[:-1]
    else:
        stem = _stem(first)
    return f"{stem}ing{blank}{rest}"


def participle(base: str) -> str:
    """The past participle of a verb."""
    first, blank, rest = base.partition(" ")
    return f"{_PARTICIPLES[first]}{blank}{rest}" if first in _PARTICIPLES else _regular(base)


def third(base: str) -> str:
    """The form of a verb behind `he`."""
    first, blank, rest = base.partition(" ")
    return f"{_with_s(first)}{blank}{rest}"


def plural(noun: str) -> str:
    """The plural of the last word, or of the word before `of`."""
    before, of, behind = noun.partition(" of ")
    head, blank, last = before.rpartition(" ")
    if last not in _PLURALS and last.endswith("man"):
        return f"{head}{blank}{last[:-2]}en{of}{behind}"
    return f"{head}{blank}{_PLURALS.get(last) or _with_s(last)}{of}{behind}"


def with_article(words: str) -> str:
    """The words with `a` or `an`, by their sound."""
    sound = words.lower()
    spoken_yu = sound.startswith(_SPOKEN_YU) and not sound.startswith(_NOT_SPOKEN_YU)
    vowel = sound.startswith(_SILENT_H) or (sound[0] in "aeiou" and not spoken_yu)
    return f"{'an' if vowel else 'a'} {words}"


def _regular(base: str) -> str:
    """The regular past of a verb."""
    first, blank, rest = base.partition(" ")
    if first.endswith("e"):
        past = f"{first}d"
    else:
        past = f"{first[:-1]}ied" if _ENDS_IN_Y.search(first) else f"{_stem(first)}ed"
    return f"{past}{blank}{rest}"


def _stem(first: str) -> str:
    """What stands before an ending that begins with a vowel."""
    if first in _DOUBLED or _ONE_SYLLABLE.fullmatch(first):
        return first + first[-1]
    return f"{first}k" if first.endswith("ic") else first


def _with_s(word: str) -> str:
    if _HISSING.search(word) or word in ("go", "do", "undergo"):
        return f"{word}es"
    return f"{word[:-1]}ies" if _ENDS_IN_Y.search(word) else f"{word}s"
