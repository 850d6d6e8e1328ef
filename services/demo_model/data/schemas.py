"""Texts to be read into JSON: the fields are given as a JSON schema or by name."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import json
from collections.abc import Callable
from random import Random
from typing import Any

from services.demo_model.data import composed, invented, sentences
from services.demo_model.data.conversation import Message, Tool, assistant, system, user
from services.demo_model.data.slots import KINDS, Field, field
from services.demo_model.data.tools import binding
from services.demo_model.data.wording import capitalised, listed, phrase

_Maker = Callable[[], tuple[str, dict[str, Any]]]
"""Makes a text and the values that it gives the fields."""

_TEXTS = (
    ({"name": "person", "age": "count", "city": "city"}, ("{name} is {age} years old and lives in {city}.", "{name}, {age}, from {city}", "My name is {name}. I am {age} and I live in {city}.", "In {city} lives {name}, who is {age}.")),
    ({"product": "thing", "price": "amount"}, ("The {product} costs {price}.", "We sell the {product} for {price} euros.", "{product}: {price}", "I paid {price} for the {product}.")),
    ({"title": "title", "date": "date", "time": "time"}, ("{title} takes place on {date} at {time}.", "On {date} at {time}: {title}", "The event {title} is on {date} and begins at {time}.")),
    ({"name": "person", "email": "email"}, ("{name} can be reached at {email}.", "Write to {name}, {email}.", "The address of {name} is {email}.")),
    ({"item": "thing", "quantity": "count", "colour": "colour"}, ("I would like {quantity} {item} in {colour}.", "Please send {quantity} {colour} {item}.", "Order: {item}, {colour}, {quantity} pieces")),
    ({"from": "city", "to": "city", "date": "date"}, ("I travel from {from} to {to} on {date}.", "The train to {to} leaves {from} on {date}.", "From {from} to {to}, {date}")),
    ({"author": "person", "title": "title"}, ("{author} wrote the book {title}.", "The author of {title} is {author}.", "{title}, by {author}")),
)  # fmt: skip


def conversations(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Five texts and their fields as JSON, with the schema in the system turn or in the question."""
    fields, make = rng.choice((_known, _unheard, _composed, _composed))(rng)
    demand = _demand(rng, fields)
    in_system = rng.random() < 0.4
    made: list[list[Message]] = []
    for _ in range(5):
        text, values = make()
        answer = json.dumps({each.name: values[each.name] for each in fields}, ensure_ascii=False)
        if in_system:
            ask = phrase(rng, "[{text}|Extract the data: {text}|Text: {text}|Read this: {text}]", text=text)
            made.append([system(demand), user(ask), assistant(answer)])
            continue
        ask = phrase(
            rng, "[{text}\n\n{demand}|{demand}\n\n{text}|{demand} {text}|{text} {demand}]", text=text, demand=demand
        )
        made.append([user(ask), assistant(answer)])
    return made, []


def _known(rng: Random) -> tuple[list[Field], _Maker]:
    kinds, texts = rng.choice(_TEXTS)
    taken: set[str] = set()
    made = {key: field(rng, kind, taken) for key, kind in kinds.items()}
    fields = [Field(key, each.kind, each.schema) for key, each in made.items()]
    if rng.random() < 0.3:
        rng.shuffle(fields)

    def make() -> tuple[str, dict[str, Any]]:
        values = {key: each.value(rng) for key, each in made.items()}
        return rng.choice(texts).format_map(values), values

    return fields, make


def _unheard(rng: Random) -> tuple[list[Field], _Maker]:
    taken: set[str] = set()
    fields = [field(rng, rng.choice(sorted(KINDS)), taken) for _ in range(rng.randint(1, 4))]

    def make() -> tuple[str, dict[str, Any]]:
        values = {each.name: each.value(rng) for each in fields}
        parts = [binding(rng, each.name, values[each.name]) for each in rng.sample(fields, len(fields))]
        opening = rng.choice((f"The {invented.word(rng)} has", "There is", "We have", "It has", "Note:"))
        return capitalised(f"{opening} {listed(parts)}."), values

    return fields, make


def _composed(rng: Random) -> tuple[list[Field], _Maker]:
    parts = composed.parts(rng)
    _, noun, _, _ = composed.tool_words(rng)
    fields = [Field(part.name, part.kind, part.schema) for part in parts]
    if rng.random() < 0.4:
        rng.shuffle(fields)

    def make() -> tuple[str, dict[str, Any]]:
        used = [(part, part.value(rng)) for part in parts]
        return sentences.statement(rng, noun, used), {part.name: value for part, value in used}

    return fields, make


def _demand(rng: Random, fields: list[Field]) -> str:
    if rng.random() < 0.35:
        names = listed([f'"{each.name}"' if rng.random() < 0.5 else each.name for each in fields])
        return phrase(
            rng,
            "[Answer in JSON with the keys {names}.|Give me a JSON object with {names}.|Return {names} as JSON.|Extract {names} as JSON.|Reply with JSON only, keys: {names}.]",
            names=names,
        )
    schema: dict[str, Any] = {"type": "object", "properties": {each.name: each.schema for each in fields}}
    if rng.random() < 0.8:
        schema["required"] = [each.name for each in fields]
    text = json.dumps(schema, indent=2 if rng.random() < 0.3 else None)
    return phrase(
        rng,
        "[Answer with JSON that matches this schema:|Respond in JSON according to this JSON schema:|Reply only with JSON of this schema:|Use this JSON schema for your answer:|Output JSON, schema:] {schema}",
        schema=text,
    )
