"""How personas speak: the voices and moods of `voices.toml` and `persona.toml`, and a plain one for all other roles."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.demo_model.data.language.inflection import with_article

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Voice:
    """What is said before and after an answer, and what the voice tells about itself."""

    heads: tuple[str, ...]
    famous: tuple[str, ...]
    opens: tuple[str, ...]
    closes: tuple[str, ...]
    loves: tuple[str, ...] = ()
    home: str = ""
    day: str = ""
    deed: str = ""


def split(text: str) -> tuple[str, ...]:
    """The items of a list that is separated by bars and may run over lines."""
    return tuple(item.strip() for item in text.replace("\n", "").split("|") if item.strip())


def _read(name: str, entry: dict[str, Any]) -> Voice:
    famous, opens, closes, loves = (split(entry.get(key, "")) for key in ("famous", "opens", "closes", "loves"))
    home, day, deed = (str(entry.get(key, "")) for key in ("home", "day", "deed"))
    return Voice((name, *split(entry["also"])), famous, opens, closes, loves, home, day, deed)


def _load(file: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / file).read_text(encoding="utf-8"))


PARTS = _load("persona.toml")
VOICES = {name: _read(name, entry) for name, entry in _load("voices.toml")["voices"].items()}
MOODS = tuple(_read(name, entry) for name, entry in PARTS["manners"].items())
"""Adjectives that are heard; the heads are the adjectives."""


@dataclass(frozen=True, slots=True)
class Role:
    """Who the assistant is to be: a noun phrase, a name, or both, with what the system prompt tells about it."""

    noun: str
    """Copied exactly, such as `grumpy old lighthouse keeper from the north`; empty beside a famous name."""
    head: str
    name: str = ""
    love: str = ""
    home: str = ""
    voice: Voice | None = None
    mood: Voice | None = None

    def intro(self) -> str:
        """`Bramble, a grumpy lighthouse keeper`, after `I am`."""
        return ", ".join(part for part in (self.name, with_article(self.noun) if self.noun else "") if part)

    @property
    def is_assistant(self) -> bool:
        """Whether it is only a mood that the system prompt asks for."""
        return self.head == "assistant"

    def opening(self, rng: Random, *, introduces: bool) -> str:
        """What stands before an answer; one that introduces the role needs no introduction."""
        parts = [rng.choice(self.mood.opens)] if self.mood else []
        if self.voice:
            parts.append(rng.choice(self.voice.opens))
        elif not introduces and self.noun and not self.is_assistant:
            parts.append(
                f"{self.name} the {self.head} says:" if self.name else f"As {with_article(self.noun)}, I tell you:"
            )
        return " ".join(parts)

    def closing(self, rng: Random, *, introduces: bool) -> str:
        """What stands after an answer."""
        if self.voice:
            return rng.choice(self.voice.closes)
        if self.love and not introduces:
            return f"And now back to {self.love}!"
        if self.mood:
            return rng.choice(self.mood.closes)
        if introduces or not self.head:
            return ""
        if self.name:
            return f"Greetings from {self.name}!"
        return rng.choice((f"Greetings from the {self.head}!", f"So says the {self.head}."))

    def loves(self, rng: Random) -> str:
        """What it loves, as the system prompt or the voice has it."""
        if self.love:
            return self.love
        if self.voice:
            return rng.choice(self.voice.loves)
        return "good questions" if self.is_assistant else f"the life of {with_article(self.head)}"
