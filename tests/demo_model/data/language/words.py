"""The word lists of `words.toml`."""

import tomllib
from pathlib import Path

_LISTS = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))


def _words(name: str) -> tuple[str, ...]:
    return tuple(str(_LISTS[name]).split())


def _phrases(name: str) -> tuple[str, ...]:
    return tuple(str(_LISTS[name]).replace("\n", "").split("|"))


FIRST_NAMES = _words("first_names")
LAST_NAMES = _words("last_names")
COLOURS = _words("colours")
ANIMALS = _words("animals")
LANGUAGES = _words("languages")
CURRENCIES = _words("currencies")
ADJECTIVES = _words("adjectives")
PLAIN_NOUNS = _words("plain_nouns")
NUMBERS = _words("numbers")
"""Number n in words at place n, up to 20."""
DAYS = _words("days")
MONTHS = _words("months")
CITIES = _phrases("cities")
FOODS = _phrases("foods")
HOBBIES = _phrases("hobbies")
TITLES = _words("titles")
CITY_BEGINNINGS = _phrases("city_beginnings")
CITY_ENDINGS = _phrases("city_endings")
TITLE_FORMS = _phrases("title_forms")
"""With slots that `invented.title` fills."""
MESSAGE_BEGINNINGS = _phrases("message_beginnings")
"""Like the endings, with slots that `invented.message` fills."""
MESSAGE_ENDINGS = _phrases("message_endings")
TOPICS = _phrases("topics")
CAPITALS: dict[str, str] = _LISTS["capitals"]
COLOURS_OF: dict[str, str] = _LISTS["colours_of"]
OPPOSITES: dict[str, str] = _LISTS["opposites"]
SOUNDS: dict[str, str] = _LISTS["sounds"]
LEGS: dict[str, int] = _LISTS["legs"]
