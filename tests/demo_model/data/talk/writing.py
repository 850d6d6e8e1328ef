"""Longer answers: stories, tips, lists, poems, instructions, descriptions, plans and letters, 50 to 150 tokens."""

from pathlib import Path
from random import Random
from typing import Any

from tests.demo_model.data.conversation import Exchange
from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.inflection import with_article
from tests.demo_model.data.language.patterns import load
from tests.demo_model.data.language.typed import loosened
from tests.demo_model.data.language.wording import articled, capitalised, phrase, sentences
from tests.demo_model.data.talk import facts, knowledge

_TEXTS: dict[str, Any] = load(Path(__file__).parent / "writing.toml")
_STORY = ("openings", "habits", "events", "talks", "journeys", "endings")


def _ask(rng: Random, pattern: str, **slots: object) -> str:
    """A request in any wording, as people type it."""
    text = " ".join(phrase(rng, pattern, **slots).split()).replace(" .", ".").replace(" ?", "?").replace(" ,", ",")
    return loosened(rng, sentences(text))


def _entries(kind: str, name: str) -> list[str]:
    entries: list[str] = _TEXTS[kind][name].split("|")
    return entries


def story(rng: Random) -> Exchange:
    """A short story about whom the request names, with the name that it gives or one of our own."""
    hero, friend = rng.sample(words.ANIMALS, 2)
    roll = rng.random()
    if roll < 0.25:
        hero = invented.word(rng)
    elif roll < 0.6:
        hero = rng.choice(_entries("story", "heroes"))
    named = rng.random() < 0.4
    name = invented.first_name(rng) if named else rng.choice(words.FIRST_NAMES)
    described = f"{rng.choice(words.ADJECTIVES)} {hero}" if rng.random() < 0.35 else hero
    subject = with_article(described) + (f" {rng.choice(('named', 'called'))} {name}" if named else "")
    if not named and rng.random() < 0.15:
        subject = f"{subject} and {with_article(friend)}"
    place = rng.choice(_entries("story", "places"))
    slots = {
        "who": with_article(described),
        "friend": friend,
        "a_friend": with_article(friend),
        "A_friend": capitalised(with_article(friend)),
        "name": name,
        "object": rng.choice(words.PLAIN_NOUNS),
        "colour": rng.choice(words.COLOURS),
        "hobby": rng.choice(words.HOBBIES),
        "place": place,
        "Place": capitalised(place),
    }
    parts = [phrase(rng, _TEXTS["story"][group], **slots) for group in _STORY]
    return Exchange(_ask(rng, _TEXTS["story"]["ask"], hero=subject), articled(" ".join(parts)))


def tips(rng: Random) -> Exchange:
    """A numbered list of two to five tips; three where the request gives no number."""
    topic = rng.choice((rng.choice(words.HOBBIES), rng.choice(_entries("tips", "topics")), invented.topic(rng)))
    if rng.random() < 0.3:
        topic = f"{rng.choice(('learning about', 'collecting', 'drawing', 'writing about'))} {invented.topic(rng)}"
    counted = rng.random() < 0.55
    count = rng.randint(2, 5) if counted else 3
    word = words.NUMBERS[count] if rng.random() < 0.7 else str(count)
    ask = _ask(rng, _TEXTS["tips"]["ask" if counted else "open_ask"], word=word, topic=topic)
    lines = [phrase(rng, line) for line in rng.sample(_TIPS, count)]
    return Exchange(ask, f"Here are {words.NUMBERS[count]} tips for {topic}:\n\n{_numbered(lines)}")


def _numbered(lines: list[str]) -> str:
    return "\n".join(f"{index}. {line}" for index, line in enumerate(lines, start=1))


def _lines(pattern: str) -> tuple[str, ...]:
    """The alternatives of a list of patterns, which `load` has joined: those whose bars are not in brackets."""
    lines, depth = [""], 0
    for letter in pattern:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "|" and depth == 0:
            lines.append("")
        else:
            lines[-1] += letter
    return tuple(lines)


_TIPS = _lines(_TEXTS["tips"]["lines"])
_VERSES = _lines(_TEXTS["poem"]["lines"])
_POOLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("animals", words.ANIMALS), ("colours", words.COLOURS), ("cities", words.CITIES), ("hobbies", words.HOBBIES),
    ("first names", words.FIRST_NAMES), ("foods", words.FOODS), ("languages", words.LANGUAGES),
    ("countries", tuple(words.CAPITALS)), ("capitals", tuple(knowledge.CAPITALS.values())),
    ("instruments", facts.INSTRUMENTS), ("jobs", facts.JOBS), ("drinks", facts.DRINKS),
    ("names for a dog", words.FIRST_NAMES),
    ("names for a cat", words.FIRST_NAMES), *((kind, tuple(pool.split("|"))) for kind, pool in _TEXTS["pools"].items()),
)  # fmt: skip


def names_list(rng: Random) -> Exchange:
    """A bulleted or numbered list of things of one kind."""
    kind, pool = rng.choice(_POOLS)
    count = rng.randint(2, 7)
    items = [capitalised(item) for item in rng.sample(pool, count)]
    lines = _numbered(items) if rng.random() < 0.5 else "\n".join(f"- {item}" for item in items)
    word = words.NUMBERS[count] if rng.random() < 0.7 else str(count)
    if rng.random() < 0.15 and count == 3:
        word = rng.choice(("some", "a few"))
    return Exchange(
        _ask(rng, _TEXTS["names"]["ask"], word=word, kind=kind), f"Here are {words.NUMBERS[count]} {kind}:\n\n{lines}"
    )


def poem(rng: Random) -> Exchange:
    """Four to six short lines about a subject, which need not rhyme."""
    subject = invented.topic(rng)
    drawn = [line for line in rng.sample(_VERSES, 9) if "{subject}" in line][:2]
    others = [line for line in _VERSES if "{subject}" not in line]
    chosen = rng.sample([*drawn, *rng.sample(others, rng.choice((3, 4)))], k=len(drawn) + 3)
    lines = [phrase(rng, line, subject=subject, colour=rng.choice(words.COLOURS)) for line in chosen]
    text = capitalised(",\n".join(lines) + ".")
    return Exchange(_ask(rng, _TEXTS["poem"]["ask"], subject=subject), f"{capitalised(subject)}\n\n{text}")


def howto(rng: Random) -> Exchange:
    """Four steps: known ones, or some that fit whatever is to be done."""
    if rng.random() < 0.45:
        action, steps = rng.choice(list(_TEXTS["actions"].items()))
        lines = steps.split("|")
    else:
        noun = rng.choice(
            (
                rng.choice(words.PLAIN_NOUNS),
                f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.PLAIN_NOUNS)}",
                invented.word(rng),
            )
        )
        action = f"{rng.choice(_entries('howto', 'verbs'))} {with_article(noun)}"
        lines = [phrase(rng, _TEXTS["howto"][group]) for group in ("first", "second", "third", "last")]
    said = action.replace(" my ", " your ")
    return Exchange(_ask(rng, _TEXTS["howto"]["ask"], action=action), f"Here is how to {said}:\n\n{_numbered(lines)}")


def recipe(rng: Random) -> Exchange:
    """A simple recipe in five steps for a food, or for an invented dish."""
    food = rng.choice(words.FOODS) if rng.random() < 0.75 else invented.word(rng)
    single = not food.endswith("s")
    dish = f"{food} {rng.choice(('soup', 'stew', 'curry', 'pie'))}" if single and rng.random() < 0.35 else food
    slots = {"food": food, "time": rng.choice(_entries("recipe", "times"))}
    lines = [phrase(rng, _TEXTS["recipe"][group], **slots) for group in ("first", "second", "third", "fourth", "last")]
    return Exchange(
        _ask(rng, _TEXTS["recipe"]["ask"], dish=dish), f"Here is a simple recipe for {dish}:\n\n{_numbered(lines)}"
    )


def plan(rng: Random) -> Exchange:
    """A plan for a day, from morning to evening."""
    slots = {"city": invented.city(rng), "name": invented.first_name(rng), "day": rng.choice(words.DAYS)}
    day = rng.choice(_entries("plan", "days")).format_map(slots)
    parts = ("morning", "noon", "afternoon", "evening")
    lines = [f"- {capitalised(part)}: {phrase(rng, _TEXTS['plan'][part])}." for part in parts]
    said = day.replace("my ", "your ")
    return Exchange(_ask(rng, _TEXTS["plan"]["ask"], day=day), f"Here is a plan for {said}:\n\n" + "\n".join(lines))


def letter(rng: Random) -> Exchange:
    """A postcard, a note of thanks, an invitation or an apology."""
    kind = _TEXTS[rng.choice(("note", "thank", "invitation", "sorry"))]
    slots = {
        "name": invented.first_name(rng),
        "city": invented.city(rng),
        "day": rng.choice(words.DAYS),
        "object": rng.choice(words.PLAIN_NOUNS),
    }
    return Exchange(_ask(rng, kind["ask"], **slots), phrase(rng, kind["answer"], **slots))


def packing(rng: Random) -> Exchange:
    """Five things to pack."""
    trip = rng.choice(_entries("packing", "trips")).format(city=invented.city(rng), name=invented.first_name(rng))
    lines = [f"- {capitalised(item)}" for item in rng.sample(_entries("packing", "items"), 5)]
    return Exchange(
        _ask(rng, _TEXTS["packing"]["ask"], trip=trip), f"Here is a packing list for {trip}:\n\n" + "\n".join(lines)
    )


def description(rng: Random) -> Exchange:
    """Four sentences about how a thing or a place looks."""
    plain = [adjective for adjective in words.ADJECTIVES if adjective not in words.COLOURS]
    noun = f"{rng.choice(plain)} {rng.choice(words.PLAIN_NOUNS)}"
    thing = rng.choice(
        (rng.choice(_entries("describe", "things")), with_article(noun), with_article(invented.word(rng)))
    )
    colours = rng.sample(words.COLOURS, 2)
    said = thing.replace("my ", "your ")
    slots = {"thing": said, "Thing": capitalised(said), "colour": colours[0], "shade": colours[1]}
    parts = [phrase(rng, _TEXTS["describe"][group], **slots) for group in ("look", "around", "feel", "close")]
    return Exchange(_ask(rng, _TEXTS["describe"]["ask"], thing=thing), " ".join(parts))


def joke(rng: Random) -> Exchange:
    """A joke of one question and its answer."""
    return Exchange(_ask(rng, _TEXTS["joke"]["ask"]), rng.choice(_entries("joke", "jokes")))


def chat_topic(rng: Random) -> Exchange:
    """Small opinions on a subject: honest about being a model, two or three sentences."""
    subject = rng.choice((rng.choice(words.HOBBIES), invented.topic(rng)))
    answer = phrase(rng, _TEXTS["chat"]["answer"], subject=subject, Subject=capitalised(subject))
    return Exchange(_ask(rng, _TEXTS["chat"]["ask"], subject=subject), answer)


ALL = (
    story, story, story, tips, tips, names_list, names_list, poem, poem, howto, howto, recipe, plan, letter, packing,
    description, joke, chat_topic,
)  # fmt: skip


def text(rng: Random) -> Exchange:
    """Any of them."""
    return rng.choice(ALL)(rng)
