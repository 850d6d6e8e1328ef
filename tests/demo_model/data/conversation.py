"""What a generator returns: a conversation, or one exchange of a question and its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Message = dict[str, Any]
Tool = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One user turn and the assistant's answer to it."""

    ask: str
    answer: str

    def messages(self) -> list[Message]:
        """The two turns as messages."""
        return [user(self.ask), assistant(self.answer)]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in OpenAI's form, as the chat template takes them; `arguments` of tool calls are mappings.

    An assistant message with `"learn": False` is context only: the model is not trained to write it.
    """

    kind: str
    messages: list[Message]
    tools: list[Tool]
    date: str

    def learned(self) -> list[bool]:
        """For each assistant message in order, whether it is trained."""
        return [message.get("learn", True) for message in self.messages if message["role"] == "assistant"]


ExchangeMaker = Callable[[Random], Exchange]
FamilyMaker = Callable[[Random], tuple[list[list[Message]], list[Tool]]]
"""Makes the messages of conversations that begin alike, and the tools on offer in all of them."""


def system(content: str) -> Message:
    """A system turn."""
    return {"role": "system", "content": content}


def user(content: str) -> Message:
    """A user turn."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """An assistant turn."""
    return {"role": "assistant", "content": content}
