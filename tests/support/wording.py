"""What a message for the terminal looks like."""

from __future__ import annotations


def is_one_sentence(message: str) -> bool:
    """Whether it is one line that begins and ends as a sentence does; what it ends with may be a name."""
    return bool(message) and message == message.strip() and message.isprintable() and not message.endswith("..")
