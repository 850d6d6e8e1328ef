"""Personas from the system prompt: voices that colour every answer, rules that it keeps, and named assistants."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from tests.demo_model.data.conversation import Exchange, Message, Tool, system
from tests.demo_model.data.language.wording import phrase
from tests.demo_model.data.personas import persona_talk, roles, rules
from tests.demo_model.data.talk import questions, smalltalk

_TURNS = (1, 2, 2, 3, 3, 4)
_NEUTRAL = (
    "You are a helpful assistant.", "You are an assistant.", "Answer the user.", "You are an AI assistant.", "Be helpful.",
    "You are chasqui-demo, a small model.", "You are a friendly assistant. Keep answers short.", "Help with simple questions.",
    "You are a helpful, honest assistant.", "Answer briefly and politely.", "You help people.", "Be kind and concise.",
)  # fmt: skip


def _joined(beginning: list[Message], turns: list[Exchange]) -> list[Message]:
    return [*beginning, *(message for turn in turns for message in turn.messages())]


def voiced(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Three times one to four exchanges with a persona, at times with rules for its answers."""
    who = roles.role(rng)
    kept = rules.draw(rng, 1, voiced=True) if rng.random() < 0.3 else {}
    habit = rules.habit(rng, kept) if who.noun and not who.love and not who.is_assistant and rng.random() < 0.5 else ""
    line = system(roles.system_prompt(rng, who, () if habit else rules.lines(rng, kept), habit))

    def turn(place: int) -> Exchange:
        if rng.random() < 0.62:
            return persona_talk.asked(rng, who, kept, "greet" if place == 0 and rng.random() < 0.2 else "")
        base = questions.question(rng) if "upper" in kept else persona_talk.task(rng)
        return Exchange(base.ask, persona_talk.said(rng, who, kept, base.answer))

    return [_joined([line], [turn(place) for place in range(rng.choice(_TURNS))]) for _ in range(3)], []


def instructed(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """One to three rules for the answers of an assistant without a persona, in three conversations."""
    kept = rules.draw(rng, rng.choice((1, 1, 1, 2, 2, 3)), voiced=False)
    sentences = [*rules.lines(rng, kept)]
    if rng.random() < 0.5:
        sentences.insert(0 if rng.random() < 0.7 else len(sentences), rng.choice(_NEUTRAL))
    line = system(" ".join(sentence[:1].upper() + sentence[1:] for sentence in sentences))

    makers = (
        (persona_talk.task, smalltalk.greeting, smalltalk.thanks) if "address" not in kept else (persona_talk.task,)
    )
    if "upper" in kept or "lower" in kept:
        makers = (questions.question,)

    def turn() -> Exchange:
        if rng.random() < 0.3:
            return persona_talk.plain(rng, kept)
        base = rng.choice(makers if rng.random() < 0.4 else makers[:1])(rng)
        return Exchange(base.ask, rules.dressed(rng, kept, base.answer))

    return [_joined([line], [turn() for _ in range(rng.choice(_TURNS))]) for _ in range(3)], []


def plain(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """What users ask personas, asked without one: chasqui-demo answers as itself."""
    turns = [
        persona_talk.plain(rng, {}) if rng.random() < 0.75 else persona_talk.task(rng)
        for _ in range(rng.choice(_TURNS))
    ]
    beginning = [system(phrase(rng, rng.choice(_NEUTRAL)))] if rng.random() < 0.5 else []
    return [_joined(beginning, turns)], []
