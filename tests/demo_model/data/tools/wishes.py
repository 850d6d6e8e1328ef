"""Requests for the functions of `crafted.py`: which words stand for the verb and the noun, and where each value stands."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.demo_model.data.language import words
from tests.demo_model.data.language.inflection import continued, participle, plural, with_article
from tests.demo_model.data.language.wording import capitalised, phrase
from tests.demo_model.data.tools.asking import NEEDLESS_ON, dressed, surrounded, trailed
from tests.demo_model.data.tools.concepts import IDIOMS, Noun, Param, Verb

Used = list[tuple[Param, Any]]
_DOING = (
    "[would|do] you mind {ing}{tail}?", "[how about|what about|any chance of|is there any chance of|what are the chances of] {ing}{tail}?",
    "[I'm thinking of|I'm thinking about|I was thinking of|I am interested in|I'm looking into|I'm set on|I feel like|I would not mind] {ing}{tail}",
    "[can|could|may] I trouble you with {ing}{tail}?", "[I could use a hand|I need help|I'd like some help|I need a hand|we want help|help me out by] {ing}{tail}",
    "[next on my list is|what is left is|my job today is|the next step is|today's plan is|the only thing left is] {ing}{tail}", "[please help me with|help us with|are you able to help with|can I leave it to you:] {ing}{tail}",
    "[are you any good at|do you do things like|can you take care of|could you see to] {ing}{tail}?", "[I haven't got round to|don't forget about|I insist on|I'm counting on you for|we talked about] {ing}{tail}",
)  # fmt: skip
_DONE = (
    "{obj}{tail} [{has} to be|must be|should be|{needs} to be|{is} to be|ought to be|had better be] {done}", "[I need|I want|I would like|I'd like|we need|we'd like] {obj} {done}{tail}",
    "[could|can|may|might|will] {obj} be {done}{tail}?", "please [have|get] {obj} {done}{tail}", "[can|could|would|will] you [have|get] {obj} {done}{tail}?", "[I want to|I'd like to|I have to|we must] [have|get] {obj} {done}{tail}",
    "{obj}{tail}: {doit}, please", "[see to it that|make sure|make certain that|take care that] {obj} {is} {done}{tail}", "[somebody|someone] [should|has to|needs to|must] {do}{tail}",
    "[it's time|it is high time] {obj} [was|got] {done}{tail}", "[what do I have to do|what does it take] to {do}{tail}?", "[I forgot to|I can't|I don't know how to|I never learned to|I have no time to] {do}{tail}, [please do it for me|can you?|do it for me|could you?|so please help]",
    "[it's about|this is about] {obj}{tail}: please {doit}",
)  # fmt: skip
_NEEDED = (
    "[I need|I want|I'd like|I would like|we need|I could use|I'm looking for|we're looking for|I'm after|I'd love|we'd love|I am in need of|we require|I've been dreaming of|we could do with|I'm hoping for] {obj}{tail}",
    "[any chance of|is there any chance of|what about|how about|can I have|could I have|may we have|can I get|could we get|is it possible to have|can you get me|could you get us|would you get me|can you help me with] {obj}{tail}?",
    "[is there|do you have|have you got|got|can you offer|might there be] {obj}{tail}?", "{obj}{tail}[, please|, please|, thanks|, if possible|]", "{obj}{tail} [would be nice|would be great|is what I need|is all I need|is on my list]",
    "[where|how] [can|could|do] [I|we] get {obj}{tail}?", "[let me have|get me|give me|I'll take|I'll have|we'll take|we'll have] {obj}{tail}", "[it's time for|time for|I'm ready for|I wonder if there is|the plan is] {obj}{tail}",
)  # fmt: skip
_MADE = (
    "[I need|I want|I'd like|I would like|we need|I could use|we require|there should be|there has to be|please let there be|can I have|let me have|let's have] {obj}{tail}",
    "{obj}{tail}[, please|, please|, thanks|]", "[can we have|how about|what about|could there be|may I have] {obj}{tail}?", "[there is|there's|we have|here is|here comes] {new}{tail}[, please add it|, please take it down|, put it in|]", "[new|another|one more] {noun}{tail}",
)  # fmt: skip
_ASKED = (
    "[what is|what's|how is|do you know|can I see|may I see|could I see|any news on|what about|how about|do we know|can you tell me|could you tell me|what can you tell me about|what do we know about|how do I find out] {obj}{tail}?",
    "[tell me|I'd like to know|I want to know|I'd like to see|let me see|let me know|I need to know|I wonder about|I'm curious about|give me|I need|I have to know|I can't find|I am interested in|inform me about] {obj}{tail}", "{obj}{tail}[?|, please|]",
    "[I wonder|do you know|I'd like to know|can you say|could you find out|tell me] what {obj} {is}{tail}", "[I have a question about|quick question on|one word on] {obj}{tail}",
)  # fmt: skip
_IMPLIED = {"a": _NEEDED, "c": _MADE, "i": _ASKED}
_SYMBOL = re.compile(r"[€$£%°.]|\}-")
_AHEAD = ("in ", "on ", "for ", "at ", "with ", "from ", "by ", "to ", "about ")
_CLOSE = ("number ", "no. ", "(", "called ", "named ", "titled ", "labelled ")
"""Beginnings of phrases that stand right behind the noun."""
_PARTICLES = ("up", "out", "off", "on", "down", "back", "away", "in", "over", "along")
_RELATIVE = ("on tomorrow", "on today", "on tonight", "on next", "on this", "on the day")


@dataclass(slots=True)
class _Places:
    """Where the values stand: before the noun, right behind it, behind that, at the end, or in sentences of their own."""

    pre: str = ""
    count: str = ""
    close: list[str] = field(default_factory=list)
    bare: str = ""
    near: list[str] = field(default_factory=list)
    last: str = ""
    before: str = ""
    after: list[str] = field(default_factory=list)


def wish(rng: Random, verb: Verb, noun: Noun, used: Used, avoided: set[str], *, named: bool) -> str:
    """Asks for the verb to be done to the noun with the values.

    Wordings that are `avoided` stand for other functions on offer. `named` says that the verb must be there, because
    another of them does something else to the same noun.
    """
    places = _placed(rng, used)
    wordings = [each for each in verb.wordings if each not in avoided] or [verb.wordings[0]]
    implied = verb.kind in _IMPLIED and not named and rng.random() < 0.4
    head = rng.choice(noun.wordings)
    shown = _object(rng, verb, noun, head, places)
    if places.bare and not implied and not avoided and rng.random() < 0.1 and not (places.pre or places.count):
        shown = places.bare
    ahead, tail = _tail(rng, places)
    core = _idiom(rng, f"{noun.wordings[0]}/{verb.name}", tail, places) or _core(
        rng, rng.choice(wordings), verb, shown, tail, head, places, implied=implied
    )
    text = ahead + core
    if places.before:
        text = _led(rng, places.before, text)
    if places.after:
        text = " ".join([text if text[-1] in ".?!" else text + ".", *places.after])
    if places.last and text[-1] not in '.?!"”':
        return capitalised(NEEDLESS_ON.sub("", text))
    text = surrounded(rng, text)
    return (
        text[:1].lower() + text[1:]
        if rng.random() < 0.07 and text[:2] not in ("I ", "I'") and not places.before
        else text
    )


def _core(
    rng: Random, wording: str, verb: Verb, shown: str, tail: str, head: str, places: _Places, *, implied: bool
) -> str:
    """The sentence that asks."""
    done = _to(wording, shown)
    closed = bool(places.last)
    if " me" in wording and not implied:
        return phrase(rng, "[|please |can you |could you |would you |will you |hey, |now ]") + done + tail
    roll = rng.random()
    if not implied and roll < 0.6:
        return dressed(rng, done + tail, closed=closed)
    pattern = rng.choice(_IMPLIED[verb.kind] if implied else _DOING if roll < 0.78 else _DONE)
    if closed and not pattern.endswith(("{tail}", "{tail}?")):
        return dressed(rng, done + tail, closed=True)
    plain = wording.replace("{} ", "")
    many = bool(places.count)
    slots = {
        "obj": shown, "do": done, "ing": _to(continued(wording), shown), "done": participle(plain), "doit": _to(_parted(wording), rng.choice(("it", "that"))), "noun": head,
        "new": f"a new {head}", "has": "have" if many else "has", "needs": "need" if many else "needs", "is": "are" if many else "is",
    }  # fmt: skip
    text = phrase(
        rng, pattern.removesuffix("?") if closed else pattern, tail=tail if closed else trailed(rng, tail), **slots
    )
    if text[-1] in ".?!":
        return text if rng.random() < 0.9 else text[:-1]
    return text + rng.choice((".", ".", "" if closed else "!", ""))


def _parted(verb: str) -> str:
    """The verb with the place of a pronoun: `set {} up`, but `look for {}`."""
    first, _, particle = verb.partition(" ")
    return f"{first} {{}} {particle}" if particle in _PARTICLES else verb


def _idiom(rng: Random, key: str, tail: str, places: _Places) -> str:
    """A sentence that asks without the words of verb and noun, where there is one that takes the values; or nothing."""
    if key not in IDIOMS or places.pre or places.count or places.last or rng.random() < 0.75:
        return ""
    pattern = rng.choice(IDIOMS[key])
    if places.close != ([places.bare] if "{close}" in pattern else []):
        return ""
    text = pattern.format(close=places.bare, tail=trailed(rng, tail) if tail else "")
    return text if text[-1] == "?" else text + rng.choice((".", ".", "!", ""))


def _to(verb: str, shown: str) -> str:
    return verb.replace("{}", shown) if "{}" in verb else f"{verb} {shown}"


def _object(rng: Random, verb: Verb, noun: Noun, head: str, places: _Places) -> str:
    """The noun with its article, and the values that stand with it."""
    if places.count:
        text = f"{places.count} {places.pre} {plural(head)}"
    elif noun.mass:
        text = f"{rng.choice(('the ', 'the ', ''))}{places.pre} {head}"
    elif verb.kind in ("a", "c") and rng.random() < 0.85:
        text = with_article(f"{places.pre} {head}".strip())
    else:
        owner = rng.choice(("the", "the", "the", "the", "my", "my", "our", "this", "that"))
        text = f"{owner} {places.pre} {head}"
    return " ".join(" ".join([text, *places.close]).split())


def _tail(rng: Random, places: _Places) -> tuple[str, str]:
    """What stands before the sentence, and what stands behind its object."""
    rng.shuffle(places.near)
    ahead = ""
    if places.near and rng.random() < 0.1:
        first = places.near[0]
        if first.startswith(_AHEAD) and not first.startswith(_RELATIVE):
            ahead = f"{first}{rng.choice((', ', ', ', ' '))}"
            places.near.pop(0)
    tail = "".join(f"{'' if each[0] == ':' else rng.choice((*' ' * 11, ', '))}{each}" for each in places.near)
    return ahead, tail + (places.last if places.last.startswith(":") else f" {places.last}" if places.last else "")


def _led(rng: Random, before: str, text: str) -> str:
    """The request behind a sentence that has one of its values."""
    if rng.random() < 0.3 and before[-1] == ".":
        link = rng.choice((", so ", " and ", "; ", ": ", ", ", " - ", ", and now "))
        return f"{before[:-1]}{link}{text}"
    return f"{before} {capitalised(text)}"


def _placed(rng: Random, used: Used) -> _Places:
    """Gives every value its place; a free text without quotes comes last."""
    places = _Places()
    for param, value in sorted(used, key=lambda each: each[0].kind != "text"):
        roll = rng.random()
        if param.kind == "bool":
            places.near.append(rng.choice(param.near if value else param.no))
        elif param.kind == "text" and not places.last and rng.random() < 0.5:
            places.last = rng.choice(param.near).format(v=value)
        elif param.pre and not places.pre and roll < 0.75:
            places.pre = param.pre.format(v=value)
        elif param.count and not places.count and roll < 0.7:
            places.count = _said(rng, "{v}", param, value)
        elif param.before and not places.before and roll < 0.17:
            places.before = _said(rng, rng.choice(param.before), param, value)
            places.near.extend(each for each in [rng.choice(param.here) if param.here else ""] if each)
        elif param.after and len(places.after) < 2 and not places.last and 0.17 < roll < 0.31:
            said = _said(rng, rng.choice(param.after), param, value)
            places.after.append(capitalised(said) if param.number else said)
        else:
            _near(rng, places, param, value)
    return places


def _near(rng: Random, places: _Places, param: Param, value: Any) -> None:
    pattern = rng.choice(param.near)
    said = _said(rng, pattern, param, value)
    if pattern.startswith(_CLOSE) or (pattern.startswith("{v}") and not param.number):
        places.close.append(said)
        places.bare = said if pattern == "{v}" else places.bare
    else:
        places.near.append(said)


def _said(rng: Random, pattern: str, param: Param, value: Any) -> str:
    """The phrase with its value: now and then a small number in words, or a text in quotes."""
    if isinstance(value, int) and 2 <= value <= 20 and rng.random() < 0.13 and not _SYMBOL.search(pattern[:-1]):
        return pattern.format(v=words.NUMBERS[value])
    share = {"text": 1.0, "title": 0.3, "file": 0.1, "topic": 0.1}.get(param.kind, 0.04)
    if isinstance(value, str) and not param.choices and '"' not in value and rng.random() < share:
        value = f"“{value}”" if rng.random() < 0.1 else f'"{value}"'
    return pattern.format(v=value)
