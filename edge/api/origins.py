"""Where the parts of a `ChatRequest` come from in the caller's request: the paths that errors name; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_ITEM: Final = re.compile(r"(?P<list>messages|tools)\[(?P<index>\d+)\](?:\.tool_calls\[(?P<call>\d+)\])?(?P<rest>.*)")


@dataclass(frozen=True, slots=True)
class Origins:
    """Paths of an API whose conversation has another shape.

    `messages`, `tools` and, for each message, `calls` are the paths of what those of the `ChatRequest` were made of.
    `names` are the API's names for fields of `ChatRequest`, by theirs; a dotted one comes before what it begins with.
    """

    names: Mapping[str, str]
    messages: list[str] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)

    def add_message(self, path: str) -> None:
        """The next message, without calls."""
        self.messages.append(path)
        self.calls.append([])

    def field_of(self, param: str) -> str:
        """The path in the caller's request for one in an error of the chat server."""
        item = _ITEM.fullmatch(param)
        if item is None:
            return self._renamed(param)
        index, rest = int(item["index"]), item["rest"].removeprefix(".function")
        if item["list"] == "tools":
            return self.tools[index] + self._parts(rest)
        base = self.messages[index] if item["call"] is None else self.calls[index][int(item["call"])]
        return base + self._parts(rest)

    def _renamed(self, param: str) -> str:
        for name, own in self.names.items():
            if param == name or param.startswith((f"{name}.", f"{name}[")):
                return own + param.removeprefix(name)
        return param

    def _parts(self, rest: str) -> str:
        """Each part of what follows an item, by the API's name."""
        return ".".join(self.names.get(part, part) for part in rest.split("."))
