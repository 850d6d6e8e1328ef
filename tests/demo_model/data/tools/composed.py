"""Functions put together from random verbs, nouns and roles: their parameters, values, names and descriptions."""

# A list stays on few lines, however long.
# ruff: noqa: E501

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.demo_model.data.language import invented
from tests.demo_model.data.language.inflection import plural, with_article
from tests.demo_model.data.language.wording import capitalised, phrase

_PARTS = tomllib.loads((Path(__file__).parent / "composed.toml").read_text(encoding="utf-8"))
VERBS: list[str] = _PARTS["verbs"].split()
NOUNS: list[str] = _PARTS["nouns"].split()
ADJECTIVES: list[str] = _PARTS["adjectives"].split()
_MEASURES: list[str] = _PARTS["measures"].split() + _PARTS["units"].split()
_NUMBERED: list[str] = _PARTS["numbered"].split()
_AMOUNTS: list[str] = _PARTS["amounts"].split()
_CHOICES = [tuple(group.split("/")) for group in "".join(_PARTS["values"].split()).split("|")]
_ROLES: list[dict[str, str]] = _PARTS["roles"]
_JSON_TYPES = {"number": "integer", "decimal": "number"}
_PAIRED = ("person", "city", "proper", "words", "code", "date", "time")
_PAIR_NAMES = (
    ("from_{word}", "to_{word}"), ("{word}_a", "{word}_b"), ("first_{word}", "second_{word}"), ("{word}1", "{word}2"), ("start_{word}", "end_{word}"),
    ("source", "target"), ("from", "to"), ("{word}", "other_{word}"), ("left_{word}", "right_{word}"), ("old_{word}", "new_{word}"), ("{word}_from", "{word}_to"),
    ("current", "next"), ("a", "b"), ("{word}One", "{word}Two"), ("departure_{word}", "arrival_{word}"), ("before", "after"), ("leaving", "reaching"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter: its name, JSON schema, kind of value, and the phrases with `{value}` in which a request puts it."""

    name: str
    schema: dict[str, Any]
    kind: str
    phrases: tuple[str, ...]
    paired: bool = False
    """Whether it and its neighbour are the two ends of one thing."""
    counted: bool = False
    """Whether it is a whole number of units, which can stand before the thing itself."""

    def value(self, rng: Random) -> Any:
        """A new value."""
        if "enum" in self.schema:
            return rng.choice(self.schema["enum"])
        return _VALUES[self.kind](rng)


def value_words(rng: Random) -> str:
    """One to three capitalised words, real or invented, or a title."""
    if rng.random() < 0.3:
        return invented.title(rng)
    return " ".join(
        rng.choice((rng.choice(ADJECTIVES), rng.choice(NOUNS), rng.choice(NOUNS), invented.word(rng))).capitalize()
        for _ in range(rng.choice((1, 2, 2, 2, 3)))
    )


def _thing(rng: Random) -> str:
    noun = rng.choice((rng.choice(NOUNS), invented.word(rng)))
    return f"{rng.choice(ADJECTIVES)} {noun}" if rng.random() < 0.3 else f"{noun}s" if rng.random() < 0.4 else noun


_VALUES: dict[str, Callable[[Random], Any]] = {
    "person": invented.person, "city": invented.city, "words": value_words, "code": invented.code, "date": invented.spoken_date,
    "proper": lambda r: " ".join(invented.proper(r) for _ in range(r.choice((1, 1, 2)))), "time": invented.clock,
    "number": lambda r: r.choice((r.randint(1, 12), r.randint(2, 100), invented.integer(r))), "email": invented.email,
    "decimal": lambda r: r.choice((invented.amount(r), invented.integer(r))), "thing": _thing,
}  # fmt: skip


def parts(rng: Random) -> list[Part]:
    """One to four parameters, of different kinds but for two that are a pair or of one kind; the names differ."""
    count = rng.choices((1, 2, 3, 4), weights=(5, 6, 3, 1))[0]
    roles = rng.sample(_ROLES, count)
    if count > 1 and rng.random() < 0.15:
        roles[1] = roles[0]
    made: list[Part] = []
    if count > 1 and rng.random() < 0.2:
        role = rng.choice([role for role in _ROLES if role["kind"] in _PAIRED])
        made = _pair(rng, role)
        roles = [each for each in roles[2:] if each is not role]
    for role in roles:
        part = _part(rng, role)
        if part.name not in {each.name for each in made}:
            made.append(part)
    return made


def _pair(rng: Random, role: dict[str, str]) -> list[Part]:
    word = rng.choice(role["names"].split("|"))
    names = [name.format(word=word) for name in rng.choice(_PAIR_NAMES)]
    if rng.random() < 0.15:
        names = [f"{name}{invented.word(rng).capitalize()}" for name in names]
    ranks = rng.choice((("First", "Second"), ("From which", "To which"), ("Present", "New"), ("Start:", "End:")))
    described = rng.random() < 0.85
    schemas = [{"type": "string", **({"description": f"{rank} {word}"} if described else {})} for rank in ranks]
    return [
        Part(name, schema, role["kind"], ("{value}",), paired=True) for name, schema in zip(names, schemas, strict=True)
    ]


def _part(rng: Random, role: dict[str, str]) -> Part:
    kind = role["kind"]
    if kind == "number":
        return _number(rng, role)
    word = rng.choice(role["names"].split("|"))
    schema: dict[str, Any] = {"type": _JSON_TYPES.get(kind, "string"), **_described(rng, role, word)}
    if kind == "choice":
        schema["enum"] = list(rng.choice(_CHOICES))
    spoken = word.replace("_", " ")
    phrases = [f"{lead} {{value}}".strip() for lead in role["lead"].split("|")]
    if kind not in ("date", "time", "choice"):
        phrases += [f"the {spoken} {{value}}", f"{spoken} {{value}}", f"for {spoken} {{value}}"]
    if kind in ("person", "city", "proper", "words", "thing"):
        phrases.append(f"{{value}} as {spoken}")
    return Part(key(rng, word), schema, kind, tuple(phrases))


def _number(rng: Random, role: dict[str, str]) -> Part:
    """A number with a unit behind it, or with a word before it; the parameter has the unit's name or another."""
    if rng.random() < 0.25:
        word = rng.choice(_NUMBERED)
        phrases = [f"{lead} {word} {{value}}" for lead in ("in", "for", "at", "on", "to", "from")]
        name = rng.choice((word, f"{word}_no", f"{word}_number", f"{word}_id", key(rng, word)))
        return Part(name, {"type": "integer", **_described(rng, role, word)}, "number", tuple(phrases))
    unit = rng.choice(_MEASURES)
    spoken = unit.replace("_", " ")
    name = rng.choice(
        (unit, unit, key(rng, unit), f"{rng.choice(_AMOUNTS)}", f"{rng.choice(_AMOUNTS)}_{unit}", key(rng, unit))
    )
    phrases = [f"{lead} {{value}} {spoken}".strip() for lead in role["lead"].split("|")]
    phrases += [f"{{value}} {spoken}", f"{{value}} {spoken}", f"a total of {{value}} {spoken}"]
    kind = "number" if rng.random() < 0.85 else "decimal"
    schema = {"type": _JSON_TYPES[kind], **_described(rng, role, unit)}
    return Part(name, schema, kind, tuple(phrases), counted=kind == "number")


def _described(rng: Random, role: dict[str, str], word: str) -> dict[str, str]:
    if rng.random() < 0.12:
        return {}
    text = rng.choice(role["descriptions"].split("|")).format(role=word.replace("_", " "))
    return {"description": capitalised(text)}


def key(rng: Random, word: str) -> str:
    """A parameter's name around a word: alone, with another word or an ending, or an invented one; there are many."""
    other = rng.choice((rng.choice(NOUNS), rng.choice(ADJECTIVES), rng.choice(VERBS), invented.word(rng)))
    roll = rng.random()
    if roll < 0.4:
        return word
    if roll < 0.58:
        return f"{other}_{word}"
    if roll < 0.72:
        return f"{word}_{rng.choice(('name', 'no', 'id', 'code', 'value', 'text', 'info', 'key', 'ref', 'wanted', 'given', 'used', 'in', 'to'))}"
    if roll < 0.8:
        return f"{rng.choice(('the', 'new', 'my', 'main', 'for', 'on', 'at', 'with', 'is', 'final', 'desired'))}_{word}"
    if roll < 0.86:
        return other + "".join(each.capitalize() for each in word.split("_"))
    return other if roll < 0.93 else invented.word(rng)


def tool_words(rng: Random) -> tuple[str, str, str, str]:
    """A verb, a noun, the function's name made of them, and its description."""
    verb, noun = rng.choice(VERBS), rng.choice(NOUNS)
    if rng.random() < 0.12:
        verb = invented.word(rng)
    if rng.random() < 0.25:
        noun = invented.word(rng)
    shown = rng.choice((verb, verb, verb, rng.choice(("get", "find", "set", "new", "do", "lookup", "make", "run"))))
    extra = rng.choice(("status", "info", "list", "report", "service", "data", "level", "check", "desk", "order"))
    name = f"{shown}_{noun}"
    if (roll := rng.random()) < 0.2:
        name = f"{noun}_{extra}"
    elif roll < 0.27:
        name = noun
    elif roll < 0.32:
        name = verb
    described = verb if shown == verb else rng.choice((verb, "get" if shown in ("get", "find", "lookup") else shown))
    description = phrase(
        rng,
        "[{verb} [{one}|the {noun}]|{verb} {many}|{verb} {one} for someone|[returns|handles|gets] the {noun}|{verb} the {adjective} {noun}|[tells about|looks after] {many}]",
        verb=described,
        noun=noun,
        one=with_article(noun),
        many=plural(noun),
        adjective=rng.choice(ADJECTIVES),
    )
    return verb, noun, name, capitalised(description)
