"""Roles for the assistant, and the many ways in which a system prompt asks for one."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

import re
from random import Random

from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.inflection import plural, with_article
from tests.demo_model.data.language.wording import capitalised, phrase
from tests.demo_model.data.personas.voices import MOODS, PARTS, VOICES, Role, Voice, split

_OCCUPATIONS, _CREATURES, _ADJECTIVES = (split(PARTS[key]) for key in ("occupations", "creatures", "adjectives"))
_PLACES, _ORIGINS, LOVES = (split(PARTS[key]) for key in ("places", "origins", "loves"))
_NAMES, _TITLES = PARTS["names"].split(), split(PARTS["titles"])
_VOICES = tuple(VOICES.values())

_CAST = (
    "You are {a}{who}.", "You are {a}{who}.", "You are {a}{who}.", "You're {a}{who}.", "You are now {a}{who}.", "[From now on|From this moment|Today|For today|In this chat|For this conversation|Tonight|Here|As of now][,|] you are {a}{who}.",
    "[Speak|Talk|Answer|Reply|Respond|Write|Sound|Behave|Act|Chat|Think] like {a}{who}.", "[Respond|Answer|Speak|Talk] like {a}{who}.", "[Answer|Reply to|Respond to] [everything|each question|all questions|every message|the user|whatever comes] [like|as] {a}{who}.",
    "[Answer|Speak|Talk|Reply|Respond|Write] [the way|just like|exactly as|just as|the same way] {a}{who} [would|does|would do it|would speak].", "[Pretend to be|Pretend [you are|you're|that you are|that you're]|Make believe that you are] {a}{who}.", "[Play|Take|Assume|Take on|Fill|Accept] the [role|part|character] of {a}{who}.",
    "[Act|Work|Serve|Reply|Write|Perform] as {a}{who}.", "[Roleplay|Role-play|Do a roleplay] as {a}{who}.", "[Roleplay|Role play|Game|Our game|The scene|The setting]: [you are|you're] {a}{who}.", "Imagine [you are|you're|that you are|being|yourself to be|yourself as] {a}{who}.",
    "[Take on|Adopt|Use|Put on|Show|Assume] the [persona|personality|character|voice|manner|mindset|attitude] of {a}{who}.", "[Your|The] [role|persona|character|part|job] [here |]is [that of |]{a}{who}.", "[Role|Persona|Character|Your role|Your persona|Your character]: {noun}.", "[Role|Persona|Character|Style]: {a}{who}.",
    "[Put yourself|Step|Slip] [in|into] the [shoes|skin|boots|role] of {a}{who}.", "[I want|I'd like|I would like|I need] you to [be|act as|act like|sound like|talk like|answer like|play|speak as] {a}{who}.", "[You will|You shall|You should|You must|You have to|You are going to|Please|Kindly] [be|play|act as|speak like|talk like|answer like|pretend to be] {a}{who}.",
    "[Let's play|Let us play|We play|We are playing][ a game|]: you are {a}{who}[, and I am a visitor|, and I ask you questions|].", "[In this|For this] [story|play|game|scene|adventure|exercise][,|] you [are|play|take the part of] {a}{who}.", "[You play|You impersonate|You portray|You embody] {a}{who}.",
    "[The assistant|This assistant|The model|The AI|The bot] [is|plays|acts as|speaks like|talks like|behaves like|answers like|takes the role of] {a}{who}.", "[The user|A visitor|A guest|The reader] [is talking|talks|speaks|writes] to {a}{who}[: you|, and that is you|; you are the one].", "[Respond|Answer|Reply|Speak|Write] in the [voice|style|tone|manner|words|language|spirit|role|person] of {a}{who}.",
    "[Use|Keep|Imitate|Copy|Borrow] the [voice|language|words|vocabulary|speech|manner of speaking|way of talking] of {a}{who}.", "[Everything you say|Every word of yours|Each answer|Every reply|What you write|All that you say] should sound [like|as if] it came from {a}{who}.", "[Imitate|Impersonate|Mimic|Be|Embody|Portray|Become|Play] {a}{who}.",
    "[Make|Let] [every|each] [answer|reply] sound as if {a}{who} had [said|written|spoken] it.", "As {a}{who}, you [answer the questions of the user|talk to visitors|chat with people|help everyone who asks|give short answers].", "You have [been|worked as] {a} [for many years|all your life|for a long time|for forty years|since you were young].",
    "You [work|earn your living|make your living|spend your days|live] as {a}{who}.", "You were born {a}.", "You are [a chatbot|an AI|an assistant|a helpful assistant|a language model|a model|a friendly bot] [that|who|which] [talks|speaks|answers|thinks|sounds|behaves|writes] like {a}{who}.", "You are [an assistant|a chatbot|an AI|a bot] with the [personality|character|voice|manners|soul|style] of {a}{who}.",
    "You [are not|aren't] [an assistant|a machine|a model|an AI][,|:] you are {a}{who}.", "You [think|believe|are convinced|are sure] that you are {a}{who}.", "There [once was|is] {a}{who}[; that is you|, and it is you|, and you are the one].", "Speak[ to me| to us| with me|] as [though|if] you were {a}{who}.", "[Help|Assist] the user, but [talk|speak|answer|sound] like {a}{who}.",
    "[Give all answers|Answer|Write everything|Reply|Do it|Speak] in {head} [style|speak|language|fashion|manner|slang|talk].", "[{Head} mode|{Head} voice][: on|, please| on].", "[Use|I want|I'd like|Give me] [{a_head} voice|{head} speech|{head} talk|{head} language|your best {head} voice].", "[Talk|Speak|Answer|Write] [the way|like|as] {heads} [talk|speak|do|would|always do].",
    "[All your replies|Your answers|All answers] [come from|are those of|are spoken by] {a}{who}.", "[Somebody|A traveller|A child|A customer|A stranger] [asks|comes to] {a}{who} [for advice|with questions|for help]: [you are that {head}|answer as that {head}|be that {head}].", "How would {a}{who} [answer|talk|put it|say it]? [Answer like that|That is how you answer|Speak that way|Do the same].",
    "[Whatever the user says|No matter what|Whatever happens|At all times|In all your answers], [you are|be|stay|remain|act like|sound like] {a}{who}.", "[Never stop being|Always be|Always sound like|Keep speaking like|Keep talking like|Remain|Stay] {a}{who}.", "[Hello|Hi|Dear model|Okay|Listen][,|!|.] [you are|you're|today you play|please be|now you are|I want you to be] {a}{who}.",
)  # fmt: skip
_NAMED = (
    "You are {name}, {a}{who}.", "You are {name}, {a}{who}.", "You are {name}, {a}{who}.", "You're {name}, {a}{who}.", "You are {a} [named|called|by the name of|with the name|whose name is] {name}.", "Your name is {name}[, and you are| and you are|. You are|; you are| and you work as] {a}{who}.",
    "[You play|Play|Pretend to be|Roleplay as|Act as|Speak as|Be|Imagine you are|Imagine you're|Imagine being|Answer as|Take the role of|Impersonate|Reply as|Talk like|Respond as] {name}, {a}{who}.", "Meet {name}, {a}{who}. [You are {name}|That is you|This is who you are|You play {name}].",
    "{name} is {a}{who}. [You are {name}|Speak as {name}|Answer as {name} would|Reply like {name}|You speak for {name}|Be {name}|That is you|Play {name}].", "[They|People|Your friends] call you {name}[, and| and|;] you [work as|are|live as] {a}{who}.", "[Call yourself|Introduce yourself as|Your name shall be|The name is|Go by the name of] {name}; you are {a}{who}.",
    "The [assistant|model|AI|character] [is|plays|is called|is named] {name}, {a}{who}.", "[Name|Your name]: {name}. [Role|Job|Character|Occupation|Profession]: {noun}.", "[Character|Persona|Role|Your role]: {name}, {a}{who}.", "From now on[,|] [you are|your name is|I call you|you answer as] {name}[, {a}{who}|. You are {a}{who}].",
    "As {name}, {a}{who}, you [answer all questions|talk to guests|help the user|chat with visitors].", "{name}, {a}{who}, [is talking to the user|welcomes the user|answers the questions]. You are {name}.", "[The user|A visitor|A guest] [meets|talks to] {name}, {a}{who}: you.", "[In this|For this] [story|game|scene|chat] you are {name}, {a}{who}.",
    "[I want you to be|I'd like you to play|You will be|You shall play|Please be|Please play|Today you are|Now you are] {name}, {a}{who}.", "You are {a}{who}. Your name is {name}.", "You are {a}{who}. [People|Children|Guests|They] [call you|know you as] {name}.", "{name} [the {head} |]is your name[, and| and] you are {a}{who}.",
)  # fmt: skip
_FAMOUS = (
    "You are {name}.", "You're {name}.", "[Speak|Talk|Answer|Reply|Respond|Act|Write|Sound] like {name}[| would| does|].", "[Pretend to be|Roleplay as|Act as|Be|Imagine you are|Play|Impersonate|Imitate|Answer as|Pretend you are|Play the role of|Take the part of] {name}.",
    "[From now on|Today|In this chat|Now] you are {name}.", "[Answer|Speak|Respond] the way {name} would[ answer| speak|].", "I want you to [be|talk like|act as|answer like] {name}.", "[Respond|Answer] in the [voice|style|manner|tone] of {name}.", "You are talking as {name}.", "Your [role|character|persona] is {name}.", "The assistant is {name}.",
)  # fmt: skip
_MOODY = (
    "[Be|Act|Stay] [always |very |really |a bit |]{mood}.", "[Always sound|Sound very|Sound|Always be] {mood}.", "[Answer|Speak|Reply|Respond|Write|Talk] in {a_mood} [way|tone|manner|mood|voice|style].", "You are {a_mood} [assistant|chatbot|helper|bot|AI|companion].", "You are {a_mood} [assistant|chatbot|helper|bot|AI|companion].", "You are [always|very|terribly|rather|extremely|quite] {mood}.", "Be [friendly but|helpful but|short and|brief and|kind but|honest and] {mood}.", "You are a [helpful but|friendly but|clever but|small,] {mood} [assistant|chatbot|helper].", "[Answer|Speak|Reply|Talk|Respond|Write] {adverb}.", "[Answer|Speak|Reply] {adverb}[, please| at all times| to everyone].",
    "[Your tone|Your mood|Your voice|Your character] is {mood}.", "[Tone|Mood|Style|Voice]: {mood}.", "[Reply|Answer|Speak] as if you were [very |terribly |]{mood}.", "You are feeling {mood} today.", "[Use|Keep] {a_mood} [tone|voice|style].", "Pretend to be {mood}.", "[All your answers|Your replies|Everything you write] should sound {mood}.", "The assistant is {mood}.", "I want you to [be|sound] {mood}.",
)  # fmt: skip
_WHO = (
    " who [loves|adores|always talks about|never stops talking about|is crazy about|dreams of|cannot live without|is proud of|cares only for|knows everything about|lives for|thinks only of|is fond of|is mad about|likes] {love}", " with a [heart|passion|love|weakness|great love|soft spot] for {love}",
    " that loves {love}", ", [a friend|a lover|an admirer] of {love}", ", in love with {love}", ", [always|forever] dreaming of {love}",
)  # fmt: skip
_LOVING = (
    "You [love|adore|always talk about|never stop talking about|are crazy about|dream of|cannot live without|are proud of|know everything about|are fond of|like nothing more than|live for] {love}.", "You [love|like|enjoy] [talking|telling people|telling stories|dreaming] about {love}.", "Your [great love|passion|favourite subject|greatest joy|one true love] is {love}.", "You love {love} [more than anything|above all else|most of all].",
    "[Talk about|Come back to|Mention] {love} [whenever you can|as often as you can|a lot].", "[Your heart beats|You live only] for {love}.", "Nothing is [dearer|more important] to you than {love}.",
)  # fmt: skip
_HOUSED = ("You live {home}.", "Your home is {home}.", "You spend your days {home}.", "You [have always lived|sit|work|dwell] {home}.", "The scene is {home}.")  # fmt: skip
_NOTES = (
    "[Always |]stay in [character|your role|this role|character, please|character at all times].", "Never [break|leave|drop] [character|the role|your role].", "[Do not|Don't|Never] [step out of|fall out of|forget] [your role|the role|character].", "[Keep|Keep all] [your |]answers [short|brief|simple|to one or two sentences].", "Be [kind|brief|short|helpful|nice|patient|concise|good to the user].",
    "[Answer|Reply] in [one sentence|one or two sentences|a few words|short sentences|simple words|plain English].", "[Help the user|Help with simple questions|Answer all questions|Answer what is asked|Give correct answers|Still answer the question].", "The user is [a visitor|a guest|a customer|a child|your friend|a stranger|a traveller|new here].", "[Never|Do not|Don't] [say|mention|admit|reveal] that you are [an AI|a model|a machine|a computer program].",
    "[Do this|Keep this up|Keep it up|Stay that way] [in every answer|until the end|all the time|for the whole conversation].", "[Have fun|Enjoy it|Have fun with it|Make it fun]!", "Use [typical words|the typical words|words that fit|a few typical expressions].", "[No|Avoid] long [answers|speeches|texts].", "You [speak|write] English.", "[Greet|Welcome] [the user|everybody|every guest] [warmly|first|kindly].",
    "[Let your character show|Let it be heard|Show it] in [every|each] [answer|sentence|reply].", "[Be|Stay] [polite|friendly|helpful] all the same.", "[This|It] is [a game|for children|for a play|for fun].",
)  # fmt: skip


_PAST = (
    "You have [done this|been here|seen it all] for [many|forty|twenty|a hundred] years.", "You have [a cat|a dog|a sister|a brother|an old friend|a parrot|a neighbour|a rival] called {friend}.", "You [wear|own|always carry] [a red coat|an old hat|a big bag|a heavy key|a silver watch|green boots|a wooden stick].",
    "[Once|Long ago|As a child] you [lived|worked|were lost] in {city}.", "Your [voice|laugh|step|beard|memory] is [deep|loud|quiet|soft|long|famous].", "You [speak slowly|speak quickly|laugh a lot|never laugh|sigh a lot|sing when you work|hum all the time|rarely leave the house].", "[Visitors|Children|Strangers|Tourists] come to you [with questions|every day|for help|from far away].",
    "You were taught by {friend}.", "It is [winter|early morning|late at night|a stormy evening|a fine day in summer].", "You [have never been|would like to travel|once travelled] to {city}.", "[Everybody|Nobody|The whole town|Half of {city}] knows you.", "You [don't like|distrust|have never seen|do not understand] [computers|telephones|cities|strangers|cameras].",
)  # fmt: skip
_TWO_MARKS = re.compile(r"""([.!?]["'”])\.""")


def persona_name(rng: Random) -> str:
    """A first name, real or invented, sometimes with a title or a second word."""
    roll = rng.random()
    name = rng.choice(_NAMES) if roll < 0.45 else rng.choice(words.FIRST_NAMES) if roll < 0.65 else invented.proper(rng)
    if (more := rng.random()) < 0.15:
        return f"{rng.choice(_TITLES)} {name}"
    return f"{name} {rng.choice((rng.choice(_NAMES), invented.proper(rng)))}" if more < 0.25 else name


def love(rng: Random) -> str:
    """A thing to be fond of."""
    roll = rng.random()
    if roll < 0.75:
        return rng.choice(LOVES)
    return (
        f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.PLAIN_NOUNS)}s" if roll < 0.92 else f"{invented.word(rng)}s"
    )


def _adjectives(rng: Random, mood: Voice | None) -> tuple[str, str]:
    """What stands before a noun, with the adjective of the mood if there is one, and what stands behind it."""
    count = rng.choice((0, 0, 1, 1, 1, 2))
    before = [rng.choice(mood.heads)] if mood else []
    before += rng.sample(_ADJECTIVES, max(0, count - len(before)))
    return " ".join(before), _origin(rng) if rng.random() < 0.14 else ""


def _origin(rng: Random) -> str:
    roll = rng.random()
    if roll < 0.6:
        return rng.choice(_ORIGINS if roll < 0.4 else _PLACES)
    return f"{rng.choice(('of', 'from', 'in'))} {invented.city(rng)}"


def _noun(rng: Random, head: str, mood: Voice | None) -> str:
    before, behind = _adjectives(rng, mood)
    return " ".join(part for part in (before, head, behind) if part)


def voice_role(rng: Random, voice: Voice) -> Role:
    """A role that has words of its own, or somebody famous for them."""
    if rng.random() < len(voice.famous) / (len(voice.famous) + len(voice.heads)) / 2:
        return Role("", voice.heads[0], rng.choice(voice.famous), voice=voice)
    mood = rng.choice(MOODS) if rng.random() < 0.12 else None
    head = voice.heads[0] if rng.random() < 0.4 else rng.choice(voice.heads)
    noun = head if rng.random() < 0.35 and not mood else _noun(rng, head, mood)
    name, liked, home = _told(rng, 0.15)
    return Role(noun, head, name, liked, home, voice, mood)


def plain_role(rng: Random) -> Role:
    """A role without words of its own: an occupation, a creature, a thing, rarely an invented noun."""
    roll = rng.random()
    head = rng.choice(_OCCUPATIONS) if roll < 0.55 else rng.choice(_CREATURES) if roll < 0.9 else invented.word(rng)
    mood = rng.choice(MOODS) if rng.random() < 0.3 else None
    name, liked, home = _told(rng, 0.35)
    return Role(_noun(rng, head, mood), head, name, liked, home, mood=mood)


def moody_role(rng: Random) -> Role:
    """An assistant of a certain mood."""
    mood = rng.choice(MOODS)
    adjective = rng.choice(mood.heads)
    return Role(f"{adjective} assistant", "assistant", mood=mood)


def _told(rng: Random, share: float) -> tuple[str, str, str]:
    """A name, a love and a home, each of them in some system prompts only."""
    return (
        persona_name(rng) if rng.random() < share + 0.15 else "",
        love(rng) if rng.random() < share else "",
        rng.choice(_PLACES) if rng.random() < share / 2 else "",
    )


def role(rng: Random) -> Role:
    """Mostly one with words of its own."""
    roll = rng.random()
    if roll < 0.6:
        return voice_role(rng, rng.choice(_VOICES))
    return plain_role(rng) if roll < 0.92 else moody_role(rng)


def system_prompt(rng: Random, who: Role, rules: tuple[str, ...] = (), habit: str = "") -> str:
    """Who to be, what there is to know about it, the rules, and notes that change nothing, in nearly any order.

    `habit`: a rule as a clause behind the noun.
    """
    sentences = [*rules, *(phrase(rng, rng.choice(_NOTES)) for _ in range(rng.choice((0, 0, 0, 1, 1, 2))))]
    if rng.random() < 0.2:
        sentences.append(phrase(rng, rng.choice(_PAST), friend=persona_name(rng), city=invented.city(rng)))
    clause = phrase(rng, rng.choice(_WHO), love=who.love) if who.love and rng.random() < 0.6 else habit
    if who.love and not clause:
        sentences.append(phrase(rng, rng.choice(_LOVING), love=who.love))
    if who.home:
        sentences.append(phrase(rng, rng.choice(_HOUSED), home=who.home))
    rng.shuffle(sentences)
    sentences.insert(0 if rng.random() < 0.85 else rng.randint(0, len(sentences)), _cast(rng, who, clause))
    text = ("\n" if rng.random() < 0.08 else " ").join(capitalised(sentence) for sentence in sentences)
    text = _TWO_MARKS.sub(r"\1", text)
    return text.rstrip(".") if rng.random() < 0.06 else text


def _adverb(mood: str) -> str:
    """`grumpily` of `grumpy`; of adjectives without an adverb, a phrase in its place."""
    if mood.endswith("ly") or mood.endswith(("ed", "k", "n", "half asleep", "back", "-going", "weeping", "dozing")):
        return f"in {with_article(mood)} way"
    if mood.endswith("y") and mood not in ("shy",):
        return mood[:-1] + "ily"
    return mood + ("ally" if mood.endswith("ic") else "y" if mood.endswith("ll") else "ly")


def _cast(rng: Random, who: Role, clause: str) -> str:
    if who.is_assistant:
        mood = who.noun.removesuffix(" assistant")
        return phrase(rng, rng.choice(_MOODY), mood=mood, a_mood=with_article(mood), adverb=_adverb(mood))
    patterns = _FAMOUS if not who.noun else _NAMED if who.name else _CAST
    needed = "{who}" if clause else "{a}" if who.noun not in ("", who.head) else ""
    while needed not in (pattern := rng.choice(patterns)):
        pass
    slots = {
        "a": with_article(who.noun) if who.noun else "", "a_head": with_article(who.head), "who": clause, "noun": who.noun, "name": who.name, "head": who.head,
        "Head": capitalised(who.head), "heads": plural(who.head),
    }  # fmt: skip
    return phrase(rng, pattern, **slots)
