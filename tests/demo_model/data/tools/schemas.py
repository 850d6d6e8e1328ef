"""Texts to be read into JSON: the fields are given as a JSON schema or by name."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.demo_model.data.conversation import Message, Tool, assistant, system, user
from tests.demo_model.data.language import invented
from tests.demo_model.data.language.wording import capitalised, listed, phrase
from tests.demo_model.data.tools import composed, records, sentences
from tests.demo_model.data.tools.catalogue import binding
from tests.demo_model.data.tools.slots import KINDS, Field, field

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


_READ = "{text}|{text}|{text}|[Extract the data|Text|Read this|Here is the text|The text|Input|Convert this|Please process this|Next one|Note][: |:\n|:\n\n]{text}|{text}\n\n[JSON, please.|What is the JSON?|Extract the fields.|As JSON.|Fill in the fields.]|[What does this say|Which data is in this text|Can you read this]? {text}"
_ASK = '{text}\n\n{demand}|{demand}\n\n{text}|{demand} {text}|{text} {demand}|{demand}\n\n[Text|The text|Input|Statement|Note|Message]: {text}|[Text|The text|Input|Here is a text|Read this|A note]: {text}\n\n{demand}|{demand}\n{text}|"{text}"\n\n{demand}|{demand}\n\n"{text}"|[Look at this sentence|Take this|Read the following]: {text} {demand}'


def conversations(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Five texts and their fields as JSON, with the schema in the system turn or in the question."""
    fields, make = rng.choice((_known, _unheard, _composed, _composed, *[_told] * 6))(rng)
    demand = _demand(rng, fields)
    in_system = rng.random() < 0.4
    made: list[list[Message]] = []
    for _ in range(5):
        text, values = make()
        answer = json.dumps({each.name: values[each.name] for each in fields}, ensure_ascii=False)
        if in_system:
            made.append([system(demand), user(phrase(rng, _READ, text=text)), assistant(answer)])
            continue
        if text[-1] not in ".?!":
            text += "."
        made.append([user(phrase(rng, _ASK, text=text, demand=demand)), assistant(answer)])
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


def _told(rng: Random) -> tuple[list[Field], _Maker]:
    """A text of several sentences, in which not everything is asked for."""
    made = records.telling(rng)
    fields = made.fields
    if rng.random() < 0.5:
        rng.shuffle(fields)
    return fields, lambda: made.tell(rng)


_NAMED = (
    "[Answer in JSON with the keys {names}.|Give me a JSON object with {names}.|Return {names} as JSON.|Extract {names} as JSON.|Reply with JSON only, keys: {names}.]",
    "[Turn|Put|Convert|Make|Change] [this|it|the text|that] into [JSON|a JSON object] with [the keys|the fields|the properties|] {names}.", "[I need|I want|I'd like|We need|Please give me|Let me have|Write|Create|Produce] [JSON|a JSON object|only JSON|an object in JSON] [with|that has|containing] {names}.",
    "[Fill in|Find|Pull out|Read off|Collect|Get] {names} [and answer|and reply|and write it] [as JSON|in JSON|as a JSON object].", "[Keys|Fields|JSON keys]: {names}. [Answer with JSON only.|JSON only.|Reply in JSON.|No other text.]", "[What are|Tell me] {names}? [Answer as JSON.|In JSON, please.|Reply with a JSON object.]",
    "[Output|Answer|Respond|Reply] [only |]with a JSON object [whose keys are|with exactly these keys:|that has the fields] {names}.",
)  # fmt: skip
_BY_SCHEMA = (
    "[Answer with JSON that matches this schema:|Respond in JSON according to this JSON schema:|Reply only with JSON of this schema:|Use this JSON schema for your answer:|Output JSON, schema:] {schema}",
    "[Extract the data|Extract the information|Get the data out|Read the fields] [as JSON|into JSON|in JSON] [by|following|according to|that follows|that fits] [this|the following] [JSON |]schema:[ |\n]{schema}",
    "[Your answer|The answer|The output|What you write] [must be|has to be|should be|is] [JSON|a JSON object|valid JSON] [for|by|following|that fits|matching] [this|the] schema:[ |\n]{schema}", "[JSON schema|Schema|Response schema|Format]:[ |\n]{schema}\n[Answer with a matching JSON object.|Fill it in.|Reply in JSON.|Only JSON.|Follow it exactly.]",
    "[Turn|Convert|Put] the text into JSON. [Schema|The schema|JSON schema]: {schema}",
)  # fmt: skip


def _demand(rng: Random, fields: list[Field]) -> str:
    roll = rng.random()
    if roll < 0.35:
        names = listed([f'"{each.name}"' if rng.random() < 0.5 else each.name for each in fields])
        if rng.random() < 0.2:
            names = ", ".join(f"{each.name} ({each.schema['type']})" for each in fields)
        return phrase(rng, rng.choice(_NAMED), names=names)
    schema: dict[str, Any] = {"type": "object", "properties": {each.name: each.schema for each in fields}}
    if rng.random() < 0.8:
        schema["required"] = [each.name for each in fields]
    if rng.random() < 0.15:
        schema["additionalProperties"] = False
    text = json.dumps(schema, indent=2 if rng.random() < 0.3 else None)
    return phrase(rng, rng.choice(_BY_SCHEMA), schema=text)
