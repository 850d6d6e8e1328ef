"""The stream of families of conversations: number i of a seed is always the same one.

The conversations of a family begin alike, with the same tools or the same facts, and end differently. Training reads
their common beginning once, and what differs teaches what the beginning is there for.
"""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from random import Random

from tests.demo_model.data.conversation import (
    Conversation,
    Exchange,
    ExchangeMaker,
    FamilyMaker,
    Message,
    Tool,
    system,
)
from tests.demo_model.data.language import invented
from tests.demo_model.data.language.wording import phrase
from tests.demo_model.data.personas import companies, persona
from tests.demo_model.data.talk import kitchen, memory, questions, smalltalk, sums, writing
from tests.demo_model.data.tools import schemas, tool_talk
from tests.demo_model.heldout import all_cases
from tests.demo_model.overlap import HeldOut

_SINGLES: tuple[ExchangeMaker, ...] = (
    smalltalk.greeting, smalltalk.thanks, smalltalk.farewell, smalltalk.identity, smalltalk.identity, smalltalk.introduction,
    smalltalk.reaction, smalltalk.reaction, smalltalk.remark, smalltalk.unknown, smalltalk.unknown, memory.never_told, questions.question,
    questions.question, questions.question, questions.question, writing.text, writing.text, writing.text,
)  # fmt: skip
_NEUTRAL = (
    "You are a helpful assistant.", "You are chasqui-demo.", "Answer briefly.", "Be friendly.", "Be polite and helpful.",
    "You are a friendly assistant.", "Help the user.", "You answer questions.", "Keep your answers short.",
)  # fmt: skip


def _chat(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """One to four exchanges of any kind, sometimes with a neutral system turn; the first is often a greeting."""
    turns: list[Exchange] = [rng.choice(_SINGLES)(rng) for _ in range(rng.choice((1, 2, 2, 3, 4)))]
    if rng.random() < 0.2:
        turns[0] = smalltalk.greeting(rng)
    messages = [message for turn in turns for message in turn.messages()]
    return [[system(rng.choice(_NEUTRAL)), *messages] if rng.random() < 0.3 else messages], []


def _drill(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    return [[message for _ in range(rng.choice((1, 1, 2))) for message in questions.drill(rng).messages()]], []


def _sums(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    return [[message for _ in range(8) for message in sums.arithmetic(rng).messages()]], []


STAGES = (2_000, 24_000)
"""The first families of the stream are mostly drills and calls: copying is learned there, and then made use of. The last
ones have more requests with several functions on offer, whose choice is learned last.
"""
KINDS: dict[str, tuple[tuple[int, int, int], FamilyMaker]] = {
    "drill": ((50, 3, 3), _drill),
    "choices": ((30, 16, 16), tool_talk.choices),
    "requests": ((0, 6, 46), tool_talk.requests),
    "tools": ((4, 26, 36), tool_talk.conversations),
    "pairs": ((0, 8, 22), tool_talk.pairs),
    "chat": ((8, 110, 280), _chat),
    "sums": ((4, 10, 16), _sums),
    "memory": ((4, 40, 70), memory.conversations),
    "persona": ((2, 14, 30), persona.voiced),
    "named": ((4, 8, 20), companies.named),
    "instructed": ((6, 14, 26), persona.instructed),
    "persona-plain": ((1, 4, 8), persona.plain),
    "kitchen": ((2, 5, 8), kitchen.techniques),
    "recall": ((6, 7, 7), kitchen.recall),
    "json": ((4, 30, 48), schemas.conversations),
}
"""Weights in each of the three stages, and the maker."""


def family(seed: int, number: int) -> list[Conversation]:
    """Family `number` (from 0) of the stream, without the conversations that have something of the held-out sets."""
    rng = Random(f"{seed}:{number}")  # noqa: S311 - reproducible, not secret
    stage = bisect_right(STAGES, number)
    kind = rng.choices(list(KINDS), weights=[weights[stage] for weights, _ in KINDS.values()])[0]
    made, tools = KINDS[kind][1](rng)
    members = [messages for place, messages in enumerate(made) if messages not in made[:place]]
    today = invented.today(rng)
    if kind == "chat" and rng.random() < 0.1:
        ask = "[What is today's date|Which day is it today|What's the date|Which date is today|What day is today|Do you know the date][?|]"
        members[0] += Exchange(phrase(rng, ask), f"Today is {today}.").messages()
    drawn = [Conversation(kind, messages, tools, today) for messages in members]
    return [each for each in drawn if not _held_out().common(each)]


@cache
def _held_out() -> HeldOut:
    return HeldOut(all_cases())


def conversations(seed: int, start: int, stop: int) -> Iterator[Conversation]:
    """The conversations of families `start` to `stop` - 1."""
    for number in range(start, stop):
        yield from family(seed, number)
