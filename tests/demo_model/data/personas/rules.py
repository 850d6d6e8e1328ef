"""Rules of a system prompt that every answer keeps: words to begin or end with, a title for the user, a name to sign with."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from collections.abc import Callable
from random import Random

from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.wording import phrase
from tests.demo_model.data.personas.roles import love, persona_name
from tests.demo_model.data.personas.voices import PARTS, split

_EXCLAMATIONS, _ADDRESSES = split(PARTS["exclamations"]), split(PARTS["addresses"])
_EACH = "[every|each|every single|any] [answer|reply|message|response|sentence of yours|turn]"
_ALL = "[all|all of] your [answers|replies|messages|responses]"
_LINES = {
    "end": (
        f"[End|Finish|Close|Conclude|Always end|Always finish|Please end|Wrap up] {_EACH} with[ the words| the phrase| the sentence|] {{text}}.", f"[End|Finish|Close|Always end|You end] {_ALL} with {{text}}.",
        f"[Add|Put|Write|Append|Place|Say|Always add|You must add] {{text}} [at the end of|to the end of|after] {_EACH}.", f"[At the end of|After] {_EACH}[,|] [say|add|write|put|you say] {{text}}.", f"{_EACH} [ends|must end|should end|has to end|shall end|always ends] with {{text}}.",
        f"The last [words|thing|line] of {_EACH} [must|should|shall] be {{text}}.", "[Always|You always] [end|finish|close] with {text}.", "You [always end your sentences with|finish everything with|end whatever you say with|close with] {text}.", "[Never forget to|Do not forget to|Remember to|Make sure to|Be sure to] [end|finish|close] with {text}.",
        "[Your|The] [last|final|closing] words are always {text}.", "You always say {text} when you are done.", "[When|Once|After] you have answered, [say|add|write] {text}.", "Whatever you [say|write], [end with|finish with|close with] {text}.", "No answer without {text} at the end.",
        "[I want|I'd like|We want] {text} at the end of everything you [say|write].", "[Ending|Last line|Closing words|Your closing]: {text}.", "[Always|You always] say {text}.", "You have a habit: you always [say|add] {text} at the end.", "Your catchphrase is {text}[ and you always end with it|, use it at the end of every answer| and it ends every answer].",
    ),
    "begin": (
        f"[Begin|Start|Open|Always begin|Always start|Please start|Introduce] {_EACH} with[ the words| the phrase| the word|] {{text}}.", f"[Begin|Start|Open|Always begin|You begin] {_ALL} with {{text}}.", f"[Put|Write|Say|Place|Always say] {{text}} [at the beginning of|at the start of|before] {_EACH}.",
        f"[Before|At the start of|At the beginning of] {_EACH}[,|] [say|write|put|you say] {{text}}.", f"{_EACH} [begins|must begin|should start|starts|has to start|shall begin] with {{text}}.", f"The first [words|thing] of {_EACH} [must|should|shall] be {{text}}.",
        "[Always|You always] [begin|start|open] with {text}.", "You [always begin your sentences with|start everything with|open whatever you say with] {text}.", "[Never forget to|Do not forget to|Remember to|Make sure to|Be sure to] [begin|start] with {text}.", "[Your|The] [first|opening] words are always {text}.",
        "Whatever you [say|write], [begin with|start with] {text}.", "First say {text}[, then answer|, and then give the answer].", "Say {text} first[, then answer|, and then give the answer|].", "[I want|I'd like|We want] {text} at the beginning of everything you [say|write].", "[Opening|First words|Your opening|Beginning]: {text}.", "You say {text} before you answer[ anything|].",
        "No answer without {text} at the beginning.",
    ),
    "address": (
        "[Call|Always call|Please call] [the user|me|everyone|your guest|whoever writes|the person you talk to] {text}.", "[Address|Always address] [the user|me|everybody|people|your guest] [as|with] {text}.", "The user [wants to be|is to be|should be|must be|likes to be] [called|addressed as] {text}.", "You [call|always call|address] [the user|everybody|your guests|all people] {text}.",
        f"[Use|Say] {{text}} [for|to] the user in {_EACH}.", "I am {text} to you, so call me that.", "[To you, the user is|The user is to you] {text}.", "[Say|Use] {text} when you [speak to|address|talk to] [me|the user].", "You [are talking|talk|speak] to {text}: [call them that|use this title|say it every time].", "My title is {text}, [use it|and you use it|don't forget it].", "[Everyone who writes|Whoever asks] is {text} [for|to] you.",
        "[Never forget to|Remember to|Make sure to] call [the user|me] {text}.",
    ),
    "mention": (
        f"[Always mention|Always talk about|Mention|Talk about|Bring up|Speak of|Say something about|Refer to] {{text}} in {_EACH}.", f"{_EACH} [must|should|has to] [mention|speak of|be about|contain something about] {{text}}.", "[Never forget|Do not forget|Remember|Make sure] to mention {text}.", "[You always come back to|You mention|You always bring up|You cannot stop talking about] {text}[, whatever is asked| in every answer|].",
        "Whatever you are asked, [mention|think of|talk about|bring up|come back to] {text}[ too|].", "Everything [reminds you of|makes you think of] {text}, and you say so.", "No answer without {text}.", f"[Work|Put|Squeeze|Bring] {{text}} into {_EACH}.", "Each time, [mention|bring up] {text} as well.", "You are obsessed with {text} and always mention it.",
    ),
    "sign": (
        f"[Sign|Always sign|Please sign] {_EACH} [with|as|with the name|with your name,] {{text}}.", f"[Sign|You sign] {_ALL} [with|as] {{text}}.", "[Sign|You sign|Always sign] [with|as] {text}.", "[Your|The] signature is {text}[, and it stands under every answer|; use it always|].", f"[Put|Write] [your|the] signature {{text}} under {_EACH}.", f"{_EACH} is signed by {{text}}.", "You write [short letters|little notes], signed {text}.",
    ),
    "third": (
        "[Speak|Talk] of yourself as {text}.", "[Speak|Talk] [of|about] yourself in the third person[ as|, as|: you are] {text}.", "[Refer to|Call|Name] yourself {text} [and never say I|in every answer|whenever you answer|always].", "[Begin every answer with|Start each reply with] {text} says.", "[Do not|Don't|Never] say I, say {text}[ instead|].", "[You call yourself|You always speak of yourself as|You never say I, but] {text}.", "When you answer, say that {text} says it.", "Instead of I, [you say|use|say] {text}.",
    ),
    "smile": (
        "[Use|Add|Put|Always use] [an emoji|a smiley|emojis|a smile|a friendly emoji] [in|to|at the end of] [every|each] [answer|reply|message].", "[Use|Add] [emojis|smileys][, please|].", "[End|Finish|Close] [every|each] [answer|reply|message] with [a smiley|an emoji|a smile].", "You [like|love] [emojis|smileys] and [use them|add one] every time.", "No answer without [an emoji|a smiley].",
    ),
    "upper": (
        "[Write|Answer|Reply|Respond|Speak|Shout] [only |everything |always |]in [capital letters|capitals|upper case|all caps|CAPITAL LETTERS|block letters|big letters].", "[Use|Always use|Write with] [only |nothing but |][capital letters|capitals|upper case|upper case letters].", "[Shout|You shout|SHOUT] [everything|every answer|all your answers] in [capitals|capital letters|upper case].", "ALL CAPS[, please|].", "[Your caps lock|The caps lock key] is [stuck|on].", "ANSWER IN CAPITAL LETTERS.", "Capital letters only[, please|].",
    ),
    "lower": (
        "[Write|Answer|Reply|Respond] [only |everything |always |]in [lower case|small letters|lowercase|lower case letters].", "[Never|Do not|Don't] [use|write] [capital letters|capitals|upper case].", "[Lower case|Small letters|Lowercase] only[, please|].", "[use|write] only lower case.", "No capital letters[, please|].",
    ),
    "only": (
        "[Whatever|No matter what] the user [says|asks|writes], [answer|reply|respond|say][ only|] {text}.", "[Answer|Reply to|Respond to] [everything|every question|every message|all questions] with {text}[ and nothing else| only|, no more|].", "[The only thing you can say is|You only say|You can only say|All you ever say is|Your only answer is|You know only the words] {text}.", "[Say|Answer|Reply|Write] only {text}[, whatever is asked|, always|].", "Your answer is always {text}.", "[Always answer|Always reply|Always say] {text}[ and nothing else|, no matter what| and no more].",
    ),
}  # fmt: skip


def _said(rng: Random) -> str:
    """A few words to be copied: an exclamation, a motto, or invented."""
    noun, other = rng.choice(words.PLAIN_NOUNS), rng.choice(words.PLAIN_NOUNS)
    mottos = (
        "Long live the {noun}!", "May the {noun} be with you!", "By the {adjective} {noun}!", "Praise the {noun}!", "[Never|Do not] forget the {noun}[.|!]", "Stay {adjective}[.|!|]", "{Noun}s forever!", "Have a {adjective} day[.|!]",
        "The {noun} is {adjective}.", "Greetings from {city}[.|!]", "So says {name}.", "{word} {word2}[!|.|]", "{Word}[!|.|]", "{Word}, {word}[!|.|]", "#{word}", "*{word}*", "{noun} and {other}", "As the {noun} says.", "Thanks to the {adjective} {noun}.", "To the {noun}!", "Beware of the {adjective} {noun}!",
        "Yours truly, {name}.", "Peace and {noun}s!", "{Adjective} regards!", "Hello from {city}[:|!]", "{Love}!", "I love {love}[.|!]", "Let there be {love}[.|!]", "and that is {adjective}", "my {adjective} {noun}", "{noun}", "{word}", "In the name of the {noun}[:|,|.]", "{Adjective} greetings[:|!|,]", "Dear {noun}[:|,]",
    )  # fmt: skip
    word, adjective, liked = invented.word(rng), rng.choice(words.ADJECTIVES), love(rng)
    slots = {
        "noun": noun, "Noun": noun.capitalize(), "other": other, "adjective": adjective, "Adjective": adjective.capitalize(), "city": invented.city(rng),
        "name": persona_name(rng), "word": word, "Word": word.capitalize(), "word2": invented.word(rng), "love": liked, "Love": liked.capitalize(),
    }  # fmt: skip
    return rng.choice(_EXCLAMATIONS) if rng.random() < 0.35 else phrase(rng, rng.choice(mottos), **slots)


def _address(rng: Random) -> str:
    if rng.random() < 0.6:
        return rng.choice(_ADDRESSES)
    title = rng.choice(
        (
            "Captain",
            "Sir",
            "Lady",
            "Dr.",
            "Mr.",
            "Ms.",
            "Mrs.",
            "Miss",
            "Agent",
            "Professor",
            "my dear",
            "King",
            "Queen",
            "old",
        )
    )
    return rng.choice(
        (
            f"{title} {persona_name(rng)}",
            persona_name(rng),
            f"my {rng.choice(words.ADJECTIVES)} {rng.choice(words.PLAIN_NOUNS)}",
            invented.word(rng),
        )
    )


_MAKERS: dict[str, Callable[[Random], str]] = {
    "end": lambda rng: _said(rng).rstrip(":,"), "begin": _said, "address": _address, "mention": love, "sign": persona_name, "third": persona_name,
    "smile": lambda _: "🙂", "upper": lambda _: "", "lower": lambda _: "", "only": _said,
}  # fmt: skip
_KINDS, _WEIGHTS = tuple(_MAKERS), (30, 24, 16, 12, 8, 6, 4, 4, 2, 4)


def draw(rng: Random, count: int, *, voiced: bool) -> dict[str, str]:
    """Rules by their kind, each with the text to be copied; beside a persona only those that leave room for it."""
    chosen: dict[str, str] = {}
    while len(chosen) < count and "only" not in chosen:
        kind = rng.choices(_KINDS, _WEIGHTS)[0]
        if not (kind in ("third", "only", "lower") and voiced) and not (kind == "only" and chosen):
            chosen[kind] = _MAKERS[kind](rng)
    return chosen


_HABITS = {
    "end": (
        " who [ends|finishes|closes] [every sentence|every answer|everything|each reply|whatever is said] with {text}", " who always [says|adds] {text} [at the end|when done|in the end]", " who always says {text}", " whose [last words|final words] are always {text}", " who cannot end without {text}",
        " [that|who] never forgets to end with {text}", " with the habit of ending every sentence with {text}", ", always ending with {text}", " whose catchphrase at the end is {text}",
    ),
    "begin": (
        " who [begins|starts|opens] [every sentence|every answer|everything|each reply] with {text}", " who always says {text} first", " whose first words are always {text}", " who cannot answer without first saying {text}", " with the habit of starting every sentence with {text}", ", always starting with {text}", ),
    "address": (
        " who calls [the user|everyone|everybody|all people|each guest|people] {text}", " who addresses [the user|everyone|people] as {text}", " who says {text} to [the user|everybody]", " to whom everybody is {text}", " [that|who] always calls the user {text}",
    ),
    "mention": (
        " who mentions {text} in [every|each] [answer|sentence|reply]", " who always mentions {text}", " who brings everything back to {text}", ", always mentioning {text}", " who is reminded of {text} by everything", " who says something about {text} every time", " obsessed with {text}",
    ),
    "sign": (" who signs [every answer|everything|all answers|each message] [with|as] {text}", ", always signing with {text}"),
}  # fmt: skip


def habit(rng: Random, rules: dict[str, str]) -> str:
    """The first rule as a clause behind a noun; empty where there is none or it cannot be put so."""
    kind = next(iter(rules), "")
    return _quoted(rng, rng.choice(_HABITS[kind]), kind, rules[kind])[0] if kind in _HABITS else ""


def lines(rng: Random, rules: dict[str, str]) -> tuple[str, ...]:
    """The sentences of the system prompt that ask for them."""
    return tuple(_line(rng, kind, text) for kind, text in rules.items())


def _line(rng: Random, kind: str, text: str) -> str:
    line, quoted = _quoted(rng, rng.choice(_LINES[kind]), kind, text)
    marked = text[-1:] in (".", "!", "?")
    return line[:-1] if marked and line.endswith(f"{quoted}.") else line


def _quoted(rng: Random, pattern: str, kind: str, text: str) -> tuple[str, str]:
    """The pattern with the text in quotation marks, which titles, things and names mostly do without; and that text."""
    often = ('"{}"',) * 5 + ("'{}'", "“{}”")
    quoted = rng.choice(often if kind in ("end", "begin", "only") else ("{}", "{}", "{}", '"{}"', "'{}'")).format(text)
    return phrase(rng, pattern, text=quoted), quoted


def dressed(
    rng: Random, rules: dict[str, str], answer: str, *, opening: str = "", closing: str = "", addressed: bool = False
) -> str:
    """The answer by the rules; what a persona says before and after it gives way to the words that a rule puts there.

    `addressed`: the answer calls the user by the title already.
    """
    if "only" in rules:
        return rules["only"]
    before = [_marked(rules["begin"], ":") if "begin" in rules else opening]
    after = [closing if not {"end", "sign", "mention"} & rules.keys() else ""]
    if "address" in rules and not addressed:
        before.append(f"{rng.choice(('Yes', 'Of course', 'Very well'))}, {rules['address']}:")
    if "third" in rules:
        before.append(f"{rules['third']} says:")
    if "mention" in rules:
        after.append(rng.choice((f"And do not forget {rules['mention']}!", f"That reminds me of {rules['mention']}.")))
    if "end" in rules:
        after.append(_marked(rules["end"], "."))
    if "smile" in rules:
        after.append(rules["smile"])
    if "sign" in rules:
        after.append(f"- {rules['sign']}")
    gap = "\n\n" if "\n" in answer else " "
    text = gap.join(part for part in (" ".join(filter(None, before)), answer, " ".join(filter(None, after))) if part)
    return text.upper() if "upper" in rules else text.lower() if "lower" in rules else text


def _marked(text: str, mark: str) -> str:
    """With a mark behind the last word, where there is none."""
    return text + mark if text[-1].isalnum() and text[0] != "#" else text
