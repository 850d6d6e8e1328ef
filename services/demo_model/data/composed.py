"""Functions put together from random verbs, nouns and roles, and requests for them in plain English with random values."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from services.demo_model.data import invented
from services.demo_model.data.wording import capitalised, phrase

_PARTS = tomllib.loads((Path(__file__).parent / "composed.toml").read_text(encoding="utf-8"))
VERBS: list[str] = _PARTS["verbs"].split()
NOUNS: list[str] = _PARTS["nouns"].split()
ADJECTIVES: list[str] = _PARTS["adjectives"].split()
_MEASURES: list[str] = _PARTS["measures"].split()
_CHOICES = [tuple(group.split("/")) for group in "".join(_PARTS["values"].split()).split("|")]
_ROLES: list[dict[str, str]] = _PARTS["roles"]
_JSON_TYPES = {"number": "integer", "decimal": "number"}


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter: its name, JSON schema, kind of value, and the words that may come before a value."""

    name: str
    schema: dict[str, Any]
    kind: str
    lead: tuple[str, ...]

    def value(self, rng: Random) -> Any:
        """A new value."""
        if "enum" in self.schema:
            return rng.choice(self.schema["enum"])
        return _value(rng, self.kind)


def value_words(rng: Random) -> str:
    """Two or three capitalised words, real or invented."""
    return " ".join(
        rng.choice((rng.choice(ADJECTIVES), rng.choice(NOUNS), rng.choice(NOUNS), invented.word(rng))).capitalize()
        for _ in range(rng.choice((1, 2, 2, 2, 3)))
    )


def _value(rng: Random, kind: str) -> Any:
    match kind:
        case "person":
            return invented.person(rng)
        case "city":
            return invented.city(rng)
        case "proper":
            return " ".join(invented.proper(rng) for _ in range(rng.choice((1, 1, 2))))
        case "words":
            return value_words(rng)
        case "code":
            return invented.code(rng)
        case "number":
            return rng.choice((rng.randint(1, 12), rng.randint(2, 100), invented.integer(rng)))
        case "decimal":
            return rng.choice((invented.amount(rng), invented.integer(rng)))
        case "date":
            return invented.spoken_date(rng)
        case _:
            return invented.email(rng)


def parts(rng: Random) -> list[Part]:
    """One to three parameters of different kinds, now and then two of one kind; the names differ."""
    count = rng.choices((1, 2, 3), weights=(5, 5, 2))[0]
    roles = rng.sample(_ROLES, count)
    if count > 1 and rng.random() < 0.25:
        roles[1] = roles[0]
    made: list[Part] = []
    for role in roles:
        part = _part(rng, role)
        if part.name not in {each.name for each in made}:
            made.append(part)
    return made


def _part(rng: Random, role: dict[str, str]) -> Part:
    kind = role["kind"]
    word = rng.choice(_MEASURES) if kind == "number" else rng.choice(role["names"].split("|"))
    name = word
    if (roll := rng.random()) < 0.12:
        name = f"{rng.choice((rng.choice(NOUNS), invented.word(rng)))}_{word}"
    elif roll < 0.2:
        name = invented.word(rng)
    schema: dict[str, Any] = {"type": _JSON_TYPES.get(kind, "string")}
    if rng.random() < 0.85:
        schema["description"] = capitalised(
            rng.choice(role["descriptions"].split("|")).format(role=word.replace("_", " "))
        )
    if kind == "choice":
        schema["enum"] = list(rng.choice(_CHOICES))
    lead = [each if kind != "number" else f"{each} {{value}} {word}".strip() for each in role["lead"].split("|")]
    if kind in ("person", "city", "proper", "words", "code"):
        lead.append(f"the {word.replace('_', ' ')}")
    return Part(name, schema, kind, tuple(lead))


def request(rng: Random, verb: str, noun: str, used: list[tuple[Part, Any]]) -> str:
    """Asks for the verb to be done to the noun with the values; choices stand before the noun, other values after it."""
    before = [str(value) for part, value in used if part.kind == "choice"]
    others = [(part, value) for part, value in used if part.kind != "choice"]
    if rng.random() < 0.2:
        rng.shuffle(others)
    if not before and rng.random() < 0.12:
        before = [rng.choice(ADJECTIVES)]
    thing = " ".join([*before, noun])
    phrases = [_with_lead(rng, part, value) for part, value in others]
    tail = "".join(
        f"{rng.choice((' ', ' ', ' ', ', ', ' and ' if place else ' '))}{each}" for place, each in enumerate(phrases)
    )
    first = str(others[0][1]) if others else ""
    rest = "".join(f" {each}" for each in phrases[1:])
    patterns: tuple[str, ...] = _ABOUT_THINGS
    if others and others[0][0].kind in _SPOKEN_FIRST:
        patterns += _ABOUT_VALUES if before else _ABOUT_VALUES + _WITHOUT_THING
    pattern = rng.choice(patterns)
    return capitalised(phrase(rng, pattern, verb=verb, thing=thing, tail=tail, first=first, rest=rest, noun=noun))


def _with_lead(rng: Random, part: Part, value: Any) -> str:
    lead = rng.choice(part.lead)
    if "{value}" in lead:
        return lead.format(value=value)
    return f"{lead} {value}".strip()


_SPOKEN_FIRST = ("person", "city", "proper", "words", "code", "email")
"""Kinds of values with which a request can begin."""
_ABOUT_THINGS = (
    "{verb} [the|a|my|our|that] {thing}{tail}[.|, please.||!]",
    "[please|now|kindly|just|hey,|okay,] {verb} [the|a|my|this] {thing}{tail}[.|]",
    "[can|could|would|will] you [please |]{verb} [the|a|my|us a|me a|one] {thing}{tail}[?|, please?]",
    "[I'd like|I would like|I want|I need|we need|I wish] [to {verb} |][the|a|my] {thing}{tail}[.|]",
    "[I want you to|I need you to|you should|it is time to|let's|don't forget to|help me to] {verb} [the|a|my] {thing}{tail}[.|!]",
    "[what is|what's|where is|how is|show me|tell me about|give me|find|look up|check|get me] the {thing}{tail}[?|.|]",
    "[which|how many|what] {thing}s [are there|can I get|do you have|are left|do we have]{tail}?",
    "[the|my|our|this] {thing}{tail} [should be|must be|has to be|needs to be] [done|ready|taken care of|looked at][.|!|]",
    "{thing}{tail}[, please|][.|]",
    "[let me have|I'll take|get|order|have] [a|one|the] {thing}{tail}[.|]",
)  # fmt: skip
_ABOUT_VALUES = (
    "{first} [needs|wants|would like|asked for|is waiting for] [a|the|our] {thing}{rest}[.|]",
    "[for|about] {first}, {verb} the {thing}{rest}[.|]",
    "[is|has|does] {first} [on the|have a|the right] {thing}{rest}?",
    "[note|remember|make sure|see to it] that {first} [gets|has|received|takes] [a|the] {thing}{rest}[.|]",
)  # fmt: skip
_WITHOUT_THING = (
    "{verb} {first}{rest}[.|, please.|]",
    "[can|could] you {verb} {first}{rest}[?|]",
)  # fmt: skip


def tool_words(rng: Random) -> tuple[str, str, str, str]:
    """A verb, a noun, the function's name made of them, and its description."""
    verb, noun = rng.choice(VERBS), rng.choice(NOUNS)
    if rng.random() < 0.1:
        verb = invented.word(rng)
    if rng.random() < 0.15:
        noun = invented.word(rng)
    shown = rng.choice((verb, verb, verb, rng.choice(("get", "find", "set", "new", "do", "lookup", "make"))))
    extra = rng.choice(("status", "info", "list", "report", "service", "data", "level"))
    name = f"{shown}_{noun}" if rng.random() < 0.8 else f"{noun}_{extra}"
    described = verb if shown == verb else rng.choice((verb, "get" if shown in ("get", "find", "lookup") else shown))
    description = phrase(
        rng,
        "[{verb} [a|the] {noun}|{verb} {noun}s|{verb} a {noun} for someone|[returns|handles] the {noun}]",
        verb=described,
        noun=noun,
    )
    return verb, noun, name, capitalised(description)
