"""The word lists of `vocabulary.toml` with their forms, and the phrases that `{slot}`s of patterns draw from them."""

# A list of patterns stays on few lines, however long.
# ruff: noqa: E501

import tomllib
from pathlib import Path
from random import Random

from tests.demo_model.data.language import words
from tests.demo_model.data.language.inflection import Verb, plural, verb, with_article
from tests.demo_model.data.language.slotted import Maker, compiled, one_of, word_of

_LISTS = tomllib.loads((Path(__file__).parent / "vocabulary.toml").read_text(encoding="utf-8"))


def _items(text: str) -> tuple[str, ...]:
    """The words between blanks, or the phrases between bars."""
    items = text.replace("\n", "").split("|") if "|" in text else text.split()
    return tuple(item.replace("_", " ") for item in items)


def _items_of(table: str) -> dict[str, tuple[str, ...]]:
    return {name: _items(text) for name, text in _LISTS[table].items()}


FIRST_NAMES = (*words.FIRST_NAMES, *_items(_LISTS["first_names"]))
RELATIONS = _items(_LISTS["relations"])
SHARED_RELATIONS = _items(_LISTS["shared_relations"])
"""Those that several people can have in common, after `our`."""
MANY_RELATIONS = _items(_LISTS["many_relations"])
"""Those of which a person has several."""
NEUTRAL_RELATIONS = _items(_LISTS["neutral_relations"])
"""Those that any first name can follow."""
NOUNS = _items_of("nouns")
MASS_NOUNS = _items_of("mass_nouns")
ADJECTIVES = _items_of("adjectives")
ADVERBS = _items_of("adverbs")
TIMES = _items_of("times")
SPOTS = _items(_LISTS["spots"]["here"])
TOPICS = _items(_LISTS["topics"]["all"])
STATIVE = frozenset(_items(_LISTS["verbs"]["stative"]))
"""Verbs that have no continuous form."""
VERBS: dict[str, tuple[Verb, ...]] = {
    name: tuple(verb(entry) for entry in text.split()) for name, text in _LISTS["verbs"].items() if name != "stative"
}
FORMS = {"do": "base", "did": "past", "done": "participle", "does": "third", "doing": "continued"}
"""The slots of verbs, by their ending, and the forms that these draw."""
_OBJECT_GROUPS = ("household", "tools", "clothes", "devices", "vehicles", "belongings")


def plurals(nouns: tuple[str, ...]) -> tuple[str, ...]:
    """Each noun's plural."""
    return tuple(plural(noun) for noun in nouns)


def _noun_slots() -> dict[str, Maker]:
    """For each group `x` of nouns: `{x}`, `{x_s}` in the plural, `{a_x}`; with an adjective at times where some fit."""
    groups = {**NOUNS, "thing": tuple(noun for group in _OBJECT_GROUPS for noun in NOUNS[group])}
    kinds = {
        "people": "people",
        "foods": "foods",
        "events": "judgements",
        "places": "judgements",
        "abstract": "judgements",
    }
    slots: dict[str, Maker] = {}
    for name, nouns in groups.items():
        fitting = ADJECTIVES[kinds.get(name, "things")] if name not in ("animals", "nature", "body", "sport") else ()
        slots[name] = _described(nouns, fitting)
        slots[f"{name}_s"] = _described(plurals(nouns), fitting)
        slots[f"{name}_only"] = word_of(nouns)
        slots[f"{name}_s_only"] = word_of(plurals(nouns))
        slots[f"a_{name}"] = _with_article(slots[name])
    return slots


def _described(nouns: tuple[str, ...], adjectives: tuple[str, ...]) -> Maker:
    plain = word_of(nouns)
    if not adjectives:
        return plain
    adjective = word_of(adjectives)
    return lambda rng: f"{adjective(rng)} {plain(rng)}" if rng.random() < 0.3 else plain(rng)


def _with_article(maker: Maker) -> Maker:
    return lambda rng: with_article(maker(rng))


def _name(rng: Random) -> str:
    return FIRST_NAMES[int(rng.random() * len(FIRST_NAMES))]


_WHO = (
    "my {relation}", "my {relation}", "our {our}", "{name}", "{name}", "the {people_only}", "the {people_only} {near}",
    "{name}'s {relation}", "my {neutral} {name}", "the new {people_only}", "our {trait} {people_only}", "my {relation}'s {relation}",
    "somebody {near}", "everyone {near}", "the {trait} {people_only}", "the {people_only} with the {clothes_only}",
)  # fmt: skip
_THEY = (
    "my {relation_s}", "the {people_s_only}", "{name} and {name}", "our {relation_s}", "my {relation} and I", "the [children|kids]",
    "my parents", "the neighbours", "the {people_s_only} {near}", "two of my {relation_s}", "the {trait} {people_s_only}",
    "both {people_s_only}", "a few {people_s_only}", "some of the {people_s_only}", "{name} and the {people_only}", "our guests",
)  # fmt: skip
_NEAR = "[behind|near|next to|opposite|outside|by|beside|in front of|not far from] the {places_only}"
_THE_THING = (
    "the {thing}", "the {thing}", "my {thing}", "our {thing}", "that {thing}", "the {thing_s_only}", "{a_thing}", "my {relation}'s {thing_only}",
    "some {thing_s}", "an old {thing_only}", "this {thing_only}", "{a_thing}", "the {things_only} {thing_only}",
)  # fmt: skip
_OBJECTS = {
    "on_things": "{the_thing}",
    "on_foods": "[the {foods}|{a_food}|some {foods_s}|two {foods_s_only}|the {foods_s_only}|the last {foods_only}]",
    "on_papers": "[the {papers}|a {long} {papers_only}|my {papers}|the {papers_s_only}|{a_paper}|our {papers_only}]",
    "on_people": "[the {people}|my {relation}|{name}|some {people_s_only}|our {relation_s}|{a_person}]",
    "on_ideas": "[the {abstract}|{an_idea}|some {abstract_s_only}|our {abstract_only}|the {events_only}]",
    "about": "about [{topic}|the {events_only}|the {abstract_only}|{idea}|my {relation}]",
}


def _verb_slots(slots: dict[str, Maker]) -> None:
    """`{do}`, `{did}`, ...: what people do, with its object; `{do_alone}` without one; `{thing_do}`: what things do."""
    objects = {name: compiled([pattern], slots) for name, pattern in _OBJECTS.items()}
    for ending, form in FORMS.items():
        bare: dict[str, Maker] = {}
        for name, group in VERBS.items():
            usable = [each for each in group if form != "continued" or each.base not in STATIVE]
            bare[name] = word_of([getattr(each, form) for each in usable])
        slots[f"{ending}_alone"] = bare["alone"]
        slots[f"thing_{ending}"] = bare["of_things"]
        slots[f"{ending}_thing"] = bare["on_things"]
        phrases = {
            name: compiled(["{verb} {object}"], {"verb": bare[name], "object": objects[name]}) for name in objects
        }
        slots[f"{ending}_person"] = phrases["on_people"]
        slots[f"{ending}_paper"] = phrases["on_papers"]
        often = (phrases["on_things"], phrases["on_papers"], phrases["on_people"])
        slots[ending] = one_of((*phrases.values(), *often, bare["alone"], bare["alone"]))


def slots() -> dict[str, Maker]:
    """All slots by name."""
    made = _noun_slots()
    made["a_food"], made["a_paper"], made["a_person"] = made["a_foods"], made["a_papers"], made["a_people"]
    made["an_idea"] = made["a_abstract"]
    made |= {"name": _name, "relation": word_of(RELATIONS), "relation_s": word_of(plurals(MANY_RELATIONS))}
    made |= {"mass": word_of(MASS_NOUNS["stuff"] + MASS_NOUNS["edible"]), "neutral": word_of(NEUTRAL_RELATIONS)}
    made["our"] = word_of(SHARED_RELATIONS)
    made |= {
        "topic": word_of(TOPICS),
        "spot": word_of(SPOTS),
        "edible": word_of(MASS_NOUNS["edible"]),
        "idea": word_of(MASS_NOUNS["ideas"]),
    }
    made |= {name: word_of(TIMES[name]) for name in ("past", "future", "habit", "since")}
    made |= {name: word_of(ADVERBS[name]) for name in ("manner", "frequency", "degree", "comment")}
    adjectives = {"trait": "people", "state": "states", "judged": "judgements", "weather": "weather"}
    made |= {name: word_of(ADJECTIVES[group]) for name, group in adjectives.items()}
    graded = {"trait": "people", "state": "states", "judged": "judgements", "weather": "weather"}
    for name, group in graded.items():
        usable = [each for each in ADJECTIVES[group] if each not in ADJECTIVES["ungraded"]]
        made[f"very_{name}"] = compiled(["{degree} {it}"], {"degree": made["degree"], "it": word_of(usable)})
    made["long_trait"] = word_of([each for each in ADJECTIVES["people"] if len(each) > 7 and "-" not in each])
    made["long"] = word_of(("long", "short", "boring", "new", "handwritten", "rather long", "printed", "strange"))
    made |= {"a_trait": _with_article(made["trait"]), "a_judged": _with_article(made["judged"])}
    made["things_only"] = word_of(ADJECTIVES["things"])
    made |= {"day": word_of(words.DAYS), "month": word_of(words.MONTHS), "number": word_of(words.NUMBERS[2:])}
    made |= {"city": word_of(words.CITIES)}
    made["near"] = compiled([_NEAR], made)
    made["who"], made["they"] = compiled(_WHO, made), compiled(_THEY, made)
    made["the_thing"] = compiled(_THE_THING, made)
    _verb_slots(made)
    return made
