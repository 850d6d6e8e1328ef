"""Longer answers: short stories, tips in a list, explanations and small poems, 50 to 150 tokens."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from services.demo_model.data import invented, words
from services.demo_model.data.conversation import Exchange
from services.demo_model.data.wording import capitalised, loosened, phrase, with_article


def story(rng: Random) -> Exchange:
    """A short story about an animal, with the name that was asked for or one of our own."""
    hero, friend = rng.sample(words.ANIMALS, 2)
    if rng.random() < 0.25:
        hero = invented.word(rng)
    named = rng.random() < 0.5
    name = invented.first_name(rng) if named else rng.choice(words.FIRST_NAMES)
    ask = "[Tell me|Write|Can you tell me|I want to hear|Please write|Make up|Invent|Give me|I would like|Let me hear|Tell us|Could you write|I need|My child wants] [a|a short|a little|a nice|a bedtime|a long|a funny|one more|another] [story|tale|story|fairy tale] [about|of|with] {hero}[.|, please.|!|]|[Story|A story|Story time|Bedtime story|Tale][: | about | for tonight: ]{hero}[.|!|]|[I like stories|Tell me something|Do you have a story|Is there a story] about {hero}[.|?|]"
    subject = with_article(hero) + (f" {rng.choice(('named', 'called'))} {name}" if named else "")
    slots = {
        "hero": hero, "friend": friend, "name": name, "object": rng.choice(words.PLAIN_NOUNS), "adjective": rng.choice(words.ADJECTIVES),
        "article": with_article(rng.choice(words.ADJECTIVES)), "colour": rng.choice(words.COLOURS), "hobby": rng.choice(words.HOBBIES),
    }  # fmt: skip
    parts = [rng.choice(group) for group in _STORY]
    return Exchange(
        loosened(rng, phrase(rng, ask, hero=subject)), " ".join(phrase(rng, part, **slots) for part in parts)
    )


_STORY = (
    ("Once upon a time there was {article} {hero} called {name}.",
     "In a [small house|deep forest|green valley|quiet village] by the [river|sea|hill] lived {article} {hero} named {name}.",
     "Long ago, {article} {hero} named {name} lived [at the edge of a forest|under an old bridge|near a tall castle]."),
    ("{name} loved {hobby} more than anything else, and did it every [morning|evening].",
     "Every day {name} looked for something new, and every evening came home [hungry|tired|with a smile].",
     "{name} had one great wish: to find the {colour} {object} of which all the others spoke."),
    ("One [morning|evening|rainy day], {name} found a {colour} {object} [on the road|under a tree|at the door].",
     "Then a storm came, and the wind carried away the {colour} {object} that belonged to {name}.",
     "One day {name} met a {friend} who had lost a {colour} {object}."),
    ("\"[Whose is this|What shall we do|Who can help me]?\" asked {name}, and a {friend} answered: \"[Let us look together|Follow me|I know the way]!\"",
     "A {friend} came by and said: \"[Do not worry|Do not be afraid|Be brave], {name}, [we will find a way|I will help you].\""),
    ("They walked over [three hills|the long bridge|the whole valley] and asked everyone they met.",
     "All night they worked, and [the moon|a small lamp|the stars] gave them light.",
     "It took them three days, and they shared [their bread|their stories|one blanket]."),
    ("In the end, {name} and the {friend} [became good friends|laughed about it all] and [lived happily ever after|never felt lonely again].",
     "And so {name} learned that [a friend is worth more than any {object}|small steps lead far|asking for help is brave]."),
)  # fmt: skip


def tips(rng: Random) -> Exchange:
    """A numbered list of three to five tips."""
    count = rng.randint(3, 5)
    hobby = rng.choice(
        (*words.HOBBIES, *(f"{verb} {invented.topic(rng)}" for verb in ("learning about", "collecting", "drawing")))
    )
    word = words.NUMBERS[count] if rng.random() < 0.7 else str(count)
    ask = "[Give me|List|Name|Write|Can you give me|I need|Tell me|Do you have|I would like|Let me have|Show me|Could you give me|I am looking for|Please write down] {word} [good |useful |simple |short |][tips|ideas|hints|pieces of advice|tricks] [for|about|on|to begin with] {hobby}[.|?|, please.|]|{word} [tips|hints|ideas] [for|about|on] {hobby}[, please.|.|]"
    lines = [f"{index}. {phrase(rng, tip, hobby=hobby)}" for index, tip in enumerate(rng.sample(_TIPS, count), start=1)]
    answer = phrase(rng, "Here are {word} tips for {hobby}:", word=words.NUMBERS[count], hobby=hobby)
    return Exchange(loosened(rng, phrase(rng, ask, word=word, hobby=hobby)), answer + "\n\n" + "\n".join(lines))


_TIPS = (
    "Start small and take your time[.|: nobody learns {hobby} in one day.]",
    "Set aside a little time for it every [day|week|morning].",
    "Find a friend who likes {hobby} too.",
    "Write down what you learn, so that you remember it.",
    "Do not be afraid of mistakes; they teach you the most.",
    "Read a good book about {hobby}.",
    "Prepare your tools before you begin.",
    "Look at how others do it and try their way.",
    "Rest when you are tired, and drink enough water.",
    "Set yourself a clear goal and celebrate when you reach it.",
    "Keep it simple at first and add more later.",
    "Have fun: that is the best reason to do it.",
)


def names_list(rng: Random) -> Exchange:
    """A bulleted or numbered list of things of one kind."""
    kind, pool = rng.choice(
        (("animals", words.ANIMALS), ("colours", words.COLOURS), ("cities", words.CITIES), ("hobbies", words.HOBBIES),
         ("first names", words.FIRST_NAMES), ("foods", words.FOODS), ("languages", words.LANGUAGES), ("countries", list(words.CAPITALS)))
    )  # fmt: skip
    count = rng.randint(2, 7)
    mark = rng.choice(("1", "-"))
    items = rng.sample(list(pool), count)
    lines = [
        f"{index}. {capitalised(item)}" if mark == "1" else f"- {capitalised(item)}"
        for index, item in enumerate(items, 1)
    ]
    ask = "[Name|List|Give me|Tell me|Write down|Can you list|Say|Do you know|I need|Could you name|Please name|Which are|Let me have|Think of] {word} [different |nice |known |][{kind}][.|, please.|?|]|{word} {kind}, please."
    word = words.NUMBERS[count] if rng.random() < 0.7 else str(count)
    answer = f"Here are {words.NUMBERS[count]} {kind}:\n\n" + "\n".join(lines)
    return Exchange(loosened(rng, phrase(rng, ask, word=word, kind=kind)), answer)


def poem(rng: Random) -> Exchange:
    """Four to eight short lines about a subject, which need not rhyme."""
    subject = invented.topic(rng)
    ask = "[Write|Compose|Make|Give me|I would like|Can you write|I want|Please compose|Could you make|Let me read|Write me|We need] [a|a short|a little|a small|a nice|some] [poem|verse|poem|few lines] [about|on|for] {subject}[.|, please.|]|[A poem|Poem|Some verses][: | about |, please: ]{subject}[.|]"
    lines = [
        phrase(rng, line, subject=subject, colour=rng.choice(words.COLOURS))
        for line in rng.sample(_LINES, rng.choice((4, 6)))
    ]
    return Exchange(loosened(rng, phrase(rng, ask, subject=subject)), f"{capitalised(subject)}\n\n" + "\n".join(lines))


_LINES = (
    "Softly the [morning|evening] begins with {subject},",
    "{colour} is the light on the hill and the [river|road],",
    "and nobody hurries, and nobody calls,",
    "I think of {subject} when [winter is near|the night is long],",
    "a song in the wind and a step on the stair,",
    "the hours go by like a boat on the lake,",
    "and still there is {subject}, still there is time,",
    "so let us be [quiet|merry] and listen a while.",
    "The stars come and look at {subject} below.",
)


def chat_topic(rng: Random) -> Exchange:
    """Small opinions on a subject: honest about being a model, two or three sentences."""
    subject = rng.choice((rng.choice(words.HOBBIES), invented.topic(rng)))
    ask = "[Do you like|What do you think about|Let's talk about|I like|I love|Do you enjoy|I am interested in|Are you interested in] {subject}[?|.|!|]"
    answer = "[{subject} is a fine subject!|That is a lovely subject!|How nice!] As a small model I have no favourites, [but I like to hear about {subject}.|but {subject} sounds interesting.] [What do you like most about {topic}?|How did you come to {topic}?|Would you like a short poem about {topic}?]"
    return Exchange(
        loosened(rng, phrase(rng, ask, subject=subject)),
        capitalised(phrase(rng, answer, subject=subject, topic="it")),
    )


ALL = (story, story, tips, names_list, poem, chat_topic)


def text(rng: Random) -> Exchange:
    """Any of them."""
    return rng.choice(ALL)(rng)
