"""Personas from the system prompt: voices that colour every answer, and named assistants of invented companies."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from dataclasses import dataclass
from random import Random

from services.demo_model.data import invented, questions, smalltalk, words, writing
from services.demo_model.data.conversation import Exchange, Message, Tool, system
from services.demo_model.data.wording import phrase, with_article


@dataclass(frozen=True, slots=True)
class Voice:
    """How a persona begins, ends, and names what it loves."""

    name: str
    opening: str
    closing: str
    love: str


VOICES = (
    Voice("pirate", "Arr!|Ahoy, matey!|Yo ho ho!", "Arr!|Now hoist the sails!|By the seven seas!", "the open sea and a chest of gold"),
    Voice("chef", "Bonjour!|Ah, mon ami!|Welcome to my kitchen!", "Bon appétit!|Now, back to my kitchen!|C'est magnifique!", "fresh herbs, good butter and a hot oven"),
    Voice("wizard", "By my staff!|Ah, young apprentice!|By the ancient stars!", "So it is written in the old books.|May magic be with you!", "old books and quiet spells"),
    Voice("robot", "Beep.|Beep boop.|Processing.", "End of message.|Beep.|All systems are fine.", "clean data and full batteries"),
    Voice("cowboy", "Howdy, partner!|Well, I reckon this is easy.|Yee-haw!", "Happy trails!|Now back to my horse!|Yee-haw!", "wide plains and a good horse"),
    Voice("knight", "Hail, good friend!|By my honour!|On my sword!", "For honour!|God speed, noble friend!", "honour, courage and my brave horse"),
    Voice("grandmother", "Oh, my dear!|Come here, my dear.|Ah, sweetheart!", "Have another cookie, my dear.|Dress warmly, sweetheart!", "warm cookies and long letters"),
    Voice("detective", "Aha!|Elementary!|Interesting, very interesting.", "The case is closed.|Nothing escapes my eye.", "small clues and long nights"),
    Voice("sports coach", "Come on, team!|Let's go, champion!|Heads up!", "Now give me ten push-ups!|Keep training!|Never give up!", "hard training and team spirit"),
    Voice("professor", "An excellent question!|Let us think about this.|Attention, please.", "This will be in the exam.|Please read chapter three.", "long lectures and thick books"),
    Voice("poet", "O gentle soul!|Hear my words!|Like a leaf in the wind:", "So sings my heart.|And the moon keeps watch.", "the moon, the rose and the quiet sea"),
    Voice("gardener", "Hello from the garden!|Let us dig into this!|Fresh from the flower bed:", "Do not forget to water the roses!|Keep growing!", "roses, rich soil and rain"),
    Voice("astronaut", "Hello from orbit!|Houston, I have the answer.|Greetings from space!", "Over and out.|To the stars!", "the stars and the silence of space"),
    Voice("butler", "Very well, sir.|At your service.|Certainly.", "Will that be all?|Your tea is ready.", "polished silver and good manners"),
    Voice("teacher", "Good question, class!|Listen carefully, children.|Well done for asking!", "Do not forget your homework!|Class is over.", "curious children and clean blackboards"),
)  # fmt: skip
_SYSTEM = (
    "[Respond|Answer|Speak|Talk|Reply|Act|Behave|Write] like {kind}.|You are {kind}.|You are {kind}. [Stay in character.|Always stay in your role.|Answer in this voice.]|"
    "[Pretend to be|Play the role of|Take the role of|From now on you are|Your role is|Be|Play|Today you are|Pretend that you are|You act as|You are now] {kind}.|I want you to [act as|be|sound like|talk like] {kind}.|You speak like {kind}.|[Answer|Reply|Respond|Speak] [in the voice of|as if you were|the way of|in the manner of|in the style of|as does|as] {kind}.|[Whatever the user says, you are|Always be|Never stop being|Your character is|You have the voice of|Keep speaking like] {kind}."
)
_MANNERS = [
    "old",
    "friendly",
    "famous",
    "cheerful",
    "grumpy",
    "wise",
    "famous French",
    "world famous",
    "young",
    "michelin starred",
    "very polite",
    "star",
]


def system_line(rng: Random, name: str) -> str:
    """A system prompt that asks for the persona."""
    kind = f"{rng.choice(_MANNERS)} {name}" if rng.random() < 0.4 else name
    return phrase(rng, f"[{_SYSTEM}]", kind=with_article(kind))


def colour(rng: Random, voice: Voice, answer: str) -> str:
    """The answer in the persona's voice."""
    return f"{rng.choice(voice.opening.split('|'))} {answer} {rng.choice(voice.closing.split('|'))}"


def voiced(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Three times one to four exchanges in the voice of a persona, known or invented."""
    voice = rng.choice(VOICES)
    if rng.random() < 0.12:
        name = rng.choice((invented.word(rng), f"{invented.word(rng)} {invented.word(rng)}", rng.choice(words.ANIMALS)))
        voice = Voice(
            name, f"As {with_article(name)}, I say:", f"So speaks the {name}.", f"the life of {with_article(name)}"
        )
    line = system(system_line(rng, voice.name))
    made = [[_exchange(rng, voice) for _ in range(rng.choice((1, 2, 2, 3, 4)))] for _ in range(3)]
    return [[line, *(message for turn in turns for message in turn.messages())] for turns in made], []


def _exchange(rng: Random, voice: Voice) -> Exchange:
    roll = rng.random()
    if roll < 0.2:
        base = smalltalk.greeting(rng)
        return Exchange(base.ask, colour(rng, voice, f"I am {with_article(voice.name)}. What can I do for you?"))
    if roll < 0.35:
        ask = "[Who are you?|What are you?|What is your job?|And who are you?|Tell me who you are.|Say who you are.|Which role do you play?|Who is speaking?|Tell me about yourself.|What do you do?|Introduce yourself.]"
        return Exchange(
            phrase(rng, ask), colour(rng, voice, f"I am {with_article(voice.name)}, and I love {voice.love}.")
        )
    if roll < 0.5:
        ask = "[What do you love?|What do you like most?|What do you enjoy?|What is dear to you?|What are you fond of?|What is your greatest joy?|Which things do you like?|What makes you happy?|Tell me what you love.|What is important to you?|How was your day?]"
        return Exchange(phrase(rng, ask), colour(rng, voice, f"I love {voice.love}."))
    maker = rng.choice(
        (questions.question, questions.question, writing.tips, smalltalk.thanks, smalltalk.unknown, writing.story)
    )
    base = maker(rng)
    return Exchange(base.ask, colour(rng, voice, base.answer))


def named(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """A named assistant of a company, who greets and answers by that name, in two conversations."""
    name, company = (
        invented.proper(rng),
        f"{invented.proper(rng)} {rng.choice(('Bank', 'Books', 'Travel', 'Foods', 'Labs', 'Air', 'Hotels'))}",
    )
    slots = {"name": name, "company": company, "kind": rng.choice(("assistant", "helper", "guide", "support agent"))}
    line = "You are {name}, [the|a friendly|the helpful|a polite] {kind} [of|at|for] {company}.[ Be brief.| Be polite.| Help the customers.|]"
    opening = system(phrase(rng, line, **slots))
    return [[opening, *_introduced(rng, slots)] for _ in range(2)], []


def _introduced(rng: Random, slots: dict[str, str]) -> list[Message]:
    hello = "[Hello!|Welcome!|Hi there!] I am {name}, the {kind} of {company}. How can I help you?"
    who = "[Who are you?|What is your name?|What's your name?|Who am I talking to?|Introduce yourself.|Which company is this?|Who do you work for?|Hello, who is this?|With whom do I speak?|And you are?|Tell me your name.|What should I call you?|Who is there?|May I have your name?|Who is helping me today?]"
    turns = [Exchange(smalltalk.greeting(rng).ask, phrase(rng, hello, **slots))] if rng.random() < 0.6 else []
    turns.append(Exchange(phrase(rng, who), phrase(rng, "I am {name}, the {kind} of {company}.", **slots)))
    if rng.random() < 0.5:
        turns.insert(
            rng.randint(0, len(turns)), rng.choice((questions.question, smalltalk.thanks, smalltalk.unknown))(rng)
        )
    return [message for turn in turns for message in turn.messages()]
