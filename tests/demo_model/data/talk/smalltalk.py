"""Greetings, thanks, good-byes, what the model says about itself, and that it does not know."""

from pathlib import Path
from random import Random

from tests.demo_model.data.conversation import Exchange
from tests.demo_model.data.language import asides, invented, words
from tests.demo_model.data.language.inflection import with_article
from tests.demo_model.data.language.patterns import load
from tests.demo_model.data.language.typed import loosened
from tests.demo_model.data.language.wording import phrase, sentences
from tests.demo_model.data.talk import knowledge

_TALK = load(Path(__file__).parent / "smalltalk.toml")
_UNKNOWN: list[str] = [subject["ask"] for subject in load(Path(__file__).parent / "unknown.toml").values()]
_UNSURE = (
    "[I do not know that|I am afraid I do not know that|Sorry, I do not know that|That is beyond what I know]. "
    "[I am only a small demonstration model.|I am a small model and know only simple things.|"
    "A larger model could help you with that.]"
)
_LANGUAGES = ("Python", "C", "Rust", "Java", "JavaScript", "C++", "SQL", "HTML", "Go", "bash", "PHP", "Ruby", "CSS")
"""Programming languages."""
_COUNTRIES = tuple(knowledge.CAPITALS)
_DAYTIMES = ("morning", "afternoon", "evening", "morning", "evening", "day")


_TAKEN_NOTE = (
    "[I see|That is interesting|Thank you for telling me][.|!] "
    "[What can I do for you?|How can I help you?|Is there anything I can do for you?]"
)


def _said(rng: Random, kind: str) -> Exchange:
    """One intent of the kind, in any wording, and its answer."""
    intent = rng.choice(_TALK[kind])
    slots = {
        "name": invented.first_name(rng),
        "city": invented.city(rng),
        "topic": rng.choice(words.TOPICS),
        "animal": rng.choice(words.ANIMALS),
        "day": rng.choice(words.DAYS),
        "daytime": rng.choice(_DAYTIMES),
    }
    ask = sentences(phrase(rng, intent["ask"], **slots))
    asks = kind == "identity"
    return Exchange(loosened(rng, ask, asks=asks), phrase(rng, intent["answer"], **slots).strip())


def greeting(rng: Random) -> Exchange:
    """Hello, and how are you."""
    return _said(rng, "greeting")


def thanks(rng: Random) -> Exchange:
    """Thank you, and praise."""
    return _said(rng, "thanks")


def farewell(rng: Random) -> Exchange:
    """Good-bye."""
    return _said(rng, "farewell")


def identity(rng: Random) -> Exchange:
    """Who are you, and what can you do."""
    return _said(rng, "identity")


def introduction(rng: Random) -> Exchange:
    """The user gives a name, and is greeted by it."""
    return _said(rng, "introduction")


def reaction(rng: Random) -> Exchange:
    """An apology, a complaint, a mood, a yes or a no: what people say that asks for nothing."""
    return _said(rng, "reaction")


def remark(rng: Random) -> Exchange:
    """The user tells something that asks for nothing."""
    told = " ".join(asides.sentence(rng) for _ in range(rng.choice((1, 1, 2))))
    return Exchange(loosened(rng, told, asks=False), phrase(rng, _TAKEN_NOTE))


def unknown(rng: Random) -> Exchange:
    """A question beyond the model, and a sentence that says so."""
    if rng.random() < 0.3:
        return Exchange(loosened(rng, asides.question_about(rng)), phrase(rng, _UNSURE))
    animal = rng.choice(words.ANIMALS)
    slots: dict[str, object] = {
        "topic": invented.topic(rng),
        "topic_b": invented.topic(rng),
        "person": invented.person(rng),
        "other": invented.person(rng),
        "city": invented.city(rng),
        "city_b": invented.city(rng),
        "country": rng.choice(_COUNTRIES),
        "thing": invented.word(rng),
        "proper": invented.proper(rng),
        "title": invented.title(rng),
        "name": invented.first_name(rng),
        "noun": rng.choice(words.PLAIN_NOUNS),
        "animal": animal,
        "animal_a": with_article(animal),
        "food": rng.choice(words.FOODS),
        "day": rng.choice(words.DAYS),
        "month": rng.choice(words.MONTHS),
        "year": rng.randint(900, 2060),
        "number": rng.randint(2, 400),
        "big": rng.randint(200, 99_999),
        "big_b": rng.randint(110, 9_999),
        "code": rng.choice(_LANGUAGES),
    }
    ask = " ".join(phrase(rng, rng.choice(_UNKNOWN), **slots).split()).replace(" ?", "?").replace(" .", ".")
    return Exchange(loosened(rng, sentences(ask)), phrase(rng, _UNSURE))
