"""The ways in which people dress a request: politeness before and after it, and sentences around it that ask for nothing."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import re
from random import Random

from tests.demo_model.data.language import asides
from tests.demo_model.data.language.wording import capitalised, phrase

_PLAIN = (
    ("", "[.|]"),
    ("", "[.|]"),
    ("", "[.|]"),
    ("", "[, please|, thanks|, thank you|, will you|, would you|, okay|, if you would|, if you don't mind][.|?|!]"),
)
_TO_YOU = (
    *_PLAIN,
    ("[please|kindly|just|now|quickly|yes, please|do] ", "[.|!|]"),
    ("[can|could|would|will] you [please |kindly |maybe |quickly |also |just |perhaps |possibly |]", "[?|?|, please?|]"),
    ("[could you be so kind as to|might you|can you help me to|could you help us|will you help me|can you manage to|would you be able to|are you able to] ", "[?|?|]"),
    ("[I want you to|I need you to|I'd like you to|I would like you to|you should|you have to|you can|you may|I'm asking you to|I'd ask you to] ", "[.|.|]"),
    ("[I was hoping you could|it would be great if you could|I'd be glad if you could|maybe you can|perhaps you could|I wonder if you could|I wonder whether you could|I was wondering if you could|it would be nice if you could|I'd appreciate it if you could|I'd be grateful if you would|I was going to ask you to] ", "[.|.|?|]"),
)  # fmt: skip
"""What may stand around a request like `tell me the time`, too."""
_COMMANDS = (
    *_TO_YOU,
    ("[we have to|we need to|I must|I have to|I want to|I need to|I'd like to|I would like to|let's|let us|we want to|we'd like to|I've got to|I'd love to|we ought to|I'm trying to|I am supposed to|I am going to] ", "[.|.|]"),
    ("[it is time to|it's time to|don't forget to|remember to|help me to|help me|go ahead and|be so kind and|make sure to|try to|do not hesitate to|feel free to|be a dear and|do me a favour and|be sure to] ", "[.|!|]"),
    ("[is it possible to|can we|could we|may I ask you to|how about we|do you think you can|would it be possible to|can I|could I|might I|is there a way to|any chance to|any chance I could|any chance you could|what if we|shall we|should we] ", "[?|]"),
    ("[my wish is to|the plan is to|all I want is to|my next task is to|what I need is to|the idea is to|all that is left is to|the next thing is to|I'm in the mood to|I have been told to|my boss wants me to] ", "[.|]"),
    ("[hey|okay|well|alright|right|listen|hello|hi|so|good|hey there|good morning|hi there|um|oh|ah yes], [please |can you |could you |I need to |]", "[.|!|]"),
)  # fmt: skip
_TRAILERS = (
    "right now", "now", "for me", "for us", "at once", "again", "as soon as you can", "if possible", "if you can", "straight away", "this time",
    "when you have a minute", "before I forget", "without delay", "once more", "in the usual way", "as always", "immediately", "then", "too", "first",
    "please", "right away", "as soon as possible", "when you get a chance", "whenever you can", "if it's not too much trouble", "if that's okay", "real quick", "asap", "for a change",
    "if you don't mind", "in any case", "as quickly as possible", "if that works", "or something like that", "if there is one", "as we agreed", "like last time", "just this once", "while you are at it",
)  # fmt: skip
_AROUND = (
    "I am in a hurry.", "My boss asked for it.", "It is urgent.", "It's rather important.", "My friends are waiting.", "I can't do it myself.", "We talked about it last week.",
    "That would help me a lot.", "I have been waiting for days.", "There is not much time.", "I hope that works.", "Somebody has to do it.", "You did it well last time.", "I almost forgot.",
    "Here is what I need.", "I have a job for you.", "One more thing.", "We are nearly done.", "It was a long day.", "Nobody else is here.", "Thanks in advance.", "I count on you.",
    "My wife is asking.", "The children want it.", "Our guests will be here soon.", "No need to hurry.", "I am on my way.", "Let me know when it is done.", "This is for work.", "Sorry to bother you.",
    "[Thanks|Thank you|Cheers|Many thanks|Thank you so much][.|!]", "[My|Our] [sister|mother|father|boss|neighbour|brother|cousin|daughter|uncle|teacher|landlord] [is coming|is waiting|asked me|wants to know|told me to ask|is visiting|will be pleased|is ill|needs help].",
    "[I am|I'm|We are|We're] [so tired|late|busy|very hungry|almost there|on the phone|driving|at work|getting ready|packing|about to leave|short of time|a bit lost].",
    "[Good morning|Good evening|Hello there|Hi again|Hey|Okay|Alright|Right][.|!]", "[I'd|We'd] be [glad|happy|grateful|so pleased].", "[It|That] [would be great|is all|is for a friend|can't wait|is a surprise|is no joke|has to work|was my idea].",
    "[You know how it is|I know it is late|As I said|It never stops|What a day|Here we go|Back to work|I keep forgetting|No rush|Last thing for today][.|!]", "[Is that okay|Can you do that|Does that work|Would that work|All right|Okay]?",
)  # fmt: skip
_FOR_SPEAKER = re.compile(r"\w+ (me|us)\b")
NEEDLESS_ON = re.compile(r"\b(on|for on) (?=(?:tomorrow|today|tonight|next \w+|this \w+day|the day after tomorrow)\b)")


def commanded(rng: Random, text: str) -> str:
    """A request that begins with a verb, made polite or not, with what may stand around it."""
    return surrounded(rng, dressed(rng, text))


def dressed(rng: Random, text: str, *, closed: bool = False) -> str:
    """The request that begins with a verb, made polite or not.

    With `closed`, its last words are a free text, whose end nobody could see if more words stood behind it.
    """
    before, after = rng.choice(_TO_YOU if _FOR_SPEAKER.match(text) else _COMMANDS)
    if closed:
        return phrase(rng, before) + text + rng.choice((".", ""))
    return phrase(rng, before) + trailed(rng, text) + phrase(rng, after)


def uttered(rng: Random, text: str) -> str:
    """A whole sentence, with what may stand behind it and around it."""
    return surrounded(rng, text if text[-1] in ".?!" else trailed(rng, text))


def trailed(rng: Random, text: str) -> str:
    """Now and then with an adverb, so that the last value is not the last word."""
    roll = rng.random()
    if roll < 0.08:
        return f"{text} {rng.choice(_TRAILERS)}"
    if roll < 0.13:
        return f"{text}{rng.choice((' ', ', '))}{asides.closing(rng)}"
    return f"{text}{rng.choice((' ', ' ', ', '))}{asides.reason(rng)}" if roll < 0.18 else text


def surrounded(rng: Random, text: str) -> str:
    """With a capital, now and then with a sentence before or after that asks for nothing."""
    text = capitalised(NEEDLESS_ON.sub("", text))
    roll = rng.random()
    if roll < 0.14:
        return f"{_aside(rng)} {text}"
    if roll < 0.22:
        return f"{text if text[-1] in '.?!' else text + '.'} {_aside(rng)}"
    return text


def _aside(rng: Random) -> str:
    return asides.sentence(rng) if rng.random() < 0.6 else phrase(rng, rng.choice(_AROUND))
