"""Facts that a user may tell: how each is told, what the assistant says of it, and how it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.inflection import with_article
from tests.demo_model.data.language.patterns import load
from tests.demo_model.data.language.typed import loosened
from tests.demo_model.data.language.wording import capitalised, listed, phrase, sentences

_TABLES: dict[str, Any] = load(Path(__file__).parent / "facts.toml")
_FRAMES: dict[str, str] = _TABLES["frames"]
_NOUNS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    kind: [(maker, tuple(nouns.split("|"))) for maker, nouns in _TABLES[kind]["nouns"].items()]
    for kind in ("thing", "common")
}
_BEINGS: tuple[str, ...] = tuple(_TABLES["being"]["nouns"].split("|"))
BEING: dict[str, str] = _TABLES["being"]
"""The patterns of names of people, animals and things."""
SPECIAL: dict[str, dict[str, str]] = _TABLES["special"]
"""The patterns of facts that have sentences of their own, by name."""
_VERBS: list[tuple[str, ...]] = [tuple(verb.split()) for verb in _TABLES["done"]["verbs"].split("|")]
_ANY = ("number", "code", "word", "colour", "proper", "topic", "clock", "date", "food", "title", "city", "person")
JOBS, INSTRUMENTS, DRINKS, GROCERIES = (
    tuple(_TABLES["values"][kind].split("|")) for kind in ("jobs", "instruments", "drinks", "groceries")
)
_GENERAL = frozenset(
    ("favourite", "favorite", "least", "first", "new", "next", "second", "time", "of", "team", "lucky")
)
"""Words that two facts may share."""
_SEASONS = ("spring", "summer", "autumn", "winter")
_PLACES = ("under", "behind", "in", "beside", "on top of")


def _team(rng: Random) -> str:
    return rng.choice((f"{invented.city(rng)} {rng.choice(('United', 'Rovers', 'City', 'Tigers', 'Bears'))}",
                       f"the {rng.choice(words.COLOURS).title()} {rng.choice(words.ANIMALS).title()}s"))  # fmt: skip


def _street(rng: Random) -> str:
    kind = rng.choice(("Street", "Road", "Lane", "Avenue", "Square"))
    return rng.choice((f"{rng.randint(1, 199)} {invented.proper(rng)} {kind}", f"{invented.proper(rng)} {kind}"))


def _height(rng: Random) -> str:
    return f"{rng.randint(12, 210)} {rng.choice(('cm', 'centimetres', 'kilos', 'kg', 'metres'))}"


def _object(rng: Random) -> str:
    things = (rng.choice(words.PLAIN_NOUNS), f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.PLAIN_NOUNS)}")
    return with_article(rng.choice((*things, invented.word(rng))))


_MAKERS: dict[str, Callable[[Random], str]] = {
    "number": lambda r: str(invented.integer(r)),
    "word": invented.word,
    "street": _street,
    "city": invented.city,
    "code": lambda r: invented.code(r) if r.random() < 0.6 else invented.word(r),
    "colour": lambda r: r.choice(words.COLOURS),
    "food": lambda r: r.choice(words.FOODS) if r.random() < 0.7 else invented.word(r),
    "team": _team,
    "animal": lambda r: f"the {r.choice(words.ANIMALS)}",
    "season": lambda r: r.choice(_SEASONS),
    "day": lambda r: r.choice(words.DAYS),
    "month": lambda r: r.choice(words.MONTHS),
    "title": invented.title,
    "drink": lambda r: r.choice(DRINKS),
    "hobby": lambda r: r.choice(words.HOBBIES),
    "date": invented.spoken_date,
    "clock": invented.clock,
    "language": lambda r: r.choice(words.LANGUAGES),
    "instrument": lambda r: r.choice(INSTRUMENTS),
    "country": lambda r: r.choice(list(words.CAPITALS)),
    "topic": invented.topic,
    "person": invented.person,
    "height": _height,
    "email": invented.email,
    "first_name": invented.first_name,
    "age": lambda r: str(r.randint(4, 99)),
    "proper": invented.proper,
    "job": lambda r: with_article(r.choice(JOBS) if r.random() < 0.8 else invented.word(r)),
    "few": lambda r: r.choice(words.NUMBERS[2:9]),
    "list": lambda r: listed(r.sample(GROCERIES, r.choice((2, 2, 3)))),
    "appointment": lambda r: f"{r.choice(words.DAYS)} at {invented.clock(r)}",
    "object": _object,
    "spot": lambda r: f"{r.choice(_PLACES)} the {r.choice(words.PLAIN_NOUNS)}",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: its patterns, and what fills their slots; facts that share a topic exclude each other."""

    topics: frozenset[str]
    patterns: dict[str, str]
    slots: dict[str, str]

    def with_value(self, rng: Random) -> "Fact":
        """The same fact with another value."""
        for _ in range(9):
            value = _MAKERS[self.slots["maker"]](rng)
            if value != self.slots["value"]:
                break
        return Fact(self.topics, self.patterns, {**self.slots, "value": value})

    def core(self, rng: Random) -> str:
        """A clause that tells it."""
        return phrase(rng, self.patterns["told"], **self.slots)

    @property
    def state(self) -> str:
        """What the assistant says of it, in a clause."""
        return self.patterns["state"].format_map(self.slots)

    def told(self, rng: Random) -> str:
        """A message of the user that tells it."""
        if "message" in self.patterns and rng.random() < 0.3:
            return sentences(phrase(rng, self.patterns["message"], **self.slots))
        return framed(phrase(rng, _FRAMES["told"], core="{core}"), self.core(rng))

    def understood(self, rng: Random) -> str:
        """What the assistant answers when it is told."""
        if "reply" in self.patterns and rng.random() < 0.7:
            return phrase(rng, self.patterns["reply"], **self.slots)
        return phrase(rng, _FRAMES["understood"], state=self.state)

    def asked(self, rng: Random) -> str:
        """A question for it."""
        pattern = phrase(rng, _FRAMES["ask"], noun="{noun}", clause="{clause}", wh="{wh}")
        kinds = {kind: phrase(rng, self.patterns[kind], **self.slots) for kind in ("noun", "clause", "wh")}
        return loosened(rng, sentences(pattern.format_map(kinds)))

    def recalled(self, rng: Random) -> str:
        """The assistant's answer to that."""
        return phrase(rng, _FRAMES["answer"], state=self.state, State=capitalised(self.state))

    def missing(self) -> str:
        """The answer when the fact was not told."""
        return f"You have not told me {self.patterns['missing'].format_map(self.slots)} yet."


def frame(rng: Random, name: str, **slots: str) -> str:
    """One of the sentences around facts, which are the same for all of them."""
    return phrase(rng, _FRAMES[name], **slots)


def framed(pattern: str, core: str) -> str:
    """The clause in its sentence, with capitals where sentences begin."""
    return sentences(pattern.replace("{core}", core))


def draw(rng: Random) -> Fact:
    """Any fact."""
    roll = rng.random()
    if roll < 0.36:
        patterns = SPECIAL[rng.choice(list(SPECIAL))]
        return _made(rng, patterns["topics"], patterns, patterns["value"], "")
    if roll < 0.56:
        return _thing(rng, "thing")
    if roll < 0.63:
        return _thing(rng, "common")
    if roll < 0.81:
        noun = rng.choice(_BEINGS) if rng.random() < 0.8 else _noun(rng)
        return _made(rng, noun, BEING, "first_name", noun)
    if roll < 0.9:
        return _thing(rng, "owned")
    base, past = rng.choice(_VERBS)
    fact = _made(rng, past, _TABLES["done"], "object", past)
    fact.slots.update(base=base, past=past)
    return fact


def draw_missing(rng: Random) -> Fact:
    """Any fact that is clearly the user's: what is not, nobody would ask the assistant for untold."""
    fact = draw(rng)
    return fact if fact.patterns is not _TABLES["common"] else draw_missing(rng)


def sibling(rng: Random, fact: Fact) -> Fact:
    """A fact of the same kind, where there is one: another person's name, or the same thing of another owner."""
    if fact.patterns is BEING:
        noun = rng.choice(_BEINGS)
        return _made(rng, noun, BEING, "first_name", noun)
    if "owner" in fact.slots:
        owner = invented.first_name(rng)
        slots = {**fact.slots, "owner": owner, "owner_state": owner, "value": _MAKERS[fact.slots["maker"]](rng)}
        return Fact(frozenset({f"{owner} {fact.slots['noun']}"}), fact.patterns, slots)
    return draw(rng)


def _thing(rng: Random, kind: str) -> Fact:
    """Something of the user's, or of another's: a noun of the tables, or any noun with any value."""
    maker, nouns = rng.choice(_NOUNS["common" if kind == "common" else "thing"])
    noun = rng.choice(nouns)
    if rng.random() < 0.3:
        maker, noun = rng.choice(_ANY), _noun(rng)
    fact = _made(rng, noun, _TABLES[kind], maker, noun)
    if kind != "owned":
        return fact
    relative = rng.choice(_BEINGS[:20])
    mine = rng.random() < 0.4
    owner = f"my {relative}" if mine else invented.first_name(rng)
    fact.slots.update(owner=owner, owner_state=f"your {relative}" if mine else owner)
    return Fact(frozenset({f"{owner} {noun}"}), fact.patterns, fact.slots)


def _noun(rng: Random) -> str:
    """A thing that people do not often tell of."""
    noun = rng.choice((rng.choice(words.PLAIN_NOUNS), rng.choice(words.ANIMALS), invented.word(rng)))
    return noun if rng.random() < 0.75 else f"{rng.choice(words.ADJECTIVES)} {noun}"


def _made(rng: Random, topics: str, patterns: dict[str, str], maker: str, noun: str) -> Fact:
    slots = {"value": _MAKERS[maker](rng), "maker": maker, "noun": noun}
    return Fact(
        frozenset(topics.split()) - _GENERAL,
        patterns,
        {**slots, "day": rng.choice(words.DAYS), "city": rng.choice(words.CITIES)},
    )
