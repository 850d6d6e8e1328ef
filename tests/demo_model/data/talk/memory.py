"""Facts that the user tells and asks for later, with other turns between."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from tests.demo_model.data.conversation import Exchange, ExchangeMaker, Message, Tool, system
from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.typed import loosened
from tests.demo_model.data.language.wording import capitalised, phrase, sentences
from tests.demo_model.data.talk import facts, questions, smalltalk, writing
from tests.demo_model.data.talk.facts import Fact

_SYSTEM = (
    "You are a helpful assistant.", "Remember what the user tells you.", "You are a friendly assistant with a good memory.",
    "Keep your answers short.", "Answer briefly.", "You are chasqui-demo.", "Use what you know about the user.", "Be friendly.",
)  # fmt: skip
_OTHERS: tuple[ExchangeMaker, ...] = (
    questions.question, questions.question, smalltalk.thanks, smalltalk.reaction, smalltalk.identity, smalltalk.unknown,
    writing.chat_topic,
)  # fmt: skip


def conversations(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """One to three facts and up to four other exchanges; then each fact is asked for twice, one that was not told, and all."""
    if rng.random() < 0.07:
        return _suggestions(rng), []
    known = _distinct(rng, rng.choice((1, 1, 2, 2, 3)))
    if rng.random() < 0.06:
        return [_messages([_at_once(rng, fact)]) for fact in known], []
    opening = [system(rng.choice(_SYSTEM))] if rng.random() < 0.15 else []
    told = [] if rng.random() < 0.08 and all(map(_of_user, known)) else _told(rng, known)
    if not told:
        lines = " ".join(f"{capitalised(_of_user(fact))}." for fact in known)
        opening = [system(phrase(rng, "[What we know: |About the user: |Answer briefly. |Notes: |]") + lines)]
    if told and rng.random() < 0.18:
        known[-1], correction = _corrected(rng, known[-1])
        told.append(correction)
    others = [rng.choice(_OTHERS)(rng) for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 4)))]
    opening += [message for turn in (*told, *others) for message in turn.messages()]
    return [[*opening, *_messages(ending)] for ending in _endings(rng, known)], []


def never_told(rng: Random) -> Exchange:
    """A question for a fact that the user has not given."""
    return _never_told(rng, facts.draw_missing(rng))


def _distinct(rng: Random, count: int) -> list[Fact]:
    """Facts of different topics; at times all of one kind, such as two people's names."""
    known: list[Fact] = []
    while len(known) < count:
        fact = facts.draw(rng)
        if len(known) == 1 and rng.random() < 0.35:
            fact = facts.sibling(rng, known[0])
        if not any(fact.topics & each.topics for each in known):
            known.append(fact)
    return known


def _told(rng: Random, known: list[Fact]) -> list[Exchange]:
    """Each fact in a turn of its own, two in one turn, or a question behind a fact, which alone is answered."""
    turns: list[Exchange] = [smalltalk.greeting(rng)] if rng.random() < 0.12 else []
    rest = list(known)
    if len(rest) > 1 and rng.random() < 0.5:
        one, two = rest.pop(0), rest.pop(0)
        first, second = one.core(rng), two.core(rng)
        core = facts.frame(rng, "together", one=first, two=second, two_capital=capitalised(second))
        ask = facts.framed(facts.frame(rng, "told", core="{core}"), core)
        turns.append(Exchange(ask, facts.frame(rng, "both", state=one.state, other=two.state)))
    for fact in rest:
        if rng.random() < 0.15:
            question = questions.question(rng)
            turns.append(Exchange(sentences(f"{fact.core(rng)}{rng.choice('.!.')} {question.ask}"), question.answer))
        else:
            turns.append(Exchange(_typed(rng, fact.told(rng)), fact.understood(rng)))
    return turns


def _at_once(rng: Random, fact: Fact) -> Exchange:
    """A fact and the question for it in one message."""
    told = fact.told(rng)
    return Exchange(f"{told if told[-1] in '.?!' else told + '.'} {fact.asked(rng)}", fact.recalled(rng))


def _typed(rng: Random, text: str) -> str:
    """The text, now and then behind a word that opens it; values keep their capitals."""
    roll = rng.random()
    return text if roll < 0.94 else f"{rng.choice(('Okay.', 'Well.', 'So.', 'Thanks.', 'Good.', 'Hi!'))} {text}"


def _corrected(rng: Random, fact: Fact) -> tuple[Fact, Exchange]:
    """The fact with another value, and the turn that says so."""
    new = fact.with_value(rng)
    core = "{core}"
    ask = facts.frame(rng, "correction", core=core, old=fact.slots["value"], value=new.slots["value"])
    return new, Exchange(facts.framed(ask, new.core(rng)), facts.frame(rng, "corrected", state=new.state))


def _endings(rng: Random, known: list[Fact]) -> list[list[Exchange]]:
    endings = [[Exchange(fact.asked(rng), fact.recalled(rng))] for fact in (*known, *known)]
    unknown = facts.draw_missing(rng)
    if not any(unknown.topics & fact.topics for fact in known):
        endings.append([_never_told(rng, unknown)])
    if len(known) < 3 and rng.random() < 0.3:
        endings.append([_summary(rng, known)])
    if len(known) > 1:
        endings.append([Exchange(fact.asked(rng), fact.recalled(rng)) for fact in rng.sample(known, len(known))])
    if rng.random() < 0.5:
        fact = rng.choice(known)
        used = _used(rng, fact)
        endings.append([used or Exchange(fact.asked(rng), fact.recalled(rng))])
    return endings


def _summary(rng: Random, known: list[Fact]) -> Exchange:
    """A question for all that was told."""
    states = " and ".join(fact.state for fact in known)
    return Exchange(loosened(rng, phrase(rng, _ALL_TOLD)), f"You told me that {states}.")


_ALL_TOLD = (
    "[What|Which things] [do you know|do you remember|did I tell you|have I told you|did you learn|have you learned] about me[ so far| until now| today|][?|]|[Tell me|Say|Repeat|Sum up|Let me hear] [what you know about me|everything that you know about me|what I told you about me|all that I told you][.|, please.|]|"
    "What [did I tell you|have I told you|did I say] [so far|about myself|at the beginning][?|]|[Can you|Could you|Please] [repeat|sum up|say] [what I told you|what I said about myself|everything you know about me][?|]"
)


def _never_told(rng: Random, fact: Fact) -> Exchange:
    return Exchange(fact.asked(rng), fact.missing())


def _messages(turns: list[Exchange]) -> list[Message]:
    return [message for turn in turns for message in turn.messages()]


def _of_user(fact: Fact) -> str:
    """The fact as a system prompt tells it: of the user. Empty for what it cannot tell."""
    state = fact.state
    for mine, theirs in (("your ", "the user's "), ("you are ", "the user is "), ("you have ", "the user has ")):
        if state.startswith(mine):
            return theirs + state.removeprefix(mine)
    return "" if state.startswith("you ") else state


def _used(rng: Random, fact: Fact) -> Exchange | None:
    """A turn that makes use of a name, or an age, or asks what it was that has this value."""
    value = fact.slots["value"]
    if fact.patterns is facts.SPECIAL["name"]:
        ask, answer = rng.choice(_BY_NAME)
        return Exchange(loosened(rng, phrase(rng, ask)), phrase(rng, answer, value=value, letter=value[0]))
    if fact.patterns is facts.SPECIAL["age"]:
        ask = "[How old will I be|What will my age be|Which age will I have|How old am I going to be] [next year|in one year|in a year|on my next birthday|a year from now]?"
        return Exchange(loosened(rng, phrase(rng, ask)), f"You will be {int(value) + 1} years old.")
    if fact.patterns is facts.BEING:
        ask = "[[Who|What] is|Who did I say is|Do you [remember|know] who is|Who was|And who is] {value}[?|]|[Tell me|Remind me|Say|Do you know|Do you remember] who {value} is[.|?|]"
        return Exchange(loosened(rng, phrase(rng, ask, value=value)), f"{value} is your {fact.slots['noun']}.")
    return None


_BY_NAME = (
    ("[Say|Please say|Can you say|Now say] [hello|hi|good morning|hello to me] [by|with|using] my name[.|, please.|?|]|[Greet|Welcome|Please greet] me [by|with] [my|the right] name[.|, please.|]|[How would you greet me by name|Can you greet me by name]?", "Hello, {value}!"),
    ("[Say|Please say|Can you say|Wish me] [goodbye|good-bye|farewell|bye] [by|with|using] my name[.|, please.|?|]", "Goodbye, {value}!"),
    ("[Wish me|Say|Please wish me] [good night|a good night] [by|with|using] my name[.|, please.|?|]", "Good night, {value}!"),
    ("[What is the first letter of my name|Which letter does my name begin with|With which letter does my name start]?", "The first letter of your name is \"{letter}\"."),
)  # fmt: skip


def _suggestions(rng: Random) -> list[list[Message]]:
    """The assistant names something, and is asked for it later."""
    ask, answer, again, recall, pool = rng.choice(_SUGGESTED)
    value = rng.choice(pool) if pool else str(rng.randint(1, 100))
    noun = rng.choice(
        ("dog", "cat", "boat", "horse", "parrot", "baby", "ship", "doll", rng.choice(words.ANIMALS), invented.word(rng))
    )
    first = Exchange(loosened(rng, phrase(rng, ask, noun=noun)), phrase(rng, answer, value=value))
    others = [rng.choice(_OTHERS)(rng) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    asks = [Exchange(loosened(rng, phrase(rng, again, noun=noun)), phrase(rng, recall, value=value)) for _ in range(3)]
    return [[*_messages([first, *others]), *each.messages()] for each in asks]


_SUGGESTED: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    ("[Suggest|Give me|Think of|Tell me|I need|Can you suggest|Find|Do you have|Invent|Please choose|Pick] a [good |nice |short |new |]name for my {noun}[.|, please.|?|]|[What should I|How shall I|What can I] call my {noun}?|[Which|What] name [would you give|fits|is good for] my {noun}?",
     "How about {value}?", "[Which|What] name did you [suggest|say|choose|give me|propose][ for my {noun}| again|]?|What was [the name|your idea|your suggestion|the name you suggested] [for my {noun}|again]?|[Tell me|Repeat|Remind me of] the name you [suggested|gave me|chose][.|, please.|]|What did you want to call my {noun}?|What was your name for my {noun}?",
     "I suggested {value}.", words.FIRST_NAMES),
    ("[Think of|Pick|Choose|Tell me|Give me|Say|Name] a [random |]number[ between 1 and 100| from 1 to 100| up to 100|][.|, please.|!|]", "My number is {value}.",
     "[Which|What] number did you [think of|pick|choose|say|name]?|What was [your number|the number you chose|that number of yours]?|[Tell me|Repeat|Remind me of] your number[.|, please.|]|Do you remember your number?", "My number was {value}.", ()),
    ("[Pick|Choose|Suggest|Name|Give me|I need] a [nice |good |]colour for [my|the|our] [wall|room|{noun}|door|kitchen|bike|dress][.|, please.|?|]|[Which|What] colour [should|shall] I paint my {noun}?", "I would choose {value}.",
     "[Which|What] colour did you [suggest|choose|say|pick|name]?|What was [your colour|the colour you chose|the colour again]?|[Tell me|Repeat|Remind me of] the colour you chose[.|, please.|]", "I chose {value}.", words.COLOURS),
    ("[Suggest|Name|Pick|Choose|Give me|Recommend] a [nice |good |]city [to visit|for my holiday|for a weekend|for a trip][.|, please.|?|]|[Which city|Where] should I [go to|visit|travel to] [next|in summer|for my holiday]?", "I would choose {value}.",
     "[Which|What] city did you [suggest|choose|say|pick|name]?|What was [your city|the city you chose|the city again]?|[Tell me|Repeat|Remind me of] the city you chose[.|, please.|]", "I chose {value}.", words.CITIES),
    ("[Pick|Choose|Think of|Imagine] an animal[ for me| for a game| for my story|][.|, please.|!|]", "My animal is the {value}.",
     "[Which|What] animal did you [pick|choose|think of|say|name]?|What was [your animal|the animal you chose|the animal again]?|[Tell me|Repeat|Remind me of] your animal[.|, please.|]", "My animal was the {value}.", words.ANIMALS),
)  # fmt: skip
