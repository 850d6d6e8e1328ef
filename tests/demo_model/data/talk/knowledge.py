"""Questions whose answers stand in tables: countries, colours, opposites, the calendar, animals, words and measures."""

import tomllib
from pathlib import Path
from random import Random

from tests.demo_model.data.conversation import Exchange
from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.inflection import with_article
from tests.demo_model.data.language.patterns import load
from tests.demo_model.data.language.typed import loosened
from tests.demo_model.data.language.wording import capitalised, phrase

_ASKED: dict[str, str] = load(Path(__file__).parent / "questions.toml")["kinds"]
_TABLES = tomllib.loads((Path(__file__).parent / "knowledge.toml").read_text(encoding="utf-8"))
CAPITALS: dict[str, str] = words.CAPITALS | _TABLES["capitals"]
_COLOURS: dict[str, str] = words.COLOURS_OF | _TABLES["colours_of"]
_OPPOSITES: dict[str, str] = words.OPPOSITES | _TABLES["opposites"]
_SOUNDS: dict[str, str] = words.SOUNDS | _TABLES["sounds"]
_LEGS: dict[str, int] = words.LEGS | _TABLES["legs"]
_FACTS: list[tuple[str, str]] = list(_TABLES["facts"].items())
RANKS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth",
)  # fmt: skip


def asked(rng: Random, kind: str, answer: str, /, **slots: object) -> Exchange:
    """A question of the kind in any wording, and its answer, whose slots are the same."""
    ask = capitalised(phrase(rng, _ASKED[kind], **slots))
    return Exchange(loosened(rng, ask), phrase(rng, answer, **slots))


def _entry(rng: Random, table: dict[str, str]) -> tuple[str, str]:
    key = rng.choice(list(table))
    return key, table[key]


def capital(rng: Random) -> Exchange:
    """The capital of a country, the country of a capital, or whether it is one; of invented ones it is not known."""
    country, place = _entry(rng, CAPITALS)
    roll = rng.random()
    if roll < 0.12:
        return asked(rng, "capital", "[I do not know the capital of {country}.|I am afraid I do not know {country}.]",
                     country=invented.proper(rng))  # fmt: skip
    if roll < 0.3 and list(CAPITALS.values()).count(place) == 1:
        return asked(rng, "country", "{place} is the capital of {country}.", country=country, place=place)
    if roll < 0.4:
        guess = place if rng.random() < 0.5 else rng.choice((*CAPITALS.values(), *words.CITIES))
        word = "Yes" if guess == place else "No"
        answer = f"{word}, the capital of {{country}} is {{place}}."
        return asked(rng, "is_capital", answer, country=country, place=place, guess=guess)
    return asked(rng, "capital", "The capital of {country} is {place}.", country=country, place=place)


def colour(rng: Random) -> Exchange:
    """The colour of a well-known thing, or whether it has one."""
    thing, shade = _entry(rng, _COLOURS)
    if rng.random() < 0.2:
        guess = shade if rng.random() < 0.5 else rng.choice(words.COLOURS)
        return asked(rng, "is_colour", f"{'Yes' if guess == shade else 'No'}, {{thing}} is {{shade}}.", thing=thing,
                     shade=shade, guess=guess)  # fmt: skip
    return asked(rng, "colour", f"{capitalised(thing)} is {{shade}}.", thing=thing, shade=shade)


def opposite(rng: Random) -> Exchange:
    """The opposite of a word, in both directions."""
    a, b = _entry(rng, _OPPOSITES)
    if rng.random() < 0.5 and b not in _OPPOSITES and list(_OPPOSITES.values()).count(b) == 1:
        a, b = b, a
    return asked(rng, "opposite", "The opposite of {a} is {b}.", a=a, b=b)


def calendar(rng: Random) -> Exchange:
    """Neighbours in the week and in the year, ranks, the length of months, and seasons."""
    roll = rng.random()
    if roll < 0.1:
        month, days = rng.choice(list(_TABLES["month_days"].items()))
        return asked(rng, "month_days", "{month} has {days} days.", month=month, days=days)
    if roll < 0.17:
        month, season = _entry(rng, _TABLES["seasons"])
        return asked(rng, "season", "{month} is in {season}.", month=month, season=season)
    names, unit, whole = (words.DAYS, "day", "week") if rng.random() < 0.6 else (words.MONTHS, "month", "year")
    place, step = rng.randrange(len(names)), rng.choice((1, -1))
    here, there = names[place], names[(place + step) % len(names)]
    if roll < 0.3:
        return asked(
            rng,
            "rank",
            "The {rank} {unit} of the {whole} is {here}.",
            rank=RANKS[place],
            unit=unit,
            whole=whole,
            here=here,
        )
    if roll < 0.45 and unit == "day":
        answer = "Tomorrow is {there}." if step == 1 else "Yesterday was {there}."
        return asked(rng, "tomorrow" if step == 1 else "yesterday", answer, here=here, there=there)
    side = "after" if step == 1 else "before"
    kind = "following" if step == 1 and rng.random() < 0.3 else "after"
    return asked(rng, kind, "The {unit} {side} {here} is {there}.", unit=unit, here=here, there=there, side=side)


def animal(rng: Random) -> Exchange:
    """Sounds, legs, young and homes."""
    kind = rng.choice(("sound", "sound", "legs", "legs", "young", "home"))
    if kind == "legs":
        name, legs = rng.choice(list(_LEGS.items()))
        count = "no" if legs == 0 else words.NUMBERS[legs]
        return asked(
            rng, kind, f"{capitalised(with_article(name))} has {count} legs.", name=name, a_name=with_article(name)
        )
    table = {"sound": _SOUNDS, "young": _TABLES["young"], "home": _TABLES["homes"]}[kind]
    name, value = _entry(rng, table)
    if kind == "sound" and rng.random() < 0.2 and list(table.values()).count(value) == 1:
        kind = "who_sounds"
    answer = {
        "sound": '{A_name} says "{value}".',
        "who_sounds": '{A_name} says "{value}".',
        "young": "A young {name} is called {a_value}.",
        "home": "{A_name} lives {value}.",
    }[kind]
    noun = with_article(name)
    return asked(
        rng,
        kind,
        answer,
        name=name,
        a_name=noun,
        A_name=capitalised(noun),
        sound=value,
        value=value,
        a_value=with_article(value),
    )


def measure(rng: Random) -> Exchange:
    """Parts of units, corners of shapes, and a few facts of the world."""
    roll = rng.random()
    if roll < 0.5:
        whole, value = _entry(rng, _TABLES["units"])
        return asked(rng, "unit", f"{capitalised(whole)} has {value}.", whole=whole, parts=value.split()[1])
    if roll < 0.65:
        shape, count = _entry(rng, _TABLES["corners"])
        noun = with_article(shape)
        return asked(rng, "corners", f"{capitalised(noun)} has {count} corners.", a=noun)
    ask, answer = rng.choice(_FACTS)
    return Exchange(loosened(rng, capitalised(phrase(rng, ask))), answer)


def plural(rng: Random) -> Exchange:
    """The plural of a noun."""
    one, many = _entry(rng, _TABLES["plurals"])
    return asked(rng, "plural", "The plural of {a} is {b}.", a=one, b=many)


def spelling(rng: Random) -> Exchange:
    """First and last letters of words, and neighbours in the alphabet."""
    if rng.random() < 0.25:
        place, step = rng.randrange(1, 25), rng.choice((1, -1))
        here, there = chr(65 + place), chr(65 + place + step)
        side = "after" if step == 1 else "before"
        return asked(rng, "alphabet", "The letter {side} {a} is {b}.", a=here, b=there, side=side)
    pools = (words.PLAIN_NOUNS, words.ANIMALS, words.COLOURS, words.FIRST_NAMES, words.HOBBIES, words.ADJECTIVES)
    word = rng.choice(rng.choice(pools)) if rng.random() < 0.8 else invented.word(rng)
    first = rng.random() < 0.7
    slots = {"end": "first", "verb": "begin"} if first else {"end": "last", "verb": "end"}
    if first and rng.random() < 0.4:
        slots["verb"] = "start"
    letter = word[0] if first else word[-1]
    return asked(rng, "letter", 'The {end} letter of {a} is "{letter}".', a=word, letter=letter, **slots)
