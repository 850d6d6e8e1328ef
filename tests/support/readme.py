"""The READMEs, and the parts of them that the code dictates; `make readme` writes those parts again."""

from __future__ import annotations

import ast
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.anthropic.field_table import FIELDS as ANTHROPIC_FIELDS
from edge.anthropic.request_schema import MessagesRequest
from edge.api.fields import Known, Treatment
from edge.openai.field_table import FIELDS as OPENAI_FIELDS
from edge.openai.request_schema import ChatCompletionRequest, CompletionRequest, StreamOptionsBody
from edge.responses.field_table import FIELDS as RESPONSES_FIELDS
from edge.responses.request_schema import ResponsesRequest
from services.setting_values import text_of
from services.settings import Settings, fields, variable
from tests.support.bounds import BOUNDS
from tests.support.clients import CLIENTS
from tests.support.field_tests import shown_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import msgspec

# Of all APIs.
FIELDS: Final = {**OPENAI_FIELDS, **RESPONSES_FIELDS, **ANTHROPIC_FIELDS}
ROOT: Final = Path(__file__).parents[2]
_OTHER_HEADINGS: Final = ("| field | treatment | values without effect | test |", "| --- | --- | --- | --- |")
# Folders of the repository; what is built or installed beside them may hold other people's READMEs.
_FOLDERS: Final = ("docker", "edge", "proto", "services", "tests")


def documents() -> list[Path]:
    """Every Markdown file of the repository."""
    return sorted([*ROOT.glob("*.md"), *(path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.md"))])


def settings_table() -> str:
    """The table of all settings."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for setting in fields():
        default = getattr(Settings(), setting.name)
        shown = text_of(default)
        unit = setting.metadata["unit"]
        value = f"`{shown}`{f' {unit}' if unit else ''}" if shown else ""
        choices = setting.metadata["choices"]
        meaning = setting.metadata["help"] + (
            f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
        )
        lines.append(f"| `{variable(setting.name)}` | {value} | {meaning} |")
    return "\n".join(lines)


def bounds_table() -> str:
    """The table of all bounds."""
    lines = ["| bound | default | beyond it | test |", "| --- | --- | --- | --- |"]
    lines += [f"| {bound.what} | {bound.value} | {bound.beyond} | `{bound.test}` |" for bound in BOUNDS]
    return "\n".join(lines)


def folders_table() -> str:
    """The packages of chat server and edge, in the words of their docstrings."""
    lines = ["| folder | holds |", "| --- | --- |"]
    for name in ("services", "edge"):
        for path in sorted((ROOT / name).rglob("__init__.py")):
            words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            if words and path.parent != ROOT / name:
                lines.append(f"| `{path.parent.relative_to(ROOT).as_posix()}/` | {words.partition(chr(10))[0]} |")
    return "\n".join(lines)


def fields_table(kind: type[msgspec.Struct], *, beside: type[msgspec.Struct] | None = None) -> str:
    """The honoured fields of a request; with `beside`, those that differ from that request's."""
    lines = ["| field | values, default | meaning | test |", "| --- | --- | --- | --- |"]
    others = {} if beside is None else FIELDS[beside]
    for name, known in FIELDS[kind].items():
        if known.treatment is Treatment.HONOURED and others.get(name) != known:
            lines.append(f"| `{name}` | {known.values} | {known.meaning} | {_test(kind, name, known)} |")
    return "\n".join(lines)


def other_fields_table() -> str:
    """The fields that are not honoured, in chat and text completions."""
    chat, text = FIELDS[ChatCompletionRequest], FIELDS[CompletionRequest]
    lines = [*_OTHER_HEADINGS]
    for name in sorted({*chat, *text}):
        known = chat.get(name, text.get(name))
        if known is None or known.treatment is Treatment.HONOURED:
            continue
        where = "" if name in chat and name in text else f" ({'chat' if name in chat else 'text completions'})"
        kind = ChatCompletionRequest if name in chat else CompletionRequest
        lines.append(f"| `{name}`{where} | {known.treatment.value} | {_neutral(known)} | {_test(kind, name, known)} |")
    return "\n".join(lines)


def clients_table() -> str:
    """The clients of others, and what is run with each."""
    lines = [
        "| client | version | what is run | passed | what the rest would need |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, client in CLIENTS.items():
        shown = f"{name} (`{client.package.removesuffix(f'@{client.version}')}`)"
        lines.append(f"| {shown} | {client.version} | {client.ran} | {client.passed} | {client.needs} |")
    return "\n".join(lines)


def not_honoured_table(kind: type[msgspec.Struct]) -> str:
    """The fields of a request that are not honoured."""
    lines = [*_OTHER_HEADINGS]
    for name, known in sorted(FIELDS[kind].items()):
        if known.treatment is not Treatment.HONOURED:
            lines.append(f"| `{name}` | {known.treatment.value} | {_neutral(known)} | {_test(kind, name, known)} |")
    return "\n".join(lines)


def _test(kind: type[msgspec.Struct], name: str, known: Known) -> str:
    return f"`{shown_by(kind, name, known)}`"


def _neutral(known: Known) -> str:
    return ", ".join(f"`{json.dumps(value)}`" for value in known.neutral)


# The name of a block between `<!-- BEGIN name (make readme) -->` and `<!-- END name -->` -> what it must hold.
BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "folders": folders_table,
    "settings": settings_table,
    "bounds": bounds_table,
    "chat fields": partial(fields_table, ChatCompletionRequest),
    "text completion fields": partial(fields_table, CompletionRequest, beside=ChatCompletionRequest),
    "stream options": partial(fields_table, StreamOptionsBody),
    "other fields": other_fields_table,
    "clients": clients_table,
    "responses fields": partial(fields_table, ResponsesRequest),
    "other responses fields": partial(not_honoured_table, ResponsesRequest),
    "messages fields": partial(fields_table, MessagesRequest),
    "other messages fields": partial(not_honoured_table, MessagesRequest),
}


def filled(text: str) -> str:
    """The text of a document with every block as the code dictates it."""
    for name, content in BLOCKS.items():
        begin, end = f"<!-- BEGIN {name} (make readme) -->\n", f"<!-- END {name} -->"
        if begin in text:
            before, _, rest = text.partition(begin)
            text = f"{before}{begin}{content()}\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Write the blocks of all documents again."""
    for path in documents():
        text = path.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
