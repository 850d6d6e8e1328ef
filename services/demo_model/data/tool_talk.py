"""Conversations with functions on offer: call or answer, one call or two, and what is said when results come back."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from collections.abc import Callable
from random import Random

from services.demo_model.data import memory, questions, smalltalk, tools, writing
from services.demo_model.data.conversation import Exchange, Message, Tool, assistant, system, user
from services.demo_model.data.domains import DOMAINS
from services.demo_model.data.tools import Function
from services.demo_model.data.wording import phrase

_SYSTEM = (
    "You are a helpful assistant.", "You are a helpful assistant with access to functions.", "Use the functions when they help.",
    "Answer briefly.", "You can call functions. Otherwise just answer.", "Be precise.", "You help the user with tools.",
)  # fmt: skip
_ANSWERS: tuple[Callable[[Random], Exchange], ...] = (
    smalltalk.greeting, smalltalk.thanks, smalltalk.farewell, smalltalk.identity, smalltalk.introduction, questions.capital,
    questions.colour, questions.opposite, questions.calendar, questions.animal, questions.compare, questions.counting,
    questions.series, questions.echo, questions.arithmetic, writing.story, writing.names_list, writing.poem, memory.never_told,
)  # fmt: skip


def _offer(rng: Random, least: int = 1) -> list[Function]:
    """`least` to four functions of different domains."""
    count = max(least, rng.choices((1, 2, 3, 4), weights=(3, 5, 3, 2))[0])
    functions: list[Function] = []
    for index in rng.sample(range(len(DOMAINS)), count):
        roll = rng.random()
        function = tools.unheard(rng) if roll < 0.1 else tools.plain(rng) if roll < 0.6 else tools.known(rng, index)
        if function.name not in {each.name for each in functions}:
            functions.append(function)
    return functions


def conversations(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Ten conversations about the same functions."""
    functions = _offer(rng)
    opening = [system(rng.choice(_SYSTEM))] if rng.random() < 0.4 else []
    return [[*opening, *_rounds(rng, functions)] for _ in range(10)], [function.schema for function in functions]


def choices(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Twelve requests for one of at least two functions."""
    functions = _offer(rng, 2)
    members = [_one_call(rng, rng.choice(functions), last=True)[:2] for _ in range(12)]
    return members, [function.schema for function in functions]


def requests(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Fourteen requests beside at least two functions: for one call, two, an answer, or what none of them does."""
    functions = _offer(rng, 2)
    members = [_request(rng, functions, last=True) for _ in range(14)]
    return members, [function.schema for function in functions]


def _rounds(rng: Random, functions: list[Function]) -> list[Message]:
    """One to three requests, some of which need no function or one that is not there."""
    messages: list[Message] = []
    rounds = rng.choices((1, 2, 3), weights=(7, 2, 1))[0]
    for index in range(rounds):
        messages += _request(rng, functions, last=index == rounds - 1)
    return messages


def _request(rng: Random, functions: list[Function], *, last: bool) -> list[Message]:
    roll = rng.random()
    if roll < 0.28:
        return rng.choice(_ANSWERS)(rng).messages()
    if roll < 0.36:
        return _not_offered(rng, functions).messages()
    if roll < 0.53:
        return _two_calls(rng, functions, last=last)
    return _one_call(rng, rng.choice(functions), last=last)


def _one_call(rng: Random, function: Function, *, last: bool) -> list[Message]:
    ask, arguments = function.request(rng)
    messages = [user(ask), function.turn(arguments)]
    if last and rng.random() < 0.65:
        return messages
    result, sentence = tools.outcome(rng, function)
    return [*messages, {"role": "tool", "content": result}, assistant(sentence)]


def _two_calls(rng: Random, functions: list[Function], *, last: bool) -> list[Message]:
    """Both objects in one answer when it ends the conversation; as history they are two turns, each with its result."""
    first, second = rng.choice(functions), rng.choice(functions)
    (ask_first, arguments), (ask_second, other) = first.request(rng), second.request(rng)
    ask = _joined(rng, ask_first, ask_second)
    if last:
        return [user(ask), assistant(f"{first.call(arguments)}; {second.call(other)}")]
    (result, sentence), (other_result, other_sentence) = tools.outcome(rng, first), tools.outcome(rng, second)
    return [
        user(ask),
        first.turn(arguments, learn=False),
        {"role": "tool", "content": result},
        second.turn(other, learn=False),
        {"role": "tool", "content": other_result},
        assistant(f"{sentence} {other_sentence}"),
    ]


def _joined(rng: Random, first: str, second: str) -> str:
    lowered = second[:1].lower() + second[1:] if not second.startswith("I ") else second
    link = rng.choice((" Also, ", " And ", " Then ", " Also ", " and ", ", and then ", " and also "))
    if link[1].isupper():
        return (first if first[-1] in ".?!" else first + ".") + link + lowered
    return first.rstrip(".?!") + link + lowered


def _not_offered(rng: Random, functions: list[Function]) -> Exchange:
    """A request for a function that is not on offer."""
    offered = {function.domain for function in functions}
    index = rng.choice([index for index in range(len(DOMAINS)) if index not in offered])
    ask, _ = (tools.plain(rng) if rng.random() < 0.4 else tools.known(rng, index)).request(rng)
    answer = "[I have no function for that.|None of my functions can do that.|I cannot do that with the functions that I have.]"
    return Exchange(ask, phrase(rng, answer))
