"""Values that nobody has seen before: syllable words, names, numbers, dates, codes; they make copying the only way."""

# A list stays on few lines, however long.
# ruff: noqa: E501

import re
import string
from random import Random

from tests.demo_model.data.language import asides, words

_PLAIN_TEXT = re.compile(r"[\w' -]+")

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
    """A real city, or an invented one of one to three words, some with hyphens."""
    roll = rng.random()
    if roll < 0.35:
        return rng.choice(words.CITIES)
    if roll < 0.76:
        return proper(rng)
    if roll < 0.88:
        return f"{rng.choice(words.CITY_BEGINNINGS)} {proper(rng)}"
    if roll < 0.93:
        return f"{proper(rng)}{rng.choice(('-', ' '))}{proper(rng)}"
    return f"{proper(rng)}{rng.choice(words.CITY_ENDINGS)}"


def first_name(rng: Random) -> str:
    """A real or invented first name, now and then two with a hyphen."""
    if rng.random() < 0.03:
        return f"{rng.choice(words.FIRST_NAMES)}-{rng.choice(words.FIRST_NAMES)}"
    return rng.choice(words.FIRST_NAMES) if rng.random() < 0.5 else proper(rng)


def last_name(rng: Random) -> str:
    """A real or invented last name, now and then of two parts."""
    roll = rng.random()
    if roll < 0.06:
        return f"{rng.choice(('van', 'de', 'von', 'di', 'Mc', 'al', 'da'))} {proper(rng)}"
    if roll < 0.12:
        return f"{proper(rng)}-{rng.choice(words.LAST_NAMES)}"
    if roll < 0.15:
        return f"O'{proper(rng)}"
    return rng.choice(words.LAST_NAMES) if roll < 0.45 else proper(rng)


def person(rng: Random) -> str:
    """A first name, mostly with a last name; now and then a title or initials."""
    roll = rng.random()
    if roll < 0.3:
        return first_name(rng)
    if roll < 0.4:
        return f"{rng.choice(words.TITLES)} {last_name(rng)}"
    if roll < 0.43:
        return f"{rng.choice(words.TITLES)} {first_name(rng)} {last_name(rng)}"
    if roll < 0.5:
        initial = rng.choice(string.ascii_uppercase)
        return rng.choice((f"{initial}. {last_name(rng)}", f"{first_name(rng)} {initial}. {last_name(rng)}"))
    return f"{first_name(rng)} {last_name(rng)}"


def topic(rng: Random) -> str:
    """One to three words, real or invented, in lower case."""
    roll = rng.random()
    if roll < 0.4:
        return asides.topic(rng)
    if roll < 0.6:
        return rng.choice(words.TOPICS)
    if roll < 0.75:
        return f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.PLAIN_NOUNS)}s"
    return f"{word(rng)} {word(rng)}" if roll < 0.9 else word(rng)


def title(rng: Random) -> str:
    """A title of one to six words, such as a song or a subject line, with small words between them."""
    roll = rng.random()
    if roll < 0.3 and _PLAIN_TEXT.fullmatch(text := asides.text(rng)):
        return text
    if roll < 0.6:
        pool = (
            rng.choice(words.PLAIN_NOUNS), rng.choice(words.ADJECTIVES), rng.choice(words.TOPICS), word(rng), word(rng),
        )  # fmt: skip
        text = " ".join(rng.sample(pool, rng.randint(1, 3)))
        return text.title() if rng.random() < 0.6 else text.capitalize()
    things = [rng.choice((rng.choice(words.PLAIN_NOUNS), word(rng))) for _ in range(2)]
    adjective = rng.choice((rng.choice(words.ADJECTIVES), word(rng)))
    text = rng.choice(words.TITLE_FORMS).format(
        a=things[0],
        b=things[1],
        adjective=adjective,
        topic=rng.choice(words.TOPICS),
        city=city(rng),
        name=first_name(rng),
    )
    return text[:1].upper() + text[1:] if rng.random() < 0.5 else _title_case(text)


def _title_case(text: str) -> str:
    small = ("of", "the", "in", "on", "at", "to", "for", "with", "and", "from", "a", "an", "under", "by")
    cased = [each if each in small else each[:1].upper() + each[1:] for each in text.split()]
    return " ".join([cased[0][:1].upper() + cased[0][1:], *cased[1:]])


def message(rng: Random) -> str:
    """A short free text, as of a note or a message: up to nine words, with small words in it."""
    if rng.random() < 0.4:
        return asides.text(rng)
    fields = {
        "a": rng.choice((rng.choice(words.PLAIN_NOUNS), word(rng))), "b": rng.choice(words.PLAIN_NOUNS),
        "adjective": rng.choice(words.ADJECTIVES), "topic": rng.choice(words.TOPICS), "city": city(rng),
        "name": first_name(rng), "number": rng.randint(2, 60), "day": rng.choice(words.DAYS), "time": clock(rng),
        "hobby": rng.choice(words.HOBBIES),
    }  # fmt: skip
    parts = [rng.choice(words.MESSAGE_BEGINNINGS), rng.choice(words.MESSAGE_ENDINGS) if rng.random() < 0.5 else ""]
    text = " ".join(parts).strip().format_map(fields)
    return text[:1].upper() + text[1:] if rng.random() < 0.35 else text


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
    if rng.random() < 0.25:
        return iso_date(rng)
    nth = f"{day}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10 if day not in (11, 12, 13) else 0, 'th') }"
    weekday = rng.choice(words.DAYS)
    forms = (
        f"{day} {month}", f"{month} {day}", f"{day} {month} {rng.randint(2019, 2031)}", weekday, weekday, f"next {weekday}",
        f"{month} {nth}", f"the {nth} of {month}", f"{nth} {month}", f"this {weekday}", f"{weekday}, {day} {month}",
        f"{month[:3]} {day}", f"the {nth}",
    )  # fmt: skip
    return rng.choice((*forms, "tomorrow", "tomorrow", "today", "tonight", "the day after tomorrow", "next week"))


def today(rng: Random) -> str:
    """A date as the chat template writes it: 09 Mar 2027."""
    return f"{rng.randint(1, 28):02d} {rng.choice(words.MONTHS)[:3]} {rng.randint(2024, 2031)}"


def clock(rng: Random) -> str:
    """A time of day."""
    roll, hour = rng.random(), rng.randint(1, 12)
    if roll < 0.5:
        return f"{rng.randint(0, 23):02d}:{rng.choice((0, 5, 10, 15, 20, 25, 30, 40, 45, 50)):02d}"
    if roll < 0.72:
        minutes = rng.choice(("", "", "", ":15", ":30", ":45"))
        return f"{hour}{minutes}{rng.choice((' ', ''))}{rng.choice(('am', 'pm'))}"
    if roll < 0.8:
        return rng.choice(
            (f"{hour} o'clock", f"{words.NUMBERS[hour]} o'clock", f"{words.NUMBERS[hour]} in the evening")
        )
    if roll < 0.92:
        return (
            f"{rng.choice(('half past', 'quarter past', 'quarter to', 'ten past', 'twenty to'))} {words.NUMBERS[hour]}"
        )
    return rng.choice(("noon", "midnight", f"{rng.randint(1, 23)}:{rng.randint(0, 59):02d}"))


def email(rng: Random) -> str:
    """An address at an invented host."""
    first = first_name(rng).lower()
    who = rng.choice(
        (first, first, word(rng), word(rng), f"{first}.{word(rng)}", f"{first}.{word(rng)}", f"{first[0]}.{word(rng)}",
         f"{first}_{word(rng)}", f"{first}{rng.randint(1, 99)}", f"{word(rng)}-{word(rng)}", f"{first}+{word(rng)}")
    )  # fmt: skip
    host = word(rng) if rng.random() < 0.8 else f"{word(rng)}{rng.choice(('.', '-'))}{word(rng)}"
    return f"{who}@{host}.{rng.choice(('com', 'org', 'net', 'io', 'example', 'co', 'dev', 'info', 'de'))}"


def code(rng: Random) -> str:
    """An identifier of letters and digits."""
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 3)))
    number, digit, two = integer(rng), rng.randint(0, 9), rng.randint(10, 99)
    if rng.random() < 0.55:
        return rng.choice((f"{letters}{number}", f"{letters}-{number}", f"{letters}{digit}-{two}"))
    small, stem = letters.lower(), word(rng)[:4]
    return rng.choice(
        (f"{two}-{letters}-{digit}", f"#{number}", f"{stem}_{number}", f"{two}{letters}", f"{letters}-{two}-{number}",
         f"{small}{number}", f"{small}-{number}", f"{letters}/{number}", f"{letters} {number}", f"{rng.randint(1000, 99999)}",
         f"{stem.upper()}-{two}", f"{two}.{digit}.{digit}", f"{letters}{digit}{small}{two}", f"{number}-{two}")
    )  # fmt: skip


def street(rng: Random) -> str:
    """A street and a house number."""
    name, house = proper(rng), rng.choice((str(rng.randint(1, 180)), f"{rng.randint(1, 60)}{rng.choice('abc')}"))
    kind = rng.choice(("Street", "Road", "Lane", "Avenue", "Way", "Square", "Hill", "Gardens"))
    return rng.choice(
        (f"{house} {name} {kind}", f"{house} {name} {kind}", f"{name} {kind} {house}", f"{name}weg {house}")
    )


def phone(rng: Random) -> str:
    """A phone number."""
    groups = [str(rng.randint(100, 9999)) for _ in range(2)]
    return rng.choice(
        (f"0{groups[0]} {groups[1]}", f"+{rng.randint(20, 99)} {groups[0]} {groups[1]}", "-".join(groups))
    )


def file_name(rng: Random) -> str:
    """A file's name, sometimes with a folder."""
    stem = rng.choice((word(rng), rng.choice(words.PLAIN_NOUNS)))
    joint = rng.choice(("_", "-"))
    stem = rng.choice(
        (stem, f"{stem}{joint}{word(rng)}", f"{stem}{joint}{rng.randint(1, 2030)}", f"{word(rng)}/{stem}")
    )
    return f"{stem}.{rng.choice(('pdf', 'txt', 'csv', 'docx', 'png', 'zip', 'json', 'md', 'mp3', 'jpg'))}"


def url(rng: Random) -> str:
    """A site's address."""
    host = f"{word(rng)}.{rng.choice(('com', 'org', 'net', 'io', 'example'))}"
    return rng.choice((host, f"www.{host}", f"https://{host}", f"{host}/{word(rng)}"))


def currency(rng: Random) -> str:
    """A currency code, sometimes an invented one."""
    return rng.choice(words.CURRENCIES) if rng.random() < 0.7 else "".join(rng.choices(string.ascii_uppercase, k=3))
