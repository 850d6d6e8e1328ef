"""A stored response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response that has ended, with the input of its request; `account` is the key that owns it, and alone sees it.

    `input` is the JSON of the items of its own request, `body` that of the response. It continues the response
    `previous`, if there is one: `depth` and `conversation_characters` count it
    and those before it.
    """

    id: str
    account: str
    created_at: datetime
    input: str
    body: str
    previous: str | None = None
    depth: int = 1
    conversation_characters: int = 0

    @property
    def size(self) -> int:
        """Characters of its own input and body."""
        return len(self.input) + len(self.body)
