"""Offers functions under ever new names, phrases requests for them, and knows the right call."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.demo_model.data.conversation import Message, Tool
from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.inflection import with_article
from tests.demo_model.data.language.wording import capitalised, listed, phrase
from tests.demo_model.data.tools import composed, results, sentences
from tests.demo_model.data.tools.asking import commanded, uttered
from tests.demo_model.data.tools.domains import DOMAINS, Domain
from tests.demo_model.data.tools.slots import KINDS, Field, field

Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A function as offered; `request` gives a user's words and the arguments that they stand for."""

    name: str
    schema: Tool
    request: Callable[[Random], tuple[str, Arguments]]
    results: str
    domain: int

    def call(self, arguments: Arguments) -> str:
        """What the assistant writes to call it."""
        return json.dumps({"name": self.name, "parameters": arguments}, ensure_ascii=False)

    def turn(self, arguments: Arguments, *, learn: bool = True) -> Message:
        """The same as a message with a tool call."""
        call = {"type": "function", "function": {"name": self.name, "arguments": arguments}}
        return {"role": "assistant", "content": None, "tool_calls": [call], "learn": learn}


def known(rng: Random, index: int) -> Function:
    """A function of the table of domains."""
    domain = DOMAINS[index]
    fields = _fields(rng, domain)
    base = rng.choice(domain.names.split("|"))
    if (roll := rng.random()) < 0.15:
        base = f"{base.split('_')[0]}_{invented.word(rng)}"
    elif roll < 0.25:
        base = f"{invented.word(rng)}_{invented.word(rng)}"
    name = styled(rng, base)
    required = [fields[key].name for key in fields if _always(domain, key)]

    def request(rng: Random) -> tuple[str, Arguments]:
        values = {key: each.value(rng) for key, each in fields.items()}
        text, used = _ask(rng, rng.choice(domain.requests), values)
        return text, {fields[key].name: values[key] for key in fields if key in used}

    schema = schema_of(rng, name, phrase(rng, domain.description), list(fields.values()), required)
    return Function(name, schema, request, domain.results, index)


def unheard(rng: Random) -> Function:
    """A function with an invented purpose: only its names tell what goes where."""
    verb = rng.choice((*_VERBS, *(invented.word(rng) for _ in range(12))))
    noun = rng.choice((rng.choice(words.PLAIN_NOUNS), invented.word(rng)))
    taken: set[str] = set()
    fields = [field(rng, rng.choice(sorted(KINDS)), taken) for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))]
    needed = rng.randint(1, len(fields))
    name = styled(rng, f"{verb}_{noun}")

    def request(rng: Random) -> tuple[str, Arguments]:
        used = fields[: rng.randint(needed, len(fields))]
        values = {each.name: each.value(rng) for each in used}
        parts = [binding(rng, each.name, values[each.name]) for each in rng.sample(used, len(used))]
        opening = phrase(
            rng, "[{verb} the {noun}|{verb} a {noun}|{verb} {noun}|{verb} my {noun}]", verb=verb, noun=noun
        )
        return commanded(rng, f"{opening} {rng.choice(('with', 'using', 'for', 'where'))} {listed(parts)}"), values

    schema = schema_of(
        rng, name, f"{capitalised(verb)} {with_article(noun)}", fields, [each.name for each in fields[:needed]]
    )
    return Function(name, schema, request, results.keys(rng), -1)


def plain(rng: Random) -> Function:
    """A function put together from common words, asked for in plain English."""
    verb, noun, base, description = composed.tool_words(rng)
    made = composed.parts(rng)
    needed = made[: rng.randint(1, len(made))]
    if made[0].paired and rng.random() < 0.8:
        needed = made[: max(2, len(needed))]
    name = styled(rng, base)

    def request(rng: Random) -> tuple[str, Arguments]:
        used = [(part, part.value(rng)) for part in made if part in needed or rng.random() < 0.6]
        text = sentences.request(rng, verb, noun, used)
        return text, {part.name: value for part, value in used}

    fields = [Field(part.name, part.kind, part.schema) for part in made]
    schema = schema_of(rng, name, description, fields, [part.name for part in needed])
    return Function(name, schema, request, results.keys(rng), -1)


_VERBS = (
    "open", "close", "start", "stop", "measure", "sort", "count", "weigh", "clean", "build", "move", "rent", "repair", "check",
    "list", "print", "lend", "ship", "pack", "mix",
)  # fmt: skip


def binding(rng: Random, name: str, value: object) -> str:
    """`{name} {value}` in words."""
    spoken = name.replace("_", " ") if rng.random() < 0.7 else name
    return phrase(
        rng,
        "[{name} {value}|the {name} {value}|{name} {value}|{value} as the {name}|{name}: {value}|{name} = {value}|{name} set to {value}]",
        name=spoken,
        value=value,
    )


def _fields(rng: Random, domain: Domain) -> dict[str, Field]:
    taken: set[str] = set()
    fields = {}
    for key, slot in domain.slots.items():
        kind, _, rest = slot.partition(":")
        if not rest:
            fields[key] = field(rng, kind, taken)
            continue
        names, _, description = rest.partition(":")
        name = rng.choice([each for each in names.split("|") if each not in taken])
        if rng.random() < 0.4 and (other := composed.key(rng, name)) not in taken:
            name = other
        taken.add(name)
        choices = tuple(kind.split("/")) if "/" in kind else ()
        schema: dict[str, Any] = {"type": "string" if choices else KINDS[kind].json_type}
        if rng.random() < 0.8:
            schema["description"] = description
        if choices:
            schema["enum"] = list(choices)
        fields[key] = Field(name, kind, schema, choices)
    return fields


def _always(domain: Domain, key: str) -> bool:
    """Whether every request mentions the slot, whatever is chosen."""
    return all(_mentions(request, key) for request in domain.requests)


def _mentions(request: str, key: str) -> bool:
    depth = 0
    for place, letter in enumerate(request):
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if depth == 0 and request.startswith("{" + key + "}", place):
            return True
    return False


def _ask(rng: Random, pattern: str, values: Arguments) -> tuple[str, set[str]]:
    """The request, and the slots that its wording mentions."""
    raw = pattern.startswith("=")
    keep = {key: "{" + key + "}" for key in values}
    chosen = phrase(rng, pattern.removeprefix("="), **keep)
    used = {key for key in values if "{" + key + "}" in chosen}
    quote = '"' if rng.random() < 0.1 else ""
    text = chosen.format_map({key: _spoken(rng, value, quote) for key, value in values.items()})
    return (uttered if raw else commanded)(rng, text.replace("  ", " ").strip()), used


def _spoken(rng: Random, value: object, quote: str) -> object:
    """The value as a request has it: a text perhaps in quotes, a small number now and then in words."""
    if isinstance(value, str):
        return f"{quote}{value}{quote}"
    return words.NUMBERS[value] if isinstance(value, int) and 2 <= value <= 20 and rng.random() < 0.1 else value


def styled(rng: Random, name: str) -> str:
    """The name in one of the usual styles."""
    parts = name.split("_")
    roll = rng.random()
    if roll < 0.65 or len(parts) == 1:
        return name
    if roll < 0.8:
        return parts[0] + "".join(part.capitalize() for part in parts[1:])
    return "".join(part.capitalize() for part in parts) if roll < 0.9 else "-".join(parts)


def schema_of(rng: Random, name: str, description: str, fields: list[Field], required: list[str]) -> Tool:
    """The function as it is offered."""
    parameters: dict[str, Any] = {"type": "object", "properties": {each.name: each.schema for each in fields}}
    if required and rng.random() < 0.85:
        parameters["required"] = required
    if rng.random() < 0.05:
        parameters["additionalProperties"] = False
    function = {
        "name": name,
        "description": description + ("." if rng.random() < 0.5 else ""),
        "parameters": parameters,
    }
    return {"type": "function", "function": function}
