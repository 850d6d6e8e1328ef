"""Requests for two calls: two functions, or one of them twice with what differs said twice."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import re
from random import Random

from tests.demo_model.data.conversation import Message, assistant, user
from tests.demo_model.data.language.wording import capitalised, phrase
from tests.demo_model.data.tools import results
from tests.demo_model.data.tools.catalogue import Arguments, Function

Both = tuple[str, Arguments, Arguments]
_LEAD = re.compile(
    r"(?:^|\s)((?:in|for|to|on|at|from|of|about|by|with|near|around|against|until|called|number|named|order) (?:the (?=\w+ ))?)$"
)
"""The word before a value, which can be said again before the next."""
_TELLING = re.compile(
    r"\W*(I|I'm|We|We're|My|Our|The|Hello|You|It|It's|This|That|There|Everybody|Everyone|Something|Let|He|She|They)\b"
)
"""Beginnings of sentences that may tell something before they ask."""
_STAYS_CAPITAL = re.compile(r"I\b|[A-Z][a-z]+ (?!I\b)[A-Z]|[A-Z]{2}")
_SENTENCES = (
    "{first}. [Also, |And |Then |Also |After that, |Afterwards, |And then |Then please |When that is done, |Next, |Oh, and |Ah, and |One more thing: |And also |Besides, |While you are at it, ]{second}",
    "[First, |First of all, |To begin with, |Start like this: ]{first}. [Then |After that, |Afterwards, |Next, |And then |Second, |Finally, ]{second}", "[Two things|Two requests|I have two things|Please do two things|Two jobs]: {first}[, and | and |; |. Second, ]{second}",
    "{first}. {Second}", "{first}\n{Second}", "1. {First}\n2. {Second}", "[I need two things|Two things, please|Two tasks for you]. {First}. {Second}", "[Please do both|Do both, please|Both of these]: {first}, {second}",
)  # fmt: skip
_JOINTS = (
    " and ",
    ", and then ",
    " and also ",
    ", then ",
    " and then ",
    ", and ",
    ", and please ",
    "; ",
    ", and afterwards ",
    " and after that ",
    ", plus ",
    " as well as: ",
    " & ",
    ", and while you are at it ",
)


def asked(rng: Random, functions: list[Function], *, last: bool) -> list[Message]:
    """Both objects in one answer when it ends the conversation; as history they are two turns, each with its result."""
    first, second = rng.choice(functions), rng.choice(functions)
    if rng.random() < 0.35:
        second = first
    both = _twice(rng, first) if first is second and rng.random() < 0.8 else None
    if both is None:
        (ask_first, arguments), (ask_second, other) = first.request(rng), second.request(rng)
        both = _joined(rng, ask_first, ask_second), arguments, other
    ask, arguments, other = both
    if first is second and arguments == other:
        return asked(rng, functions, last=last)
    if last:
        return [user(ask), assistant(f"{first.call(arguments)}; {second.call(other)}")]
    (result, sentence), (other_result, other_sentence) = (
        results.outcome(rng, first.results),
        results.outcome(rng, second.results),
    )
    return [
        user(ask),
        first.turn(arguments, learn=False),
        {"role": "tool", "content": result},
        second.turn(other, learn=False),
        {"role": "tool", "content": other_result},
        assistant(f"{sentence} {other_sentence}"),
    ]


def _joined(rng: Random, first: str, second: str) -> str:
    """Two requests in one turn, as one sentence or several."""
    several = "\n" in first or ". " in first or ". " in second or rng.random() < 0.5
    bare = first.rstrip(".?!")
    if not several:
        return bare + rng.choice(_JOINTS) + _lowered(second)
    slots = {name: f"{{{name}}}" for name in ("first", "First", "second", "Second")}
    pattern = phrase(rng, rng.choice(_SENTENCES), **slots)
    if first[-1] in "?!":
        # A question keeps its mark where a sentence ends.
        pattern = re.sub(r"\{[fF]irst\}(?:\. |(\n))", lambda match: f"{{whole}}{match[1] or ' '}", pattern)
    begins = pattern.startswith("{first}")
    return capitalised(
        pattern.format(
            whole=first,
            first=bare if begins else _lowered(first).rstrip(".?!"),
            First=capitalised(bare),
            second=_lowered(second),
            Second=capitalised(second),
        )
    )


def _lowered(text: str) -> str:
    """With a small letter at its beginning, but for names, `I` and capitals."""
    return text if _STAYS_CAPITAL.match(text) else text[:1].lower() + text[1:]


def _twice(rng: Random, function: Function) -> Both | None:
    """One request with two values where it had one, so that the verb is said once; None where no value stands alone."""
    properties = function.schema["function"]["parameters"]["properties"]
    for _ in range(6):
        text, arguments = function.request(rng)
        _, others = function.request(rng)
        for key in rng.sample(sorted(arguments), len(arguments)):
            value, other = arguments[key], others.get(key)
            if isinstance(value, str) and isinstance(other, str) and "enum" not in properties[key] and value != other:
                doubled = _doubled(rng, text, value, other)
                if doubled:
                    return doubled, arguments, {**arguments, key: other}
    return None


def _doubled(rng: Random, text: str, value: str, other: str) -> str | None:
    """The text with the other value behind the one that it has; None if it would not be clear what belongs together."""
    before, found, after = text.partition(value)
    if not found or value in after or max(len(value.split()), len(other.split())) > 3 or not _clear(before, after):
        return None
    if before.endswith(('"', "“")):
        value, other = f"{before[-1]}{value}{after[0]}", f"{before[-1]}{other}{after[0]}"
        before, after = before[:-1], after[1:]
    lead = match.group(1) if (match := _LEAD.search(before)) else ""
    if lead and after in ("", ".", "!", "?") and rng.random() < 0.3:
        mark = after or "."
        link = phrase(rng, "[And|Also|And then|Oh, and|And also|Plus]")
        return f"{before}{value}{mark} {link} {lead}{other}{rng.choice(('', ' too', ' as well', ', please'))}{mark}"
    if lead and rng.random() < 0.25:
        start = before.removesuffix(lead) + rng.choice(("both ", "once ", ""))
        return f"{start}{lead}{value}{rng.choice((' and ', ' and once ' if start.endswith('once ') else ' and '))}{lead}{other}{after}"
    links = (
        " and {o}",
        " and {l}{o}",
        " and also {l}{o}",
        " as well as {l}{o}",
        ", and {l}{o}",
        " and then {l}{o}",
        " plus {o}",
        " and {o}",
    )
    return f"{before}{value}{rng.choice(links).format(o=other, l=lead)}{after}"


def _clear(before: str, after: str) -> bool:
    """Whether the value between these stands alone in the sentence that asks."""
    if re.search(r"\w$", before) or re.match(r"[\w@'-]", after) or re.search(r"[.!?:;] ", before):
        return False
    if re.search(r"\b(between|and|or|either)\b", f"{before[-12:]} {after[:9]}"):
        return False
    return bool(before.strip()) and not (_TELLING.match(before) and re.search(r"[.,;:!?-] ", after))
