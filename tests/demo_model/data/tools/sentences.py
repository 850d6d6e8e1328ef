"""Puts the values of composed parameters into plain English: requests for a function, and statements to be read into JSON."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random
from typing import Any

from tests.demo_model.data.language.inflection import continued
from tests.demo_model.data.language.wording import phrase
from tests.demo_model.data.tools.asking import commanded, uttered
from tests.demo_model.data.tools.composed import ADJECTIVES, Part

Used = list[tuple[Part, Any]]

_ACTIONS = (
    "{verb} [the|a|my|our|that|one|this|] {thing}{tail}", "{verb} [the|a|my|] {thing}{tail}", "{verb} [me|us] [the|a] {thing}{tail}",
    "[take care of|look after|see to|deal with|arrange|do] [the|a|my|] {thing}{tail}",
    "[show me|tell me about|give me|find|look up|check|get me|get|let me have|let me see|order] [the|a|] {thing}{tail}",
)  # fmt: skip
_ACTIONS_ON_VALUES = (
    "{verb} {first}{rest}",
    "{verb} {first}{rest}",
    "give {first} [the|a|some] {thing}{rest}",
    "help {first} with the {thing}{rest}",
    "{verb} {first}'s {thing}{rest}",
)
_SENTENCES = (
    "[I'd like|I would like|I want|I need|we need|I wish for|I'd love|we could use|I'm looking for|what about|how about] [the|a|my|some|another] {thing}{tail}[.|]",
    "[what is|what's|where is|where's|how is|how's|who has|when is|how good is|how {adjective} is] the {thing}{tail}[?|]",
    "[which|how many|what] {thing}s [are there|can I get|do you have|are left|do we have|are open|come next]{tail}[?|]",
    "[is there|do you have|have you got] [a|any|another|some] {thing}{tail}[?|]",
    "[the|my|our|this] {thing}{tail} [should be|must be|has to be|needs to be] [done|ready|taken care of|looked at][.|!|]",
    "[the|my|our] {thing}{tail} [needs {verbing}|could do with some {verbing}][.|]", "{thing}{tail}[, please|][.|]", "[start|begin|go on with|stop] {verbing} [the|a|my|] {thing}{tail}[.|]",
    "[I'll take|I will have|we'll have|one] [a|the|] {thing}{tail}[.|]", "[when|how|why|where] [does|will|can] the {thing}{tail} [start|end|open|close|arrive|go]?",
)  # fmt: skip
_SENTENCES_ON_VALUES = (
    "{first} [needs|wants|would like|asked for|is waiting for|should get|has ordered|forgot|deserves|could use] [a|the|our|some] {thing}{rest}[.|]",
    "[for|about|with|as for] {first}, {verb} the {thing}{rest}[.|]", "[is|has|does] {first} [on the|have a|the right|in the|part of the] {thing}{rest}[?|]",
    "[note|remember|make sure|see to it|write down|record] that {first} [gets|has|received|takes|got|left|bought] [a|the] {thing}{rest}[.|]",
    "{first} is [here|back|ready|out|late] [for|with|because of] the {thing}{rest}[.|]", "[I told|I promised|we owe] {first} [a|the] {thing}{rest}[.|]",
    "[can|could|may|should] {first} [have|get|see|use] [a|the] {thing}{rest}[?|]", "{first}'s {thing}{rest}[, please|][.|]", "what [does|did|will] {first} [say about|do with|get for] the {thing}{rest}[?|]",
    "{first}: {thing}{rest}[.|]", "[how is|where is|what about] {first}'s {thing}{rest}[?|]",
)  # fmt: skip
_STATEMENTS = (
    "[the|our|this|that|one|a] {thing}{tail} [is|was|will be] [ready|new|sold|here|back|gone|open|on its way|paid|free][.|]", "[we saw|I bought|they sent|we have|I lost|he made|she opened|they sold] [the|a|our] {thing}{tail}[.|]",
    "[send us|please send|we ordered|here comes|we are waiting for|I would like] [a|the|] {thing}{tail}[.|]", "[there is|there was|here is] [a|the] {thing}{tail}[.|]", "{thing}{tail}[.|]",
    "[the|our] {thing} [runs|goes|stays|takes place|begins|ends|arrives|is planned]{tail}[.|]",
)  # fmt: skip
_STATEMENTS_ON_VALUES = (
    "{first} [has|owns|wants|bought|likes|sells|found|needs|keeps|made] [a|the|our|this] {thing}{rest}[.|]", "{first} [stays|waits|works|lives|arrives|comes back|was seen|will be|is]{rest}[.|]",
    "{first}, [who is|the one|also] [with|behind|for] the {thing}, [stays|comes|was here|is found]{rest}[.|]", "[this is|that was|meet|here is|I know] {first}[, the {thing}|]{rest}[.|]",
    "the {thing} {first} [costs|takes|gets|comes|goes|weighs|counts|is]{rest}[.|]", "{first} [was written|was made|was sent|was opened|was paid]{rest}[.|]", "{first}'s {thing} [is|was]{rest}[.|]",
)  # fmt: skip
_NAMED = ("person", "city", "proper", "words", "code", "email")
"""Kinds of values with which a sentence can begin, if they are not in lower case."""
_LINKS = (
    ("from ", " to "), ("from ", " to "), ("between ", " and "), ("", " to "), ("", " and "), ("", " into "), ("", " with "), ("", " or "), ("out of ", " into "),
    ("starting at ", " and ending at "), ("", " for "), ("away from ", " towards "),
)  # fmt: skip


def request(rng: Random, verb: str, noun: str, used: Used) -> str:
    """Asks for the verb to be done to the noun with the values."""
    if rng.random() < 0.55:
        text = _filled(rng, _ACTIONS, _ACTIONS_ON_VALUES, verb, noun, used)
        return commanded(rng, text)
    return uttered(rng, _filled(rng, _SENTENCES, _SENTENCES_ON_VALUES, verb, noun, used))


def statement(rng: Random, noun: str, used: Used) -> str:
    """Tells of the noun with the values."""
    return uttered(rng, _filled(rng, _STATEMENTS, _STATEMENTS_ON_VALUES, "have", noun, used))


def _filled(rng: Random, general: tuple[str, ...], on_values: tuple[str, ...], verb: str, noun: str, used: Used) -> str:
    """One of the patterns; `on_values` begin with a value, and need one that can stand alone."""
    thing, others = _named_thing(rng, noun, used)
    groups = _groups(rng, others)
    first, *rest = groups or [("", "", "")]
    starts = first[2] in _NAMED and not first[1][:1].islower()
    pattern = rng.choice(on_values if starts and rng.random() < 0.4 else general)
    tail = "".join(_joined(rng, place, each[0]) for place, each in enumerate(groups))
    behind = "".join(_joined(rng, place, each[0]) for place, each in enumerate(rest))
    slots = {
        "thing": thing, "verb": verb, "verbing": continued(verb), "tail": tail, "rest": behind, "first": first[1],
        "adjective": rng.choice(ADJECTIVES),
    }  # fmt: skip
    text = phrase(rng, pattern, **slots)
    if len(others) < len(used) and thing not in text:
        text = phrase(rng, general[0], **slots)
    return " ".join(text.split())


def _named_thing(rng: Random, noun: str, used: Used) -> tuple[str, Used]:
    """The noun with choices and at times a quantity before it, or these alone, and the values that are left."""
    words: list[str] = []
    others: Used = []
    after = ""
    for part, value in used:
        spot = rng.random()
        if part.kind == "choice" and spot < 0.85:
            words.append(str(value))
        elif part.kind == "choice":
            after += rng.choice((f" in {value}", f", {value}", f" ({value})"))
        else:
            others.append((part, value))
    quantity = [(part, value) for part, value in others if part.counted]
    if quantity and rng.random() < 0.3:
        others.remove(quantity[0])
        unit = rng.choice([each for each in quantity[0][0].phrases if each.startswith("{value} ")])
        words.insert(0, unit.format(value=quantity[0][1]) + rng.choice((" of", " of", " of the", "")))
    elif not words and rng.random() < 0.1:
        words = [rng.choice(ADJECTIVES)]
    named = words and any(part.kind == "choice" for part, _ in used) and rng.random() < 0.12
    return " ".join(words if named else [*words, noun]) + after, others


def _groups(rng: Random, others: Used) -> list[tuple[str, str, str]]:
    """Phrases of the values in a random order: how each stands in a sentence, how alone, and its kind; pairs stay together."""
    pair = [(part, value) for part, value in others if part.paired]
    groups = [(_said(rng, part, value), str(value), part.kind) for part, value in others if not part.paired]
    if len(pair) == 2:
        before, between = rng.choice(_LINKS)
        text = f"{before}{pair[0][1]}{between}{pair[1][1]}"
        groups.insert(0, (text, text, "pair" if before else pair[0][0].kind))
    elif pair:
        groups.insert(0, (f"from {pair[0][1]}", str(pair[0][1]), pair[0][0].kind))
    if rng.random() < 0.45:
        rng.shuffle(groups)
    return groups


def _said(rng: Random, part: Part, value: Any) -> str:
    quote = '"' if isinstance(value, str) and rng.random() < 0.05 else ""
    return rng.choice(part.phrases).format(value=f"{quote}{value}{quote}")


def _joined(rng: Random, place: int, text: str) -> str:
    return f"{rng.choice((' ', ' ', ' ', ' ', ', ', ' and ' if place else ' '))}{text}"
