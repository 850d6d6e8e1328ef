"""Conversations with functions on offer: call or answer, one call or two, and what is said when results come back."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import re
from collections.abc import Callable
from random import Random

from tests.demo_model.data.conversation import Exchange, Message, Tool, assistant, system, user
from tests.demo_model.data.language.wording import phrase
from tests.demo_model.data.talk import memory, questions, smalltalk, writing
from tests.demo_model.data.tools import catalogue, crafted, results, two_calls
from tests.demo_model.data.tools.catalogue import Function
from tests.demo_model.data.tools.domains import DOMAINS

_SYSTEM = (
    "You are a helpful assistant.", "You are a friendly assistant.", "Call a function when one fits.", "Be brief and polite.", "You are an assistant with tools.",
    "Use a function only if it is needed.", "You are the assistant of a small company.", "Help the user with the given functions.", "You are a helpful assistant with access to functions.", "Use the functions when they help.",
    "Answer briefly.", "You can call functions. Otherwise just answer.", "Be precise.", "You help the user with tools.",
)  # fmt: skip
_ANSWERS: tuple[Callable[[Random], Exchange], ...] = (
    smalltalk.greeting, smalltalk.thanks, smalltalk.farewell, smalltalk.identity, smalltalk.introduction, smalltalk.reaction,
    smalltalk.remark, smalltalk.remark,
    *((questions.question,) * 9), *((writing.text,) * 3), memory.never_told,
)  # fmt: skip


def _offer(rng: Random, least: int = 1) -> tuple[list[Function], Function | None]:
    """`least` to four functions, mostly of different domains, or ones that are easily taken for each other.

    The function behind them, if any, is like them, but not on offer.
    """
    count = max(least, rng.choices((1, 2, 3, 4), weights=(3, 5, 4, 3))[0])
    if rng.random() < 0.55:
        crafted_ones = crafted.offer(rng, count + 1)
        functions, withheld = crafted_ones[:count], crafted_ones[count] if len(crafted_ones) > count else None
        if count > 1 and rng.random() < 0.15:
            functions[-1] = (
                catalogue.plain(rng) if rng.random() < 0.5 else catalogue.known(rng, rng.randrange(len(DOMAINS)))
            )
        if len({each.name for each in functions}) == len(functions):
            return functions, withheld
    functions = []
    for index in rng.sample(range(len(DOMAINS)), count):
        roll = rng.random()
        function = (
            catalogue.unheard(rng)
            if roll < 0.1
            else catalogue.plain(rng)
            if roll < 0.5
            else catalogue.known(rng, index)
        )
        if function.name not in {each.name for each in functions}:
            functions.append(function)
    return functions, None


def conversations(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Ten conversations about the same functions."""
    functions, withheld = _offer(rng)
    opening = [system(rng.choice(_SYSTEM))] if rng.random() < 0.4 else []
    return [[*opening, *_rounds(rng, functions, withheld)] for _ in range(10)], [each.schema for each in functions]


def choices(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Twelve requests for one of at least two functions."""
    functions, _ = _offer(rng, 2)
    members = [_one_call(rng, rng.choice(functions), last=True)[:2] for _ in range(12)]
    return members, [function.schema for function in functions]


def requests(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Fourteen requests beside at least two functions: for one call, two, an answer, or what none of them does."""
    functions, withheld = _offer(rng, 2)
    members = [_request(rng, functions, withheld, last=True) for _ in range(14)]
    return members, [function.schema for function in functions]


def pairs(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Six requests for two calls and four for one, about the same functions."""
    functions, _ = _offer(rng)
    members = [two_calls.asked(rng, functions, last=True) for _ in range(6)]
    members += [_one_call(rng, rng.choice(functions), last=True)[:2] for _ in range(4)]
    return members, [function.schema for function in functions]


def _rounds(rng: Random, functions: list[Function], withheld: Function | None) -> list[Message]:
    """One to three requests, some of which need no function or one that is not there."""
    messages: list[Message] = []
    rounds = rng.choices((1, 2, 3), weights=(7, 2, 1))[0]
    for index in range(rounds):
        messages += _request(rng, functions, withheld, last=index == rounds - 1)
    return messages


def _request(rng: Random, functions: list[Function], withheld: Function | None, *, last: bool) -> list[Message]:
    roll = rng.random()
    if roll < 0.24:
        return rng.choice(_ANSWERS)(rng).messages()
    if roll < 0.27:
        return _done_already(rng, functions).messages()
    if roll < 0.36:
        return _not_offered(rng, functions, withheld).messages()
    if roll < 0.54:
        return two_calls.asked(rng, functions, last=last)
    return _one_call(rng, rng.choice(functions), last=last)


def _one_call(rng: Random, function: Function, *, last: bool) -> list[Message]:
    ask, arguments = function.request(rng)
    messages = [user(ask), function.turn(arguments)]
    if last and rng.random() < 0.65:
        return messages
    result, sentence = results.outcome(rng, function.results)
    return [*messages, {"role": "tool", "content": result}, assistant(sentence)]


def _not_offered(rng: Random, functions: list[Function], withheld: Function | None) -> Exchange:
    """A request for a function that is not on offer."""
    answer = "[I have no function for that.|None of my functions can do that.|I cannot do that with the functions that I have.]"
    if withheld is not None and rng.random() < 0.5:
        return Exchange(withheld.request(rng)[0], phrase(rng, answer))
    offered = {function.domain for function in functions}
    index = rng.choice([index for index in range(len(DOMAINS)) if index not in offered])
    ask, _ = (catalogue.plain(rng) if rng.random() < 0.4 else catalogue.known(rng, index)).request(rng)
    return Exchange(ask, phrase(rng, answer))


def _done_already(rng: Random, functions: list[Function]) -> Exchange:
    """A word of thanks that names what a function deals with, and asks for nothing."""
    words = re.findall("[a-z]+", re.sub("([A-Z])", r" \1", rng.choice(functions).name).lower())
    ask = "[[Thanks|Thank you|Great|Perfect|Wonderful][!|.|,] [the|that|my|your] {thing} [was fine|worked well|is all set|has come|is done|was great].|[The|My|That] {thing} [is done already|is fine now|was perfect|worked out], [thanks|thank you|many thanks][.|!]|[Good work with|You did well with|I was happy about|I liked] the {thing}[, thank you|, thanks|. Thanks][.|!]]"
    thing = words[-1] if words and not words[-1].endswith("s") else "work"
    return Exchange(phrase(rng, ask, thing=thing), smalltalk.thanks(rng).answer)
