"""Simple questions with answers that can be known or calculated."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random
from typing import TYPE_CHECKING

from services.demo_model.data import invented, words
from services.demo_model.data.conversation import Exchange
from services.demo_model.data.wording import capitalised, listed, loosened, phrase, with_article

if TYPE_CHECKING:
    from collections.abc import Callable


def is_held_out(a: int, b: int) -> bool:
    """Sums, differences and products that are never trained, so that they can be evaluated."""
    return (7 * a + 3 * b) % 11 == 4


def _pair(rng: Random, highest: int) -> tuple[int, int]:
    while True:
        a, b = rng.randint(0, highest), rng.randint(0, highest)
        if not is_held_out(a, b):
            return a, b


def arithmetic(rng: Random) -> Exchange:
    """Additions and subtractions up to 50, products up to 10 by 10."""
    kind = rng.choice(("plus", "plus", "minus", "times"))
    a, b = _pair(rng, 10 if kind == "times" else rng.choice((10, 20, 50)))
    if kind == "minus":
        a, b = max(a, b), min(a, b)
        if is_held_out(a, b):
            return arithmetic(rng)
    result = {"plus": a + b, "minus": a - b, "times": a * b}[kind]
    sign = {"plus": "+", "minus": "-", "times": "*"}[kind]
    verb = {"plus": "[Add {a} and {b}|Sum up {a} and {b}|What do I get if I add {b} to {a}|[Can|Will|Would] you add {a} to {b}|What is the sum of {a} and {b}|Put {a} and {b} together]", "minus": "[Subtract {b} from {a}|Take {b} away from {a}|I have {a} and lose {b}, what is left|What remains of {a} without {b}|What is {a} less {b}]",
            "times": "[Multiply {a} by {b}|Multiply {a} and {b}|What is the product of {a} and {b}|How much is {a} times {b}|How many are {a} times {b}]"}[kind]  # fmt: skip
    ask = f"[What is|What's|How much is|Calculate|Compute|Can you tell me what|Solve|Tell me|I want to know|What do you get for|Do the sum|Result of|What comes out of|How much makes] {{a}} [{kind}|{sign}|{sign}] {{b}}[?|?||, please?]|{verb}[.|?|]|{{a}} {sign} {{b}}[?| =|]|[What does|How much does] {{a}} {kind} {{b}} [give|equal|come to|add up to]?|{{a}} {kind} {{b}} [is|equals|gives] [what|how much]?"
    answer = "[{a} {kind} {b} is {result}.|{a} {sign} {b} = {result}.]"
    slots = {"a": a, "b": b, "kind": kind, "sign": sign, "result": result}
    return Exchange(loosened(rng, phrase(rng, f"[{ask}]", **slots)), phrase(rng, answer, **slots))


def capital(rng: Random) -> Exchange:
    """The capital of a country; of an invented one it is not known."""
    country, place = rng.choice(list(words.CAPITALS.items()))
    answer = "The capital of {country} is {place}."
    if rng.random() < 0.15:
        country = invented.proper(rng)
        answer = "[I do not know the capital of {country}.|I am afraid I do not know {country}.]"
    ask = "[What is|What's|Name|Tell me|Do you know|Which city is|Say|Where is|I am looking for|I need|Give me|How is called|Can you tell me|Could you say|I must find|Please name] the capital [city |]of {country}[?|?|, please.|.]|[{country}'s capital[?|, please.| is what?|: which city is it?]|What capital [city |]does {country} have?|Which city is {country}'s capital?|What do you call the capital of {country}?|Where does the government of {country} sit?|From where is {country} governed?]"
    return Exchange(
        loosened(rng, phrase(rng, f"[{ask}]", country=country)), phrase(rng, answer, country=country, place=place)
    )


def colour(rng: Random) -> Exchange:
    """The colour of a well-known thing."""
    thing, shade = rng.choice(list(words.COLOURS_OF.items()))
    ask = "[What colour is|What color is|Which colour is|What is the colour of|Tell me the colour of|Which color has|Name the colour of|Do you know the colour of|I need the colour of|Which colour do you give] {thing}[?|?|]|[What|Which] [colour|color] does {thing} [have|show]?|[What colour|Which colour], [do you think|would you say], is {thing}?|[Tell me|Do you know|Can you say|I want to know] [what|which] [colour|color] {thing} [is|has][.|?|]|{thing} is of [what|which] [colour|color]?"
    return Exchange(
        loosened(rng, phrase(rng, ask, thing=thing)),
        phrase(rng, "{thing} is {shade}.", thing=capitalised(thing), shade=shade),
    )


def opposite(rng: Random) -> Exchange:
    """The opposite of a word, in both directions."""
    a, b = rng.choice(list(words.OPPOSITES.items()))
    if rng.random() < 0.5 and b not in words.OPPOSITES and list(words.OPPOSITES.values()).count(b) == 1:
        a, b = b, a
    ask = '[What is|What\'s|Tell me|Name|Do you know|Give me|Say|I need|Find|Can you name|Could you say|Please tell me|I want] the opposite [of|to] [{a}|"{a}"|the word {a}][?|?|.|]|[What|Which word] is [opposite to|the contrary of|the reverse of] {a}?|{a}: [what is the|its|the] opposite[?|]|Not {a}, but the opposite[?|: what?]|If something is not {a}, what is it?'
    return Exchange(loosened(rng, phrase(rng, ask, a=a)), phrase(rng, "The opposite of {a} is {b}.", a=a, b=b))


def calendar(rng: Random) -> Exchange:
    """Neighbours in the week and in the year."""
    names, unit = (words.DAYS, "day") if rng.random() < 0.6 else (words.MONTHS, "month")
    place, step = rng.randrange(len(names)), rng.choice((1, -1))
    here, there = names[place], names[(place + step) % len(names)]
    side = "[after|following]" if step == 1 else "before"
    ask = f"[Which|What] {{unit}} [comes|is|do we have] [right |just |]{side} {{here}}[?|]|[Tell me|Name|Say|Do you know|I need|What is|Can you name|Please name] the {{unit}} {side} {{here}}[.|?|]|{{here}} is [over|not here yet|today], [what|which {{unit}}] [comes|is] {side} [that|it]?|[Tell me|Do you know|Can you say] [which|what] {{unit}} it is {side} {{here}}[.|?]"
    word = "after" if step == 1 else "before"
    return Exchange(
        loosened(rng, phrase(rng, ask, unit=unit, here=here)),
        phrase(rng, f"The {{unit}} {word} {{here}} is {{there}}.", unit=unit, here=here, there=there),
    )


def animal(rng: Random) -> Exchange:
    """Sounds and legs."""
    if rng.random() < 0.5:
        name, sound = rng.choice(list(words.SOUNDS.items()))
        ask = "[What sound does a {name} make?|What does a {name} say?|Which noise does the {name} make?|How does a {name} sound?|Tell me the sound of a {name}.|Which sound comes from a {name}?|What do I hear from a {name}?|How does the {name} go?|Make the noise of a {name}.|What [sound|noise] do {name}s make?]"
        return Exchange(loosened(rng, phrase(rng, ask, name=name)), f'A {name} says "{sound}".')
    name, legs = rng.choice(list(words.LEGS.items()))
    noun = with_article(name)
    ask = "[How many legs does {noun} have?|How many legs has {noun}?|What is the number of legs of {noun}?|Count the legs of {noun}.|On how many legs does {noun} walk?|[Tell me|Do you know|Say] how many legs {noun} has[.|?]|{noun} has how many legs?|How many legs do {name}s have?|{name}s: how many legs?]"
    count = "no" if legs == 0 else words.NUMBERS[legs]
    return Exchange(
        loosened(rng, capitalised(phrase(rng, ask, noun=noun, name=name))), f"{capitalised(noun)} has {count} legs."
    )


def compare(rng: Random) -> Exchange:
    """The larger or smaller of two numbers."""
    a, b = rng.sample(range(1, rng.choice((10, 100, 1000))), 2)
    more = rng.random() < 0.5
    ask = (
        "[Which [number |]is|What is|Which of them is|Tell me which is|Which of the two is] [bigger|larger|greater|more]"
        if more
        else "[Which [number |]is|What is|Which of them is|Tell me which is|Which of the two is] [smaller|less|lower]"
    )
    winner, loser = (max(a, b), min(a, b)) if more else (min(a, b), max(a, b))
    word = "larger" if more else "smaller"
    return Exchange(
        loosened(rng, phrase(rng, ask + "[,|:|, is it|:] {a} [or|and|or] {b}?", a=a, b=b)),
        f"{winner} is {word} than {loser}.",
    )


def counting(rng: Random) -> Exchange:
    """Counts up or down over at most 15 numbers; some ranges are left for the evaluation."""
    start, length = rng.randint(0, 20), rng.randint(3, 14)
    if start % 5 == 4 or (2 * start + length) % 13 == 0:
        return counting(rng)
    numbers = list(range(start, start + length + 1))
    if rng.random() < 0.3:
        numbers.reverse()
    ask = "[Count|Please count|Can you count|Count for me|Could you count|Let us count|Start counting|I want you to count|Say the numbers|Write the numbers|List the numbers|All numbers|Give me the numbers] [up |]from {a} [to|up to|until] {b}[.|, please.|]"
    if numbers[0] > numbers[-1]:
        ask = "[Count|Please count|Can you count] [down|backwards] from {a} to {b}[.|, please.|]"
    return Exchange(loosened(rng, phrase(rng, ask, a=numbers[0], b=numbers[-1])), ", ".join(map(str, numbers)) + ".")


def series(rng: Random) -> Exchange:
    """The days, the months, the seasons, the first letters."""
    name, items = rng.choice(
        [
            ("days of the week", list(words.DAYS)),
            ("months of the year", list(words.MONTHS)),
            ("four seasons", ["spring", "summer", "autumn", "winter"]),
            ("colours of the rainbow", ["red", "orange", "yellow", "green", "blue", "indigo", "violet"]),
            ("planets", ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"]),
            ("continents", ["Africa", "Antarctica", "Asia", "Australia", "Europe", "North America", "South America"]),
            ("five vowels", ["a", "e", "i", "o", "u"]),
        ]
    )
    ask = "[Name|List|Tell me|What are|Give me|Can you name|Which are|Say|Write down|I want to read|Could you name|Do you know|Please list|Recite] [all |]the {name}[.|?|, please.|]|What are the {name} called?|I have to learn the {name}, list them."
    return Exchange(loosened(rng, phrase(rng, ask, name=name)), f"The {name} are {listed(items)}.")


def echo(rng: Random) -> Exchange:
    """Says back what the user wrote."""
    make = rng.choice(
        (invented.word, invented.proper, invented.person, invented.title, invented.code, invented.email, invented.topic)
    )
    text = " ".join([make(rng), *(invented.word(rng) for _ in range(rng.randint(0, 4)))])
    ask = '[Repeat after me: {text}|Say this: {text}|Please repeat: {text}|Echo {text}|Repeat "{text}"|Say "{text}"|Copy this text: {text}|Say {text}|Repeat the words {text}|Please say {text}|Write {text}|Can you say: {text}|Could you repeat: {text}|Now say {text}|Echo this: {text}|Repeat the following: {text}|Say after me: {text}]'
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


def spelling(rng: Random) -> Exchange:
    """First letters and lengths of words."""
    word = rng.choice((rng.choice(words.PLAIN_NOUNS), rng.choice(words.ANIMALS), rng.choice(words.COLOURS)))
    ask = '[What is|Which is|Tell me|What\'s] the first letter of [{word}|the word {word}|"{word}"][?|]'
    return Exchange(phrase(rng, ask, word=word), f'The first letter of {word} is "{word[0]}".')


def pick(rng: Random) -> Exchange:
    """Finds a member of a list that is in the question."""
    items = [
        invented.word(rng) if rng.random() < 0.6 else rng.choice(words.PLAIN_NOUNS) for _ in range(rng.randint(2, 4))
    ]
    place = rng.choice((0, 1, len(items) - 1))
    rank = "last" if place == len(items) - 1 and rng.random() < 0.6 else ("first", "second", "third", "fourth")[place]
    ask = "[Here is a list: {items}. Which one is the {rank}?|Which is the {rank} word in this list: {items}?|What is the {rank} of these: {items}?|{items}: which one comes {rank}?|Of {items}, [tell me|which is|name|give me] the {rank}[ one| word|].|Look at {items}. [Name|Say|Tell me] the {rank} [one|word].|Take the {rank} of [the words |]{items}.|From [the list |the words |]{items}, which is [the |]{rank}?]"
    return Exchange(phrase(rng, ask, items=", ".join(items), rank=rank), f"The {rank} one is {items[place]}.")


ALL = (arithmetic, arithmetic, capital, capital, colour, opposite, opposite, calendar, animal, compare, counting, series, echo,
       spelling, pick)  # fmt: skip


def question(rng: Random) -> Exchange:
    """Any of them."""
    return rng.choice(ALL)(rng)
