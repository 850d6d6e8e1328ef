"""What functions return, and the assistant's sentence about it."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.wording import capitalised, listed


def keys(rng: Random) -> str:
    """Pairs of `key:kind` that a function returns: a status, or one to three of any name."""
    if rng.random() < 0.3:
        return "status:ok"
    kinds = ("int", "float", "code", "word", "clock", "name", "sky")
    return " ".join(
        f"{invented.word(rng) if rng.random() < 0.5 else rng.choice(words.PLAIN_NOUNS)}:{rng.choice(kinds)}"
        for _ in range(rng.randint(1, 3))
    )


_KINDS: dict[str, Callable[[Random], Any]] = {
    "int": lambda r: r.choice((r.randint(1, 40), invented.integer(r))), "float": invented.amount, "code": invented.code,
    "word": lambda r: f"{invented.word(r)} {invented.word(r)}", "clock": invented.clock, "name": lambda r: invented.title(r).title(), "email": invented.email,
    "sky": lambda r: r.choice(("sunny", "cloudy", "rainy", "windy", "snowy", "foggy", "clear", "light rain", "stormy")),
    "shipping": lambda r: r.choice(("shipped", "in transit", "delivered", "delayed", "being packed")), "date": invented.spoken_date,
    "money": lambda r: r.choice((r.randint(2, 900), invented.amount(r))), "bool": lambda r: r.random() < 0.7, "phone": invented.phone, "street": invented.street, "url": invented.url,
    "state": lambda r: r.choice(("booked", "open", "confirmed", "cancelled", "waiting", "paid", "closed", "running", "off", "planned")), "text": invented.message,
    "list": lambda r: [invented.title(r) for _ in range(r.randint(1, 3))], "ok": lambda r: r.choice(("ok", "success", "done", "sent", "created")),
}  # fmt: skip


def outcome(rng: Random, pairs: str) -> tuple[str, str]:
    """The text that a function with these pairs of `key:kind` returns, and the assistant's sentence about it."""
    roll = rng.random()
    if roll < 0.08:
        reason = f"{rng.choice(('no', 'unknown', 'invalid', 'missing'))} {rng.choice((invented.word(rng), rng.choice(words.PLAIN_NOUNS)))}"
        return json.dumps({"error": reason}), f"The function reported an error: {reason}."
    kinds = dict(pair.split(":") for pair in pairs.split())
    if len(kinds) > 1 and roll < 0.3:
        kinds.pop(rng.choice(sorted(kinds)))
    result = {key: _KINDS[kind](rng) for key, kind in kinds.items()}
    if roll > 0.92:
        plain = ", ".join(_shown(value) for value in result.values())
        return plain, f"The result is: {plain}."
    return json.dumps(result, ensure_ascii=False), _sentence(result)


def _sentence(result: dict[str, Any]) -> str:
    parts = []
    for key, value in result.items():
        spoken = key.replace("_", " ")
        verb = "are" if isinstance(value, list) else "is"
        parts.append(f"{'' if isinstance(value, bool) else 'the '}{spoken} {verb} {_shown(value)}")
    return capitalised(listed(parts)) + "."


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return listed(value)
    return json.dumps(value) if isinstance(value, bool) else str(value)
