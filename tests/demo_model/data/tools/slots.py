"""The kinds of values that a function's parameter or a JSON field takes, with their JSON types, names and descriptions."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.demo_model.data.language import invented, words
from tests.demo_model.data.tools import composed

_DURATIONS = (5, 10, 15, 20, 25, 30, 40, 45, 60, 90, 120)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: its JSON type, parameter names, descriptions, and how to make one."""

    json_type: str
    names: str
    descriptions: str
    make: Callable[[Random], Any]


KINDS = {
    "city": Kind("string", "city|location|place|town|destination|area", "The city|Name of the city|The city or town|Which city|The place", invented.city),
    "person": Kind("string", "name|person|recipient|contact|guest|customer|employee|user|full_name", "The name of the person|Name of the person|The person's name|Who|Full name", invented.person),
    "date": Kind("string", "date|day|on|when|start_date|due_date", "The date|The day|Date of the event|When|On which day", invented.spoken_date),
    "time": Kind("string", "time|at|hour|start_time|clock", "The time|Time of day|At what time|When", invented.clock),
    "email": Kind("string", "email|to|address|recipient|mail", "The email address|Address of the recipient|Email", invented.email),
    "topic": Kind("string", "topic|query|subject|keyword|search_term|q|term", "The topic|What to look for|The search term|The subject", invented.topic),
    "title": Kind("string", "title|song|label|heading|text|subject", "The title|Title of the entry|The text|The name of it", invented.title),
    "count": Kind("integer", "count|number|quantity|n|limit|amount|size", "How many|The number|Number of items|The count", lambda r: r.choice((r.randint(1, 12), r.randint(2, 100), invented.integer(r)))),
    "amount": Kind("number", "amount|value|price|sum|weight|distance|total", "The amount|The value|How much|The number", lambda r: r.choice((invented.amount, invented.integer))(r)),
    "currency": Kind("string", "currency|from_currency|base|currency_code|unit", "The currency code|Currency|Code of the currency", invented.currency),
    "code": Kind("string", "id|code|order_id|number|reference|key|ticket", "The id|Identifier|The code|The reference number", invented.code),
    "language": Kind("string", "language|target_language|lang|to", "The language|Target language|Which language", lambda r: r.choice(words.LANGUAGES)),
    "minutes": Kind("integer", "minutes|duration|length|time_in_minutes|period", "Minutes|Duration in minutes|How many minutes", lambda r: r.choice(_DURATIONS)),
    "thing": Kind("string", "item|product|object|device|thing|name", "The item|Name of the product|Which one|The product", lambda r: r.choice((r.choice(words.PLAIN_NOUNS), invented.word(r), f"{r.choice(words.COLOURS)} {r.choice(words.PLAIN_NOUNS)}"))),
    "colour": Kind("string", "colour|color|shade|paint", "The colour|Colour of the thing|Which color", lambda r: r.choice(words.COLOURS)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of one function, or a field of one JSON schema."""

    name: str
    kind: str
    schema: dict[str, Any]
    choices: tuple[str, ...] = ()

    def value(self, rng: Random) -> Any:
        """A new value of the field's type."""
        if self.choices:
            return rng.choice(self.choices)
        value = KINDS[self.kind].make(rng)
        return str(value) if self.schema["type"] == "string" else value


def field(rng: Random, kind: str, taken: set[str], choices: tuple[str, ...] = ()) -> Field:
    """A field of the kind under a name that is not in `taken`; adds it to `taken`."""
    base = KINDS[kind]
    while (name := composed.key(rng, rng.choice(base.names.split("|")))) in taken:
        pass
    taken.add(name)
    json_type = base.json_type
    if json_type == "integer" and rng.random() < 0.2:
        json_type = "number"
    schema: dict[str, Any] = {"type": "string" if choices else json_type}
    if rng.random() < 0.75:
        schema["description"] = rng.choice(base.descriptions.split("|"))
    if choices:
        schema["enum"] = list(choices)
    return Field(name, kind, schema, choices)
