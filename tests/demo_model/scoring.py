"""Judges replies to held-out cases, and sums the judgements up into the rows of a table."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.demo_model.heldout import Case

Call = tuple[str, dict[str, Any]]
_ONE = "call"
_TWO = "calls"
_TOOL_KINDS = (_ONE, _TWO, "answer")
_LABELS = {
    "answer": "answers beside tools", "result": "tool result as a sentence", "persona": "persona", "memory": "memory",
    "knowledge": "simple questions", "unknown": "says that it does not know", "chat": "small talk",
    "long": "longer texts",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the text that is no call, the calls, and whether the model stopped by itself."""

    text: str
    calls: tuple[Call, ...]
    stopped: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: `hits` of `total`."""

    name: str
    hits: int
    total: int

    @property
    def figure(self) -> str:
        """The share with its count."""
        return f"{100 * self.hits / self.total:.1f} %, {self.hits} of {self.total}" if self.total else "-"


def read_reply(text: str, *, stopped: bool) -> Reply:
    """Parses calls in the form that the chat template asks for: objects with name and parameters, `; ` between them."""
    calls: list[Call] = []
    decoder, place = json.JSONDecoder(), 0
    try:
        while place < len(text):
            value, place = decoder.raw_decode(text, place)
            calls.append((value["name"], dict(value["parameters"])))
            place += len(text[place:]) - len(text[place:].lstrip("; \n"))
    except (ValueError, KeyError, TypeError):
        return Reply(text, (), stopped)
    return Reply("" if calls else text, tuple(calls), stopped)


def correct(case: Case, reply: Reply) -> bool:
    """Whether the reply is what the case wants."""
    if case.calls:
        return list(reply.calls) == list(case.calls)
    if case.schema is not None:
        return parsed(reply.text) == case.value
    text = reply.text.lower()
    return (
        not reply.calls
        and all(part.lower() in text for part in case.contains)
        and (not case.any_of or any(part.lower() in text for part in case.any_of))
        and len(text.split()) >= case.words
    )


def parsed(text: str) -> object:
    """The JSON value of the text; None when it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def follows_schema(case: Case, text: str) -> bool:
    """Whether the text is an object with exactly the fields of the case, each of its type."""
    value = parsed(text)
    if case.schema is None or not isinstance(value, dict):
        return False
    kinds: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float)}
    properties = case.schema["properties"]
    return set(value) == set(properties) and all(
        isinstance(value[name], kinds[each["type"]]) for name, each in properties.items()
    )


def copied(case: Case, reply: Reply) -> tuple[int, int]:
    """How many of the expected arguments have the right value, and how many are expected."""
    hits = total = 0
    for index, (name, arguments) in enumerate(case.calls):
        got = reply.calls[index] if index < len(reply.calls) else ("", {})
        total += len(arguments)
        hits += sum(got[0] == name and got[1].get(key) == value for key, value in arguments.items())
    return hits, total


def repeats(text: str) -> bool:
    """Whether some five words in a row occur three times or more."""
    words = re.findall(r"\w+", text.lower())
    counts = Counter(tuple(words[place : place + 5]) for place in range(len(words) - 4))
    return any(count >= 3 for count in counts.values())


def table(results: Sequence[tuple[Case, Reply]], guided: Sequence[tuple[Case, Reply]]) -> list[Row]:
    """The rows; `guided` holds the JSON cases once more, with the schema enforced by a grammar."""

    def share(name: str, chosen: Sequence[tuple[Case, Reply]], *, judge: Any = correct) -> Row:
        return Row(name, sum(judge(case, reply) for case, reply in chosen), len(chosen))

    held_out = [(case, reply) for case, reply in results if not case.given]

    def of(*kinds: str) -> list[tuple[Case, Reply]]:
        return [(case, reply) for case, reply in held_out if case.kind in kinds]

    counts = [copied(case, reply) for case, reply in of(_ONE, _TWO)]
    return [
        share(
            "decision to call or to answer",
            of(*_TOOL_KINDS),
            judge=lambda case, reply: bool(case.calls) == bool(reply.calls),
        ),
        share("one call, exactly right", of(_ONE)),
        share("two calls, exactly right", of(_TWO)),
        Row("arguments copied", sum(hits for hits, _ in counts), sum(total for _, total in counts)),
        *(share(label, of(kind)) for kind, label in _LABELS.items()),
        share("JSON follows the schema", of("json"), judge=lambda case, reply: follows_schema(case, reply.text)),
        share("JSON values exactly right", of("json")),
        share(
            "JSON follows the schema, with grammar", guided, judge=lambda case, reply: follows_schema(case, reply.text)
        ),
        share("JSON values exactly right, with grammar", guided),
        share("stopped by itself", held_out, judge=lambda _, reply: reply.stopped),
        share("repeats itself (less is better)", held_out, judge=lambda _, reply: repeats(reply.text)),
        share("given conversation, not held out", [(case, reply) for case, reply in results if case.given]),
    ]
