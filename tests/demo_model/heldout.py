"""Reads the held-out sets into conversations, tools and expectations."""

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.demo_model.rendering import Message, Tool

SETS = {"first set": "heldout.toml", "second set": "heldout_second.toml"}
"""The first one's failures have told what the generator lacked; the second was written without sight of it."""
_TYPE = re.compile(r"(\w+)(?:\(([^)]*)\))?: (.*)")


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation to be continued, and what its continuation must hold."""

    kind: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    calls: tuple[tuple[str, dict[str, Any]], ...]
    contains: tuple[str, ...]
    any_of: tuple[str, ...]
    words: int
    schema: dict[str, Any] | None
    value: dict[str, Any] | None
    given: bool
    """A conversation that others gave us; the generator has its sentence patterns, so it is counted apart."""


@cache
def cases(chosen: str) -> tuple[Case, ...]:
    """All cases of one of SETS, in the order of its file."""
    content = tomllib.loads((Path(__file__).parent / SETS[chosen]).read_text(encoding="utf-8"))
    tools = {name: _tool(name, entry) for name, entry in content["tools"].items()}
    return tuple(_case(entry, tools) for entry in content["cases"])


def all_cases() -> tuple[Case, ...]:
    """The cases of all sets."""
    return tuple(case for chosen in SETS for case in cases(chosen))


def _tool(name: str, entry: dict[str, Any]) -> Tool:
    parameters = {**_schema(entry["parameters"]), "required": entry["required"]}
    function = {"name": name, "description": entry["description"], "parameters": parameters}
    return {"type": "function", "function": function}


def _schema(fields: dict[str, str]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, text in fields.items():
        if not (match := _TYPE.fullmatch(text)):
            raise ValueError(f"{text!r} is not of the form 'type: description'.")
        kind, choices, description = match.groups()
        properties[name] = {"type": kind, "description": description}
        if choices:
            properties[name]["enum"] = choices.split("/")
    return {"type": "object", "properties": properties}


def _case(entry: dict[str, Any], tools: dict[str, Tool]) -> Case:
    schema = {**_schema(entry["fields"]), "required": list(entry["fields"])} if "fields" in entry else None
    return Case(
        kind=entry["kind"],
        messages=tuple(_messages(entry, schema)),
        tools=tuple(tools[name] for name in entry.get("tools", ())),
        calls=tuple((call["name"], call["arguments"]) for call in entry.get("calls", ())),
        contains=tuple(entry.get("contains", ())),
        any_of=tuple(entry.get("any", ())),
        words=entry.get("words", 0),
        schema=schema,
        value=entry.get("object"),
        given=entry.get("given", False),
    )


def _messages(entry: dict[str, Any], schema: dict[str, Any] | None) -> list[Message]:
    messages: list[Message] = []
    if schema:
        messages.append(
            {"role": "system", "content": f"Give your reply as JSON that follows this schema: {json.dumps(schema)}"}
        )
    elif "system" in entry:
        messages.append({"role": "system", "content": entry["system"]})
    turns = entry.get("turns") or [entry["ask"]]
    messages += [{"role": ("user", "assistant")[index % 2], "content": turn} for index, turn in enumerate(turns)]
    if "called" in entry:
        function = {"name": entry["called"]["name"], "arguments": entry["called"]["arguments"]}
        call = {"id": "call_1", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": "call_1", "content": entry["result"]})
    return messages
