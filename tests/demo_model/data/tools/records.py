"""Texts of one to three sentences that tell of a person or a thing, with the values in them; `records.toml` has the words."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.demo_model.data.language import words
from tests.demo_model.data.language.wording import capitalised, listed
from tests.demo_model.data.tools import composed, concepts
from tests.demo_model.data.tools.asking import surrounded
from tests.demo_model.data.tools.concepts import Param
from tests.demo_model.data.tools.slots import Field

_TYPES = {"int": "integer", "float": "number", "money": "number", "bool": "boolean"}
_KEPT = "\0"
"""Stands for the subject's value, in the place of `{s}`."""


@dataclass(frozen=True, slots=True)
class Record:
    """One kind of thing; the file explains the words."""

    subject: Param
    pronouns: tuple[str, ...]
    opening: tuple[str, ...]
    fields: dict[str, Param]


def _record(entry: dict[str, Any]) -> Record:
    fields = {key: concepts.param(field) for key, field in entry["fields"].items()}
    return Record(
        concepts.param(entry), tuple(entry["pronouns"].split("|")), tuple(entry["opening"].split("|")), fields
    )


_FILE = tomllib.loads((Path(__file__).parent / "records.toml").read_text(encoding="utf-8"))
RECORDS = tuple(_record(entry) for entry in _FILE["records"])


@dataclass(frozen=True, slots=True)
class Telling:
    """A record and which of its fields are asked for; the others are told now and then, too."""

    record: Record
    asked: dict[str, Field]
    subject: Field | None

    @property
    def fields(self) -> list[Field]:
        """The fields that are asked for, the subject first."""
        return [*([self.subject] if self.subject else []), *self.asked.values()]

    def tell(self, rng: Random) -> tuple[str, dict[str, Any]]:
        """A text, and the values of the fields."""
        record = self.record
        others = [key for key in record.fields if key not in self.asked]
        extra = rng.sample(others, min(len(others), rng.choice((0, 0, 0, 1, 1, 2))))
        told = [(key, record.fields[key].value(rng)) for key in (*self.asked, *extra)]
        rng.shuffle(told)
        name = record.subject.value(rng)
        values = {field.name: value for key, value in told if (field := self.asked.get(key))}
        if self.subject:
            values[self.subject.name] = name
        parts = [(record.fields[key], value) for key, value in told]
        text = (
            _listed(rng, name, parts)
            if rng.random() < 0.1 and record.pronouns[0] != "I/My"
            else _sentences(rng, record, name, parts)
        )
        return text if rng.random() < 0.7 else surrounded(rng, text), values


def telling(rng: Random) -> Telling:
    """A record, with one to four of its fields and mostly with its subject asked for."""
    record = rng.choice(RECORDS)
    count = rng.choices((1, 2, 3, 4), weights=(2, 4, 4, 2))[0]
    taken: set[str] = set()
    subject = _field(rng, record.subject, taken) if rng.random() < 0.85 else None
    keys = rng.sample(list(record.fields), max(count, 1 if subject else 2))
    return Telling(record, {key: _field(rng, record.fields[key], taken) for key in keys}, subject)


def _field(rng: Random, param: Param, taken: set[str]) -> Field:
    described = rng.random() < 0.6
    name = ""
    while not name or name in taken:
        name = rng.choice(param.names)
        if rng.random() < (0.3 if described else 0.1) or name in taken:
            name = composed.key(rng, name)
    taken.add(name)
    schema: dict[str, Any] = {"type": _TYPES.get(param.kind.partition(":")[0], "string")}
    if described:
        schema["description"] = capitalised(rng.choice(param.about))
    if param.choices and rng.random() < 0.6:
        schema["enum"] = list(param.choices)
    return Field(name, param.kind, schema)


def _sentences(rng: Random, record: Record, name: str, parts: list[tuple[Param, Any]]) -> str:
    """The subject with one to three predicates, then sentences about it or about what belongs to it."""
    pronoun, owner = rng.choice(record.pronouns).split("/")
    opening = rng.choice(record.opening).replace("{s}", _KEPT)
    sentences: list[str] = []
    predicates: list[str] = []
    alone: list[str] = []
    for param, value in parts:
        if param.after and predicates and rng.random() < 0.3:
            alone.append(_told(rng, rng.choice(param.after), value).replace("{P}", owner))
        else:
            forms = param.no if value is False else param.near
            predicates.append(_told(rng, rng.choice(forms), value).replace("{p}", owner.lower()))
    while predicates:
        count = rng.choice((1, 1, 2, 2, 3))
        group, predicates = predicates[:count], predicates[count:]
        lead = opening if not sentences else pronoun
        sentences.append(f"{lead} {rng.choice((listed, ' and '.join))(group)}.")
    at = rng.randint(1, len(sentences))
    sentences[at:at] = [capitalised(each) for each in alone]
    return " ".join([capitalised(sentences[0]), *sentences[1:]]).replace(_KEPT, name)


def _told(rng: Random, pattern: str, value: Any) -> str:
    if (
        isinstance(value, int)
        and 2 <= value <= 20
        and "$" not in pattern
        and "€" not in pattern
        and rng.random() < 0.12
    ):
        value = words.NUMBERS[value]
    return pattern.replace("{v}", str(value))


def _listed(rng: Random, name: str, parts: list[tuple[Param, Any]]) -> str:
    """The values in the form of a note."""
    said = []
    for param, value in parts:
        shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        spoken = rng.choice(param.names).replace("_", " ")
        said.append(f"{spoken}: {shown}" if rng.random() < 0.7 else f"{rng.choice(param.about)} {shown}")
    return rng.choice((", ", "; ", "\n", " | ", ", ")).join([name, *said])
