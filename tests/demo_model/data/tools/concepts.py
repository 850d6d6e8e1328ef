"""The concepts of `concepts.toml`: verbs and nouns in several wordings, and the parameters that go with them."""

# A list stays on few lines, however long.
# ruff: noqa: E501

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.demo_model.data.language import invented, words

_FILE: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parent / "concepts.toml").read_text(encoding="utf-8"))
ROOMS = (
    "kitchen",
    "bedroom",
    "bathroom",
    "office",
    "hall",
    "attic",
    "cellar",
    "living room",
    "garage",
    "nursery",
    "porch",
    "study",
)


@dataclass(frozen=True, slots=True)
class Verb:
    """One action; `kind` is a (get), c (make), i (learn about) or x (act on what is there)."""

    name: str
    kind: str
    wordings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Noun:
    """What is acted on, with the names of its verbs and of its parameters."""

    wordings: tuple[str, ...]
    mass: bool
    verbs: tuple[str, ...]
    params: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter's kind of value, its names, what it is, and where its value may stand; the file explains the places."""

    kind: str
    names: tuple[str, ...]
    about: tuple[str, ...]
    near: tuple[str, ...]
    before: tuple[str, ...]
    here: tuple[str, ...]
    after: tuple[str, ...]
    pre: str
    no: tuple[str, ...]
    count: bool
    always: bool

    @property
    def number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind.startswith(("int:", "float:")) or self.kind == "money"

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of an enumeration, or none."""
        return tuple(self.kind.removeprefix("enum:").split("/")) if self.kind.startswith("enum:") else ()

    def value(self, rng: Random) -> Any:
        """A new value."""
        kind, _, limits = self.kind.partition(":")
        if kind == "int":
            low, high = map(int, limits.split(":"))
            return rng.randint(low, min(high, rng.choice((low + 10, low + 30, high))))
        if kind == "float":
            low, high = map(int, limits.split(":"))
            return rng.choice((rng.randint(low, high), round(rng.uniform(low, high), rng.choice((1, 1, 2)))))
        return rng.choice(self.choices) if kind == "enum" else _VALUES[kind](rng)


def _money(rng: Random) -> int | float:
    return rng.choice((rng.randint(2, 99), rng.randint(5, 60) * 5, rng.randint(100, 25_000), invented.amount(rng)))


def _thing(rng: Random) -> str:
    noun = rng.choice((rng.choice(words.PLAIN_NOUNS), rng.choice(words.PLAIN_NOUNS), invented.word(rng)))
    before = rng.choice((rng.choice(words.COLOURS), rng.choice(words.ADJECTIVES), rng.choice(words.PLAIN_NOUNS)))
    return rng.choice((f"{noun}s", f"{before} {noun}s", f"{before} {noun}s", rng.choice(words.FOODS)))


def _product(rng: Random) -> str:
    """One or two words in lower case, or a name and a word."""
    noun = rng.choice((rng.choice(words.PLAIN_NOUNS), invented.word(rng)))
    return rng.choice((noun, f"{rng.choice(words.PLAIN_NOUNS)} {noun}", f"{invented.proper(rng)} {noun}"))


_VALUES: dict[str, Callable[[Random], Any]] = {
    "city": invented.city, "person": invented.person, "date": invented.spoken_date, "time": invented.clock, "email": invented.email,
    "code": invented.code, "title": invented.title, "text": invented.message, "topic": invented.topic, "money": _money, "thing": _thing,
    "bool": lambda r: r.random() < 0.6, "language": lambda r: r.choice(words.LANGUAGES), "currency": invented.currency,
    "street": invented.street, "phone": invented.phone, "word": invented.word, "url": invented.url, "file": invented.file_name,
    "symbol": invented.currency, "proper": invented.proper, "weekday": lambda r: r.choice(words.DAYS), "room": lambda r: r.choice(ROOMS),
    "colour": lambda r: r.choice(words.COLOURS), "hobby": lambda r: r.choice(words.HOBBIES), "food": lambda r: r.choice(words.FOODS),
    "date_full": lambda r: f"{r.randint(1, 28)} {r.choice(words.MONTHS)} {r.randint(1950, 2031)}" if r.random() < 0.5 else r.choice((invented.iso_date(r), r.choice(words.DAYS), f"{r.choice(words.MONTHS)} {r.randint(1, 28)}")),
    "clock": invented.clock, "product_name": _product, "event_name": invented.title, "place_name": lambda r: " ".join(invented.proper(r) for _ in range(r.choice((1, 1, 2)))),
    "car_name": lambda r: f"{invented.proper(r)} {r.choice((invented.code(r), invented.proper(r), str(r.randint(2, 900))))}",
}  # fmt: skip


def _wordings(text: str) -> tuple[str, ...]:
    return tuple(each.replace("_", " ") for each in text.split())


def _verb(name: str, entry: str) -> Verb:
    kind, _, wordings = entry.partition("|")
    return Verb(name, kind, _wordings(wordings))


def _noun(line: str) -> Noun:
    wordings, verbs, params = (part.strip() for part in line.split(";"))
    return Noun(
        _wordings(wordings.removeprefix("~")), line.startswith("~"), tuple(verbs.split()), tuple(params.split())
    )


def param(entry: dict[str, Any]) -> Param:
    """The parameter of an entry of the file, or of one like it."""

    def split(key: str) -> tuple[str, ...]:
        return tuple(entry[key].split("|")) if entry.get(key) else ()

    return Param(
        kind=entry["kind"], names=split("names"), about=split("about"), near=split("near"), before=split("before"), here=split("here"),
        after=split("after"), pre=entry.get("pre", ""), no=split("no"), count=bool(entry.get("count")), always=bool(entry.get("always")),
    )  # fmt: skip


VERBS = {name: _verb(name, entry) for name, entry in _FILE["verbs"].items()}
NOUNS = tuple(_noun(line) for line in _FILE["concepts"]["nouns"].strip().splitlines())
PARAMS = {name: param(entry) for name, entry in (*_FILE["params"].items(), *_FILE["numbers"].items())}
IDIOMS: dict[str, tuple[str, ...]] = {key: tuple(entry.split("|")) for key, entry in _FILE["idioms"].items()}
"""Sentences that ask without the words of verb and noun, by `noun/verb`."""
