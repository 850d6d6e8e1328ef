"""Facts that the user tells and asks for later, with other turns between."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random
from typing import TYPE_CHECKING

from services.demo_model.data import invented, questions, smalltalk, words, writing
from services.demo_model.data.conversation import Exchange, Message, Tool
from services.demo_model.data.wording import loosened, phrase

if TYPE_CHECKING:
    from collections.abc import Callable

# what it is called | how it is told | the answer to that | how it is asked | the recall | the answer when it was never told
_FACTS = {
    "name": (
        "[My name is|I am|I'm|Call me|This is|Hi, I'm|Hello, my name is|The name is|My friends call me|You can call me|They call me|Everybody calls me|My parents named me|You are talking to|Here is|It is me,] {value}[.|!|]|[Hello|Hi|Good evening|Good day], {value} [is my name|speaking|is here|from next door].",
        "[Nice to meet you, {value}!|Hello, {value}!|Welcome, {value}!|Pleased to meet you, {value}!][ How can I help you?| What can I do for you?|]",
        "[{recall} my name?|{recall} what my name is?|[Do you|Can you] [still |]say [my name|who I am]?|What is my name?|What's my name?|Do you remember my name?|Do you know my name?|Who am I?|What am I called?|Can you tell me my name?|How am I called?|Say my name.|And what is my name?|Which name did I tell you?|Who is talking to you?|What name do I have?|My name, please?|What was I called?|Have you kept my name?|How do my friends call me?|With whom are you talking?]",
        "[Your name is {value}.|You are {value}.|You told me that your name is {value}.]",
    ),
    "city": (
        "[I live in|I am from|I come from|My home town is|I'm from|My city is|My house is in|My family lives in|I was born in|We live in|I grew up in|I have a flat in|I moved to|I spent my life in|We came here from|My home is] {value}[.|!|]",
        "[{value} sounds lovely!|I will remember that you are from {value}.|{value}, how nice!]",
        "[{recall} where I live?|{recall} my home town?|{recall} where I am from?|Where do I live?|Where am I from?|Which city am I from?|What is my home town?|Where do I come from?|What city did I mention?|In which city do I live?|Which town is mine?|Where is my home?|Where is my house?|What is my city?|Which place do I call home?|Tell me where I come from.|From where am I?]",
        "[You are from {value}.|You told me that you are from {value}.]",
    ),
    "number": (
        "[Remember the number|My number is|I give you the number|Write down the number|Do not forget the number|Take the number|My house number is|I like the number|My lucky number was always|Learn the number|My lucky number is|Please remember the number|Keep the number|My favourite number is|The number is] {value}[.|, please.|]",
        "[I will remember the number {value}.|Okay, the number is {value}.|Noted: {value}.]",
        "[{recall} the number?|{recall} my number?|{recall} which number it was?|What was the number?|Which number did I tell you?|What is my number?|Do you remember the number?|What number should you remember?|Tell me the number again.|Say the number again.|The number, please?|What number was it?|Can you repeat the number?|Which number did I give you?|Give me my number.|Which was my lucky number?|And the number was?]",
        "[The number is {value}.|You told me the number {value}.]",
    ),
    "colour": (
        "[My favourite colour is|I like the colour|The best colour is|I paint everything|My room is|I always wear|No colour is as nice as|The colour of my heart is|The colour I love most is|I love the colour] {value}[.|!|]",
        "[{value} is a beautiful colour!|I will remember that you like {value}.]",
        "[{recall} my favourite colour?|{recall} the colour I like?|{recall} which colour I love?|What is my favourite colour?|Which colour do I like?|What colour did I mention?|Do you remember my favourite color?|Which colour do I like best?|Name my favourite colour.|What is the colour that I love?|The colour I like is which?|Tell me my colour.|What colour do I prefer?]",
        "[Your favourite colour is {value}.|You like the colour {value}.]",
    ),
    "pet": (
        "[My {animal} is called|Our {animal} is called|Our {animal}'s name is|We named our {animal}|I have got a {animal}, it is called|I call my {animal}|At home I have a {animal}, its name is|I have a {animal} named|My {animal}'s name is|We have a {animal} called] {value}[.|!|]",
        "[{value} is a lovely name for a {animal}!|I will remember that your {animal} is called {value}.]",
        "[{recall} the name of my {animal}?|{recall} my {animal}'s name?|{recall} how my {animal} is called?|What is my {animal} called?|What is the name of my {animal}?|What's my {animal}'s name?|How is my {animal} called?|Do you remember the name of my {animal}?|What name has my {animal}?|Which name does my {animal} have?|And my {animal} is called what?|Tell me the name of my {animal}.|Who is my {animal}?|What did we name the {animal}?]",
        "[Your {animal} is called {value}.|The name of your {animal} is {value}.]",
    ),
    "code": (
        "[My code is|The password is|The code for the door is|My secret code is|Our code is|This is the code:|The new code is|I use the code|Remember the code|The code word is|Please keep this code:] {value}[.|]",
        "[I will remember the code {value}.|Okay, the code is {value}.]",
        "[{recall} the code?|{recall} my code?|{recall} which code it was?|What is my code?|What was the code?|Which code did I give you?|Tell me the code.|What is the password?|What was the code word?|What is our code?|Say the code again.|The code, please?|Give me the code again.|How does the code go?|Tell me the secret code.|And the code is?]",
        "[The code is {value}.|You told me the code {value}.]",
    ),
    "age": (
        "[I am|I'm|I am already|I am now|Today I am|I will soon be|Since May I am] {value} years old[ now|][.|!|]|[My age is|I am of the age of] {value}.",
        "[{value} is a good age!|I will remember that you are {value} years old.]",
        "[{recall} my age?|{recall} how old I am?|How old am I?|What is my age?|What's my age?|Do you know how old I am?|Which age did I tell you?|Tell me my age.|How many years old am I?|And how old am I?|My age, please?|What age am I?|How many years have I lived?]",
        "[You are {value} years old.]",
    ),
    "hobby": (
        "[My hobby is|I like|What I like is|My passion is|I am fond of|On Sundays I like|Nothing is better than|I spend my time with|I love|My favourite hobby is|In my free time I enjoy] {value}[.|!|]",
        "[{value} is a fine hobby!|I will remember that you like {value}.]",
        "[{recall} my hobby?|{recall} what I like to do?|What is my hobby?|What do I like to do?|Which hobby did I mention?|What do I enjoy?|What do I do in my free time?|Tell me my hobby.|What am I fond of?|Which hobby do I have?|How do I spend my free time?|What is my passion?]",
        "[Your hobby is {value}.|You told me that you like {value}.]",
    ),
}  # fmt: skip
_RECALL = (
    "[Do you|Can you|Could you] [still |][remember|recall|know|tell me|tell|name]|[Please |][remind me of|tell me again|repeat|say again|tell me once more]|I forgot:|What did I say about|"
    "What have I told you about|Let me hear"
)
_NEVER_TOLD = {
    "name": "your name", "city": "where you live", "number": "a number", "colour": "your favourite colour", "age": "your age",
    "code": "a code", "hobby": "your hobby", "pet": "about your {animal}",
}  # fmt: skip


def _value(rng: Random, kind: str) -> str:
    makers: dict[str, Callable[[Random], str]] = {
        "name": invented.first_name, "city": invented.city, "number": lambda r: str(invented.integer(r)), "pet": invented.first_name,
        "colour": lambda r: r.choice(words.COLOURS), "code": lambda r: invented.code(r) if r.choice((True, False)) else invented.word(r),
        "age": lambda r: str(r.randint(5, 99)), "hobby": lambda r: r.choice(words.HOBBIES),
    }  # fmt: skip
    return makers[kind](rng)


def conversations(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """One to three facts and up to three other exchanges; then each fact is asked for twice, one that was not told, and all."""
    kinds = rng.sample(sorted(_FACTS), rng.choice((1, 1, 1, 2, 3)))
    animal = rng.choice(("dog", "cat", "horse", "parrot", "rabbit", "hamster"))
    values = {kind: _value(rng, kind) for kind in kinds}
    told = [_exchange(rng, kind, values[kind], animal, 0) for kind in kinds]
    others = [_other(rng) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    opening = [message for turn in (*told, *others) for message in turn.messages()]
    endings = [[_exchange(rng, kind, values[kind], animal, 2)] for kind in (*kinds, *kinds)]
    endings.append([_never_told(rng, rng.choice(sorted(set(_FACTS) - set(kinds))), animal)])
    if len(kinds) > 1:
        endings.append([_exchange(rng, kind, values[kind], animal, 2) for kind in rng.sample(kinds, len(kinds))])
    return [[*opening, *(message for turn in ending for message in turn.messages())] for ending in endings], []


def never_told(rng: Random) -> Exchange:
    """A question for a fact that the user has not given."""
    return _never_told(rng, rng.choice(sorted(_FACTS)), rng.choice(("dog", "cat", "horse")))


def _exchange(rng: Random, kind: str, value: str, animal: str, first: int) -> Exchange:
    ask, answer = _FACTS[kind][first : first + 2]
    slots = {"value": value, "animal": animal, "recall": phrase(rng, f"[{_RECALL}]")}
    text = phrase(rng, ask, **slots)
    reply = phrase(rng, answer, **slots)
    return Exchange(text if first == 0 else loosened(rng, text), reply[:1].upper() + reply[1:])


def _never_told(rng: Random, kind: str, animal: str) -> Exchange:
    ask = phrase(rng, _FACTS[kind][2], value="", animal=animal, recall=phrase(rng, f"[{_RECALL}]"))
    return Exchange(loosened(rng, ask), phrase(rng, f"You have not told me {_NEVER_TOLD[kind]} yet.", animal=animal))


def _other(rng: Random) -> Exchange:
    return rng.choice(
        (questions.question, questions.question, smalltalk.thanks, smalltalk.unknown, writing.chat_topic)
    )(rng)
