"""The ways in which people dress a request: politeness before and after it, and sentences around it that ask for nothing."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from services.demo_model.data.wording import capitalised, phrase

_COMMANDS = (
    ("", "[.|]"), ("", "[.|]"), ("", "[.|]"), ("", "[, please|, thanks|, thank you|, will you|, would you|, okay][.|?|!]"), ("[please|kindly|just|now|quickly] ", "[.|!|]"),
    ("[can|could|would|will] you [please |kindly |maybe |quickly |also |]", "[?|?|, please?|]"),
    ("[I want you to|I need you to|I'd like you to|I would like you to|you should|you have to|we have to|we need to|I must|I have to|I want to|I need to|I'd like to|I would like to|let's|let us] ", "[.|.|]"),
    ("[it is time to|it's time to|don't forget to|remember to|help me to|help me|go ahead and|be so kind and|make sure to|try to|do not hesitate to|feel free to] ", "[.|!|]"),
    ("[is it possible to|can we|could we|may I ask you to|how about we|are you able to|do you think you can|would it be possible to|can I|could I] ", "[?|]"),
    ("[I was hoping you could|it would be great if you could|I'd be glad if you could|maybe you can|perhaps you could|I wonder if you could|my wish is to|the plan is to|all I want is to] ", "[.|]"),
    ("[hey|okay|well|alright|right|listen|hello|hi|so|good], ", "[.|!|]"),
)  # fmt: skip
_TRAILERS = (
    "right now", "now", "for me", "for us", "at once", "again", "as soon as you can", "if possible", "if you can", "straight away", "this time",
    "when you have a minute", "before I forget", "without delay", "once more", "in the usual way", "as always", "immediately", "then", "too", "first",
)  # fmt: skip
_AROUND = (
    "I am in a hurry.", "My boss asked for it.", "It is urgent.", "It's rather important.", "My friends are waiting.", "I can't do it myself.", "We talked about it last week.",
    "That would help me a lot.", "I have been waiting for days.", "There is not much time.", "I hope that works.", "Somebody has to do it.", "You did it well last time.", "I almost forgot.",
    "Here is what I need.", "I have a job for you.", "One more thing.", "We are nearly done.", "It was a long day.", "Nobody else is here.", "Thanks in advance.", "I count on you.",
    "My wife is asking.", "The children want it.", "Our guests will be here soon.", "No need to hurry.", "I am on my way.", "Let me know when it is done.", "This is for work.", "Sorry to bother you.",
)  # fmt: skip


def commanded(rng: Random, text: str) -> str:
    """A request that begins with a verb, made polite or not, with what may stand around it."""
    before, after = rng.choice(_COMMANDS)
    return _surrounded(rng, phrase(rng, before) + _trailed(rng, text) + phrase(rng, after))


def uttered(rng: Random, text: str) -> str:
    """A whole sentence, with what may stand behind it and around it."""
    return _surrounded(rng, text if text[-1] in ".?!" else _trailed(rng, text))


def _trailed(rng: Random, text: str) -> str:
    """Now and then with an adverb, so that the last value is not the last word."""
    return f"{text} {rng.choice(_TRAILERS)}" if rng.random() < 0.16 else text


def _surrounded(rng: Random, text: str) -> str:
    """With a capital, now and then with a sentence before or after that asks for nothing."""
    text = capitalised(text)
    roll = rng.random()
    if roll < 0.07:
        return f"{rng.choice(_AROUND)} {text}"
    if roll < 0.15:
        return f"{text if text[-1] in '.?!' else text + '.'} {rng.choice(_AROUND)}"
    return text
