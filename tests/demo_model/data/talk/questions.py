"""Simple questions with answers that can be known or calculated."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random
from typing import TYPE_CHECKING

from tests.demo_model.data.conversation import Exchange
from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.inflection import with_article
from tests.demo_model.data.language.typed import loosened
from tests.demo_model.data.language.wording import capitalised, listed, phrase
from tests.demo_model.data.talk import knowledge, sums

if TYPE_CHECKING:
    from collections.abc import Callable


# other modules draw these kinds by name
is_held_out = sums.is_held_out
arithmetic, compare = sums.arithmetic, sums.compare
capital, colour, opposite = knowledge.capital, knowledge.colour, knowledge.opposite
calendar, animal = knowledge.calendar, knowledge.animal


def counting(rng: Random) -> Exchange:
    """Counts up or down over at most 15 numbers; some ranges are left for the evaluation."""
    start, length = rng.randint(0, 20), rng.randint(3, 14)
    if start % 5 == 4 or (2 * start + length) % 13 == 0:
        return counting(rng)
    numbers = list(range(start, start + length + 1))
    if rng.random() < 0.3:
        numbers.reverse()
    ask = "[Count|Please count|Can you count|Count for me|Could you count|Let us count|Start counting|I want you to count|Say the numbers|Write the numbers|List the numbers|All numbers|Give me the numbers|Tell me all numbers|Let me hear the numbers|Will you count|Show me the numbers|My son wants you to count|I'd like you to count|Try to count|Write down all numbers|Name the numbers|Help me count|Please list all numbers] [up |aloud |slowly |][from {a} [to|up to|until|through]|starting at {a} up to|between {a} and] {b}[.|, please.|?|!|]|[Start|Begin] [at|with|from] {a} and count [up |][to|until] {b}[.|, please.|]|[From {a} to {b}|{a} to {b}], [count|please count|list the numbers|all the numbers][.|, please.|]|[What are|Which are] the numbers from {a} to {b}?"
    if numbers[0] > numbers[-1]:
        ask = "[Count|Please count|Can you count|Could you count|Let us count|I want you to count|Start counting|Will you count|Try to count] [down|backwards|back] [from {a} [to|until|down to]|starting at {a} down to] {b}[.|, please.|?|]|[Say|List|Give me|Write] the numbers [backwards|in reverse|down] from {a} to {b}[.|, please.|]|[Start|Begin] [at|with] {a} and count [down|backwards] to {b}[.|, please.|]|[Make|Do] a countdown from {a} to {b}[.|]"
    return Exchange(loosened(rng, phrase(rng, ask, a=numbers[0], b=numbers[-1])), ", ".join(map(str, numbers)) + ".")


def series(rng: Random) -> Exchange:
    """The days, the months, the seasons, the first letters."""
    name, short, items = rng.choice(
        [
            ("days of the week", "days", list(words.DAYS)),
            ("months of the year", "months", list(words.MONTHS)),
            ("four seasons", "seasons", ["spring", "summer", "autumn", "winter"]),
            (
                "colours of the rainbow",
                "colours of the rainbow",
                ["red", "orange", "yellow", "green", "blue", "indigo", "violet"],
            ),
            ("planets", "planets", ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"]),
            (
                "continents",
                "continents",
                ["Africa", "Antarctica", "Asia", "Australia", "Europe", "North America", "South America"],
            ),
            ("five vowels", "vowels", ["a", "e", "i", "o", "u"]),
        ]
    )
    ask = "[Name|List|Tell me|What are|Give me|Can you name|Which are|Say|Write down|I want to read|Could you name|Do you know|Please list|Recite|Can you list|Could you tell me|I need|I want to know|Count up|Show me|Let me hear|My son has to learn|What do you call|Write|Remind me of|Please tell me|Would you list|Enumerate] [all |all of |][the |the ]{name}[ in order| one after the other| for me|][.|?|, please.|]|What are the {name} called[?|]|I have to learn the {name}[, list them|. Can you list them|. What are they|. Tell me all of them][.|?|]|[Which|What] {short} are there[?|]|How many {name} are there, and what are they called[?|]|[The {name}|{name}], [please|all of them|in order][.|]|[How|In which order] do the {name} go[?|]"
    return Exchange(loosened(rng, phrase(rng, ask, name=name, short=short)), f"The {name} are {listed(items)}.")


def echo(rng: Random) -> Exchange:
    """Says back what the user wrote."""
    make = rng.choice(
        (invented.word, invented.proper, invented.person, invented.title, invented.code, invented.email, invented.topic)
    )
    text = " ".join([make(rng), *(invented.word(rng) for _ in range(rng.randint(0, 4)))])
    ask = '[Repeat after me|Say this|Please repeat|Repeat|Copy this text|Can you say|Could you repeat|Echo this|Repeat the following|Say after me|Please say this|Repeat this sentence|Write this|Type this|Copy|Say the following words|Please copy this|Repeat exactly|Say exactly this|Parrot this|Print this|Output the following text|Write the following|Now say this|Answer only with this|Reply with exactly this|Say it after me|Please echo|Just repeat this|Read this back to me|Return this text]:[ |\n]{text}|[Repeat|Say|Please say|Write|Please repeat|Echo|Can you say|Could you say|Copy|Type|Answer with|Reply with|Just say|Now say|Please write|I want you to say|Would you say|Print|Repeat the words|Say the words] "{text}"[.|, please.||?]|[Say|Echo|Repeat the words|Please say|Write|Now say|Please repeat] {text}'
    return Exchange(phrase(rng, ask, text=text), text)


def drill(rng: Random) -> Exchange:
    """A long text to be said back: nothing teaches copying faster."""
    makers: tuple[Callable[[Random], str], ...] = (
        invented.word, invented.word, invented.proper, invented.person, invented.code, invented.city, invented.email,
        invented.spoken_date, lambda r: str(invented.integer(r)), lambda r: r.choice(words.PLAIN_NOUNS),
        lambda r: r.choice(words.TOPICS), lambda r: r.choice(words.ANIMALS), lambda r: f"{invented.word(r)}_{invented.word(r)}",
    )  # fmt: skip
    chosen = rng.sample(makers, rng.randint(1, 4))
    joint = rng.choice((" ", " ", ", ", "; ", ' "', "\n", ": ", " and "))
    text = joint.join(rng.choice(chosen)(rng) for _ in range(rng.randint(2, 24)))
    return Exchange(phrase(rng, "[Repeat|Repeat this|Say|Copy|Echo|Read back]: ") + text, text)


def _item(rng: Random) -> str:
    pools = (words.PLAIN_NOUNS, words.COLOURS, words.ANIMALS, words.CITIES, words.FIRST_NAMES, words.FOODS, words.DAYS)
    return invented.word(rng) if rng.random() < 0.5 else rng.choice(rng.choice(pools))


def pick(rng: Random) -> Exchange:
    """Finds a member of a list that is in the question."""
    items = [_item(rng) for _ in range(rng.randint(2, 4))]
    place = rng.choice((0, 1, len(items) - 1))
    rank = "last" if place == len(items) - 1 and rng.random() < 0.6 else ("first", "second", "third", "fourth")[place]
    ask = "[Here is a list|This is my list|Look at this|I have these words|These are the words|My list]: {items}. [Which one is|Which is|What is|Tell me|Name|Say|Pick|Give me] the {rank}[ one| word| item|][?|.|]|[Which|What] is the {rank} [word|item|one|entry|thing] [in this list|of these|here|in the list|of this list]: {items}[?|]|{items}[: which one comes|: which one is|. Which comes|: what comes|; which is the one that comes] {rank}?|[Of|Out of|Among|From|In the list] {items}, [tell me|which is|name|give me|say|pick] the {rank}[ one| word|][.|]|[Look at|Take|Read|Here are|There are|We have|I wrote|I have] {items}. [Name|Say|Tell me|What is|Which is|Give me|Choose] the {rank} [one|word|item][.|]|[Take|Pick|Choose|Name|Tell me|Say|Give me|Read out|Find] the {rank} [of|one of|word of|item of|from|among] [the words |the list |]{items}[.|]|[I see|They are called|In the row stand] {items}. Which one is {rank}?|[Which|What] comes {rank}: {items}?"
    joined = ", ".join(items) if rng.random() < 0.7 else ", ".join(items[:-1]) + f" and {items[-1]}"
    return Exchange(
        loosened(rng, capitalised(phrase(rng, ask, items=joined, rank=rank))), f"The {rank} one is {items[place]}."
    )


_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("animal", words.ANIMALS),
    ("colour", words.COLOURS),
    ("city", words.CITIES),
    ("country", tuple(knowledge.CAPITALS)),
    ("day", words.DAYS),
    ("month", words.MONTHS),
    ("language", words.LANGUAGES),
    ("hobby", words.HOBBIES),
    ("first name", words.FIRST_NAMES),
    ("fruit", ("apple", "pear", "plum", "cherry", "lemon", "orange", "banana", "peach", "fig", "grape")),
    ("number", words.NUMBERS[2:]),
)


def one_of(rng: Random) -> Exchange:
    """One thing of a kind."""
    kind, pool = rng.choice(_KINDS)
    return knowledge.asked(rng, "one_of", f"Here is one: {rng.choice(pool)}.", kind=kind, a_kind=with_article(kind))


def category(rng: Random) -> Exchange:
    """Which of some words is of a kind, and how many words there are."""
    if rng.random() < 0.3:
        items = [_item(rng) for _ in range(rng.randint(2, 6))]
        return knowledge.asked(rng, "how_many", f"There are {words.NUMBERS[len(items)]}.", items=", ".join(items))
    kind, pool = rng.choice(_KINDS)
    item = rng.choice(pool)
    others = rng.sample(words.PLAIN_NOUNS, rng.choice((1, 2, 2, 3)))
    if rng.random() < 0.4:
        other_pool = rng.choice([pool for other, pool in _KINDS if other != kind])
        others[0] = rng.choice(other_pool)
        if item in other_pool or others[0] in pool:
            return category(rng)
    items = rng.sample([item, *others], len(others) + 1)
    joined = ", ".join(items[:-1]) + rng.choice((" or ", ", ", " and ")) + items[-1]
    answer = f"{capitalised(item)} is {with_article(kind)}."
    return knowledge.asked(rng, "category", answer, items=joined, kind=kind, a_kind=with_article(kind))


ALL = (
    arithmetic, arithmetic, arithmetic, capital, capital, colour, colour, opposite, opposite, calendar, calendar, animal, animal,
    compare, sums.number, counting, series, echo,
    one_of, category, knowledge.spelling, pick, knowledge.measure, knowledge.plural,
)  # fmt: skip


def question(rng: Random) -> Exchange:
    """Any of them."""
    return rng.choice(ALL)(rng)
