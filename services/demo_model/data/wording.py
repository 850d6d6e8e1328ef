"""Writes one sentence in many ways: `[Hi|Hello] {name}` picks an alternative, then fills the slots."""

import re
from random import Random

_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def phrase(rng: Random, pattern: str, **slots: object) -> str:
    """Expands the innermost `[a|b|]` choices first and the whole last, which is a choice, too; then `{slot}`.

    Raises KeyError for a slot without a value.
    """
    pattern = f"[{pattern}]"
    while match := _CHOICE.search(pattern):
        pattern = pattern[: match.start()] + rng.choice(match.group(1).split("|")) + pattern[match.end() :]
    return pattern.format_map(slots)


def capitalised(text: str) -> str:
    """The text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def listed(items: list[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def with_article(noun: str) -> str:
    """The noun with `a` or `an`."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


_OPENERS = (
    "So, ", "And ", "Well, ", "Okay, ", "Now, ", "Oh, ", "Hm, ", "Alright, ", "Good. ", "Fine. ", "Okay. ",
    "Thanks. ", "Great. ", "Please say: ", "One question: ", "A question: ", "Something else: ", "Just for fun: ",
    "Quick question: ", "By the way, ", "Hey, ", "Do say, ", "I wonder: ", "Please, ", "Right, ", "Hello! ", "Hi, ",
    "My son asks: ", "For a quiz: ", "I forgot: ", "Let me ask: ", "Next: ", "Listen, ", "Maybe you know: ",
    "Right. ", "Next question. ", "Now then, ", "Dear assistant, ", "My friend, ", "Just a small thing: ",
    "Be honest: ", "Short answer, please: ", "You know, ", "Hmm. ", "Ah, ", "Yes, ", "I see. ", "Let's see: ",
    "If you can: ",
)  # fmt: skip
_ENDINGS = (
    "Thanks.", "Please.", "Thank you!", "Be brief.", "I am curious.", "Thanks in advance.", "I forgot.", "Go on.",
    "It is for a quiz.", "I need to know.", "My son asks.", "Just one line, please.", "Answer me.", "Do it for me.",
)  # fmt: skip
_TAILS = (
    ", my friend", ", please", ", dear", " for me", ", do you know", ", if you can", ", I wonder", " again",
    ", by chance", ", in short", ", would you", ", buddy", ", if you please", " then", " exactly",
    " really", ", little model",
)  # fmt: skip
_LOWERED = {
    "what", "which", "who", "how", "can", "could", "do", "does", "did", "tell", "give", "name", "is", "are", "was",
    "were", "write", "say", "list", "please", "have", "where", "when", "why", "would", "will", "am", "my", "the", "i'm",
    "let's", "explain", "describe", "show", "count", "make",
}  # fmt: skip


def loosened(rng: Random, text: str) -> str:
    """The text as people type it: now and then with an opener, in lower case, or without its last mark."""
    roll, opened = rng.random(), rng.random()
    if opened < 0.2:
        opener = rng.choice(_OPENERS)
        if text.split(" ", 1)[0].lower().removesuffix("'s") in _LOWERED and opener[-2] != ".":
            text = text[:1].lower() + text[1:]
        text = opener + text
    elif opened < 0.27:
        text = f"{text} {rng.choice(_ENDINGS)}"
    elif opened < 0.37 and text[-1] in ".?!":
        text = text[:-1] + rng.choice(_TAILS) + text[-1]
    if roll < 0.10:
        text = text.lower()
    if roll > 0.88:
        text = text.rstrip(".?!")
    return text
