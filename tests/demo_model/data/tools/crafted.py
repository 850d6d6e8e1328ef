"""Functions from the table of concepts: described in one wording and asked for in another, often beside near misses."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import re
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.demo_model.data.language import invented
from tests.demo_model.data.language.inflection import continued, plural, third, with_article
from tests.demo_model.data.language.wording import capitalised, phrase
from tests.demo_model.data.tools import composed, wishes
from tests.demo_model.data.tools.catalogue import Arguments, Function, schema_of, styled
from tests.demo_model.data.tools.concepts import NOUNS, PARAMS, VERBS, Noun, Param, Verb
from tests.demo_model.data.tools.slots import Field

_WITH_VERB = {name: tuple(noun for noun in NOUNS if name in noun.verbs) for name in VERBS}
_ALIKE = (
    {"check", "show"}, {"check", "find"}, {"check", "track"}, {"find", "track"}, {"find", "show"}, {"cancel", "delete"}, {"send", "forward"}, {"send", "deliver"},
    {"start", "play"}, {"start", "open"}, {"stop", "close"}, {"create", "record"}, {"find", "request"}, {"buy", "request"}, {"upload", "share"}, {"cancel", "stop"},
    {"create", "request"}, {"check", "estimate"}, {"check", "compare"}, {"record", "register"}, {"stop", "pause"}, {"clean", "repair"}, {"check", "test"}, {"create", "schedule"},
)  # fmt: skip
"""Verbs of one noun that people would not tell apart."""
_RESULTS = (
    "status:ok", "status:ok reference:code", "confirmation:code", "confirmation_code:code total:money", "price:money currency:code", "total_price:money", "available:bool price:money", "found:int",
    "name:name rating:float", "result:word", "value:float unit:word", "minutes:int", "eta:clock driver:name", "start:clock end:clock", "date:date time:clock", "count:int next:date",
    "id:code state:state", "booking_id:code seat:code", "success:bool", "saved:bool id:code", "distance_km:float minutes:int", "temperature:int sky:sky", "message:text", "address:street phone:phone",
    "contact:email", "names:list", "titles:list count:int", "score:int rank:int", "balance:float", "speed:int level:int", "tracking_number:code arrival:date", "size:int", "url:url", "ready_at:clock",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Slot:
    """One parameter of one function."""

    name: str
    param: Param
    schema: dict[str, Any]


def offer(rng: Random, count: int) -> list[Function]:
    """Up to `count` functions, often of the same noun or the same verb, with names that differ."""
    pairs = _pairs(rng, count)
    made: list[Function] = []
    for verb, noun in pairs:
        rivals = [pair for pair in pairs if pair != (verb, noun)]
        function = _function(rng, verb, noun, rivals)
        if function.name not in {each.name for each in made}:
            made.append(function)
    return made


def _pairs(rng: Random, count: int) -> list[tuple[Verb, Noun]]:
    """Verbs and nouns that can be told apart."""
    noun, roll = rng.choice(NOUNS), rng.random()
    pairs: list[tuple[Verb, Noun]] = []
    if roll < 0.4:
        for name in rng.sample(noun.verbs, len(noun.verbs)):
            if len(pairs) < count and not any({name, verb.name} in _ALIKE for verb, _ in pairs):
                pairs.append((VERBS[name], noun))
        pairs = pairs[: rng.choice((2, 2, 3, 4))]
    elif roll < 0.65:
        verb = VERBS[rng.choice(noun.verbs)]
        pairs = [(verb, noun)]
        for other in rng.sample(_WITH_VERB[verb.name], min(count - 1, len(_WITH_VERB[verb.name]))):
            if _apart(other, pairs):
                pairs.append((verb, other))
        pairs = pairs[: rng.choice((2, 2, 3, 4))]
    while len(pairs) < count:
        other = rng.choice(NOUNS)
        if _apart(other, pairs):
            pairs.append((VERBS[rng.choice(other.verbs)], other))
    rng.shuffle(pairs)
    return pairs


def _apart(noun: Noun, pairs: list[tuple[Verb, Noun]]) -> bool:
    """Whether the noun shares no word with those of the pairs."""
    own = set(" ".join(noun.wordings).split())
    return all(own.isdisjoint(" ".join(other.wordings).split()) for _, other in pairs)


def _function(rng: Random, verb: Verb, noun: Noun, rivals: list[tuple[Verb, Noun]]) -> Function:
    avoided = {wording for other, _ in rivals if other is not verb for wording in other.wordings}
    named = any(other is noun for _, other in rivals)
    name = styled(rng, _name(rng, verb, noun, avoided, obscure=not rivals or rng.random() < 0.06))
    slots = _slots(rng, noun, camel=name != name.lower() and "_" not in name)
    always = [slot for slot in slots if slot.param.always]
    needed = always or slots[: rng.randint(1, len(slots))]

    def request(rng: Random) -> tuple[str, Arguments]:
        used = [(slot, slot.param.value(rng)) for slot in slots if slot in needed or rng.random() < 0.6]
        spoken = [(slot.param, value) for slot, value in used]
        text = wishes.wish(rng, verb, noun, spoken, avoided, named=named)
        return text, {slot.name: value for slot, value in used}

    fields = [Field(slot.name, slot.param.kind, slot.schema) for slot in slots]
    schema = schema_of(rng, name, _description(rng, verb, noun, avoided, slots), fields, [slot.name for slot in needed])
    return Function(name, schema, request, rng.choice(_RESULTS), -1)


def _name(rng: Random, verb: Verb, noun: Noun, avoided: set[str], *, obscure: bool) -> str:
    if obscure and rng.random() < 0.3:
        return rng.choice(
            (invented.word(rng), f"{invented.word(rng)}_{invented.word(rng)}", f"do_{invented.word(rng)}")
        )
    action, thing = rng.choice(_plain(verb, avoided)), rng.choice(noun.wordings)
    form = rng.choice(
        (
            "{a}_{t}",
            "{a}_{t}",
            "{a}_{t}",
            "{a}_{t}",
            "{a}_{t}",
            "{a}_{ts}",
            "{t}_{a}",
            "{a}_{t}_{x}",
            "{x}_{a}_{t}",
            "{t}_{ing}",
        )
    )
    extra = rng.choice(
        ("for_user", "now", "tool", "request", "v2", "api", "service", "item", "user", "task", invented.word(rng))
    )
    text = form.format(a=action, t=thing, ts=plural(thing), x=extra, ing=continued(action))
    return re.sub("[^a-z0-9_]", "", text.replace(" ", "_").replace("-", "_"))


def _plain(verb: Verb, avoided: set[str]) -> list[str]:
    """Wordings of the verb that take their object behind them."""
    kept = [each for each in verb.wordings if each not in avoided and "{}" not in each and " me" not in each]
    return kept or [verb.wordings[0]]


def _description(rng: Random, verb: Verb, noun: Noun, avoided: set[str], slots: list[_Slot]) -> str:
    action, thing = rng.choice(_plain(verb, avoided)), rng.choice(noun.wordings)
    one = thing if noun.mass else f"the {thing}" if verb.kind == "i" else with_article(thing)
    abouts = [
        rng.choice(slot.param.about).format(noun=thing, nouns=plural(thing))
        for slot in slots
        if slot.param.kind != "bool"
    ]
    abouts = [each for each in abouts if not each.startswith(_CLAUSES)]
    by = f" by {abouts[0]}" if abouts else ""
    needs = f". Needs the {' and the '.join(abouts[:2])}" if abouts else ""
    other = rng.choice(noun.wordings)
    text = phrase(
        rng,
        "[{verb} {one}|{verb} {one}|{verb} {one}|{verbs} {one}|{verb} {things}|use this to {verb} {one}|lets the user {verb} {one}|call this when somebody wants to {verb} {one}|{verb} {one} for the user|"
        "{verb} {one}{by}|{verb} {one}{needs}|function to {verb} {things}|tool for {verbing} {things}|{naming}|{verb} the {other} of a user|helps to {verb} {one}|{verbs} the {other} and says how it went]",
        verb=action, verbs=third(action), verbing=continued(action), naming=f"{continued(action)} of {plural(thing)}" if " " not in action and not noun.mass else f"{continued(action)} {one}", one=one, things=thing if noun.mass else plural(thing), by=by, needs=needs, other=other,
    )  # fmt: skip
    return capitalised(text)


def _slots(rng: Random, noun: Noun, *, camel: bool) -> list[_Slot]:
    """One to four parameters; those that every request needs are among them, and often two numbers."""
    count = min(len(noun.params), rng.choice((1, 2, 2, 3, 3, 4)))
    order = rng.sample(noun.params, len(noun.params))
    if rng.random() < 0.4:
        order.sort(key=lambda each: not PARAMS[each].number)
    order.sort(key=lambda each: not PARAMS[each].always)
    chosen = order[: max(count, sum(PARAMS[each].always for each in order))]
    if rng.random() < 0.7:
        rng.shuffle(chosen)
    slots: list[_Slot] = []
    for key in chosen:
        slot = _slot(rng, key, rng.choice(noun.wordings), {each.name for each in slots}, camel=camel)
        slots.append(slot)
    return slots


_CLAUSES = ("whether", "who", "how", "what", "why", "where", "on ", "with ", "under ", "from ")
_TYPES = {"int": "integer", "float": "number", "money": "number", "bool": "boolean"}


def _slot(rng: Random, key: str, noun: str, taken: set[str], *, camel: bool) -> _Slot:
    param = PARAMS[key]
    described = rng.random() < 0.85
    name = key
    for _ in range(9):
        name = (
            rng.choice((key, *param.names))
            if rng.random() < 0.75 or not described
            else composed.key(rng, rng.choice(param.names))
        )
        if camel and "_" in name:
            first, *rest = name.split("_")
            name = first + "".join(part.capitalize() for part in rest)
        if name not in taken:
            break
    else:
        name = f"{name}{len(taken)}"
    json_type = _TYPES.get(param.kind.partition(":")[0], "string")
    if json_type == "integer" and rng.random() < 0.2:
        json_type = "number"
    schema: dict[str, Any] = {"type": json_type}
    if described:
        schema["description"] = _about(rng, param, noun)
    if param.choices:
        schema["enum"] = list(param.choices)
    return _Slot(name, param, schema)


def _about(rng: Random, param: Param, noun: str) -> str:
    """A description of the parameter, in one of several styles."""
    about = rng.choice(param.about).format(noun=noun, nouns=plural(noun))
    if about.startswith(_CLAUSES):
        forms = "{about}|{about}|says {about}|{about}, if the user says so"
    elif param.kind == "text" or param.choices or param.kind == "bool":
        forms = (
            "{about}|the {about}|{about}, one of several|{about}, if given"
            if param.choices
            else "{about}|the {about}|{about}, as written by the user"
        )
    else:
        forms = "{about}|{about}|the {about}|the {about}|the {about}|{about}, e.g. {sample}|{about} (for example {sample})|{about}, such as {sample}|{about}, exactly as the user says it|{about} for the {noun}|optional: {about}|this is the {about} that the user asks for|{about}, if the user names one"
    sample = param.value(rng) if "{sample}" in forms else ""
    return capitalised(phrase(rng, forms, about=about, sample=sample, noun=noun)) + rng.choice(("", "", "."))
