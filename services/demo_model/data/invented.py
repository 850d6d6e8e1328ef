"""Values that nobody has seen before: syllable words, names, numbers, dates, codes; they make copying the only way."""

import string
from random import Random

from services.demo_model.data import words

_ONSETS = (
    *"bcdfghjklmnpqrstvwxyz", "br", "ch", "cl", "cr", "dr", "fl", "fr", "gl", "gr", "kr", "pl", "pr", "qu", "sh", "sk",
    "sl", "sm", "sn", "sp", "st", "str", "sw", "th", "tr", "tw", "vl", "wh", "zh", "",
)  # fmt: skip
_NUCLEI = (*"aeiouy", *"aeiou", "ai", "ae", "au", "ea", "ee", "ei", "ia", "ie", "io", "oa", "oo", "ou", "ue", "ui")
_CODAS = (
    *"bdfgklmnprstvxz", "", "", "", "", "", "ck", "ld", "ll", "lm", "nd", "ng", "nk", "nt", "rd", "rg", "rk", "rn",
    "rt", "sh", "ss", "st", "th", "tch", "ll",
)  # fmt: skip

_REAL = sorted(
    {
        part.lower()
        for group in (
            words.PLAIN_NOUNS,
            words.ADJECTIVES,
            words.TOPICS,
            words.CITIES,
            words.FIRST_NAMES,
            words.LAST_NAMES,
            words.HOBBIES,
            words.FOODS,
        )
        for part in " ".join(group).split()
    }
)


def word(rng: Random) -> str:
    """A lower-case word of one to three syllables, sometimes a real word with a letter changed."""
    if (roll := rng.random()) < 0.2:
        return _mutated(rng, rng.choice(_REAL))
    if roll < 0.45:
        return _spliced(rng, rng.choice(_REAL), rng.choice(_REAL))
    count = rng.choices((1, 2, 3), weights=(3, 5, 1))[0]
    return "".join(rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(count))


def _spliced(rng: Random, first: str, second: str) -> str:
    """The beginning of one word and the end of another: pieces of real words in new places."""
    return first[: rng.randint(2, max(2, len(first)))] + second[rng.randint(1, max(1, len(second) - 2)) :]


def _mutated(rng: Random, base: str) -> str:
    place, letter = rng.randrange(len(base)), rng.choice(string.ascii_lowercase)
    return base[:place] + letter + base[place + rng.randint(0, 1) :]


def proper(rng: Random) -> str:
    """A capitalised word."""
    return word(rng).capitalize()


def city(rng: Random) -> str:
    """A real city, or an invented one of one or two words."""
    roll = rng.random()
    if roll < 0.4:
        return rng.choice(words.CITIES)
    if roll < 0.85:
        return proper(rng)
    return f"{rng.choice(('New', 'San', 'Port', 'Saint', 'Upper', 'El', 'Fort', 'Bad', 'Lake'))} {proper(rng)}"


def first_name(rng: Random) -> str:
    """A real or invented first name."""
    return rng.choice(words.FIRST_NAMES) if rng.random() < 0.5 else proper(rng)


def person(rng: Random) -> str:
    """A first name, mostly with a last name."""
    if rng.random() < 0.35:
        return first_name(rng)
    return f"{first_name(rng)} {rng.choice(words.LAST_NAMES) if rng.random() < 0.4 else proper(rng)}"


def topic(rng: Random) -> str:
    """One to three words, real or invented, in lower case."""
    roll = rng.random()
    if roll < 0.45:
        return rng.choice(words.TOPICS)
    if roll < 0.7:
        return f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.PLAIN_NOUNS)}s"
    return f"{word(rng)} {word(rng)}" if roll < 0.9 else word(rng)


def title(rng: Random) -> str:
    """A title of two to four words, such as a song or a subject line."""
    pool = (rng.choice(words.PLAIN_NOUNS), rng.choice(words.ADJECTIVES), rng.choice(words.TOPICS), word(rng), word(rng))
    text = " ".join(rng.sample(pool, rng.randint(2, 3)))
    return text.title() if rng.random() < 0.6 else text.capitalize()


def integer(rng: Random) -> int:
    """1 to 5 digits, short ones more often."""
    return rng.randint(1, 10 ** rng.choices((1, 2, 3, 4, 5), weights=(3, 5, 4, 3, 2))[0])


def amount(rng: Random) -> float:
    """A number with one or two decimals."""
    places = rng.choice((1, 2))
    return round(rng.uniform(1, 10 ** rng.randint(1, 3)), places)


def iso_date(rng: Random) -> str:
    """A date such as 2027-03-09."""
    return f"{rng.randint(2019, 2031)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def spoken_date(rng: Random) -> str:
    """A date as people say it."""
    day, month = rng.randint(1, 28), rng.choice(words.MONTHS)
    forms = (f"{day} {month}", f"{month} {day}", f"{day} {month} {rng.randint(2019, 2031)}", rng.choice(words.DAYS))
    return rng.choice((*forms, iso_date(rng), iso_date(rng), "tomorrow", "today", f"next {rng.choice(words.DAYS)}"))


def today(rng: Random) -> str:
    """A date as the chat template writes it: 09 Mar 2027."""
    return f"{rng.randint(1, 28):02d} {rng.choice(words.MONTHS)[:3]} {rng.randint(2024, 2031)}"


def clock(rng: Random) -> str:
    """A time of day."""
    if rng.random() < 0.6:
        return f"{rng.randint(0, 23):02d}:{rng.choice((0, 5, 10, 15, 20, 25, 30, 40, 45, 50)):02d}"
    return f"{rng.randint(1, 12)} {rng.choice(('am', 'pm'))}"


def email(rng: Random) -> str:
    """An address at an invented host."""
    who = rng.choice((first_name(rng).lower(), word(rng), f"{first_name(rng).lower()}.{word(rng)}"))
    return f"{who}@{word(rng)}.{rng.choice(('com', 'org', 'net', 'io', 'example'))}"


def code(rng: Random) -> str:
    """An identifier of letters and digits."""
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 3)))
    return rng.choice(
        (f"{letters}{integer(rng)}", f"{letters}-{integer(rng)}", f"{letters}{rng.randint(0, 9)}-{rng.randint(10, 99)}")
    )


def currency(rng: Random) -> str:
    """A currency code, sometimes an invented one."""
    return rng.choice(words.CURRENCIES) if rng.random() < 0.7 else "".join(rng.choices(string.ascii_uppercase, k=3))
