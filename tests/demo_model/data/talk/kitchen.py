"""A chef who names two techniques and then tells more about one of them; the name is copied from the turn before."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from tests.demo_model.data.conversation import Exchange, Message, Tool, assistant, system, user
from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.wording import capitalised, listed, phrase
from tests.demo_model.data.personas import persona_talk, roles
from tests.demo_model.data.personas.voices import VOICES, Role
from tests.demo_model.data.talk import smalltalk

_METHODS = [
    "braising",
    "grilling",
    "roasting",
    "poaching",
    "smoking",
    "steaming",
    "Sous Vide",
    "confit",
    "pan searing",
    "slow roasting",
    "barbecue",
    "stewing",
    "baking in salt",
    "salt crust",
    "clay pot",
    "tandoor",
    "stir frying",
    "curing",
    "tagine",
    "hot stone",
    "en papillote",
    "au gratin",
    "en croûte",
]
_HERBS = [
    "rosemary",
    "thyme",
    "sage",
    "garlic",
    "mint",
    "bay leaves",
    "black pepper",
    "sea salt",
    "lemon",
    "parsley",
    "fennel seeds",
    "olive oil",
]
_SIDES = [
    "roasted potatoes",
    "a green salad",
    "fresh bread",
    "glazed carrots",
    "white beans",
    "a light red wine",
    "buttered rice",
    "young peas",
]


def _method(rng: Random) -> str:
    """A known technique, or an invented French one."""
    roll = rng.random()
    if roll < 0.5:
        return rng.choice(_METHODS)
    name = invented.proper(rng)
    return (
        f"{rng.choice(('à la', 'en', 'au', 'sur le', 'Sous la', 'Le', 'Petit', 'Sur'))} {name}" if roll < 0.85 else name
    )


def _methods(rng: Random) -> list[str]:
    """Two techniques; at times they begin with the same word, so that no name can be told by its beginning."""
    methods = [_method(rng), _method(rng)]
    if rng.random() < 0.3:
        start = rng.choice(("Sous", "en", "au", "slow", "salt", "à la", "clay", invented.proper(rng)))
        methods = [
            f"{start} {rng.choice((invented.proper(rng), f'le {invented.proper(rng)}', 'Vide'))}" for _ in range(2)
        ]
    return methods


def _list_of(rng: Random, methods: list[str], food: str) -> str:
    pairs = (
        "[First|To begin|One is this], [we have|there is] [the classic |the famous |]{a}[ method| technique|]. [Next|Second|Then|Finally], [we have|there is|comes] [the ancient art of|the method of|the technique of|the art of] {b}.",
        "[The first one is|One technique is|One way is] {a}. [The second one is|Another technique is|Another way is] {b}.",
        "For {food}, I would choose {a} or {b}.",
        "1. {a}\n2. {b}",
    )
    return phrase(rng, rng.choice(pairs), a=methods[0], b=methods[1], food=food)


_IT = {"it": "it", "them": "it", "its": "its", "are": "is"}
_THEY = {"it": "they", "them": "them", "its": "their", "are": "are"}


def _more(rng: Random, method: str, food: str) -> str:
    herbs = listed(rng.sample(_HERBS, rng.choice((2, 3))))
    parts = (
        "[Ah, {method}!|With pleasure: {method}!|{method} is one of my favourites.|Let me tell you about {method}.]",
        "[First|To begin], [you season|I season|we rub] the {food} with {herbs}.",
        "[Then|After that] [the {food} {are} cooked|we cook the {food}|{it} {are} cooked] [gently|slowly|with great care] [over low heat|in a hot oven|over glowing embers|in {its} own juices] for {time}, until {it} {are} [tender|golden and tender|soft and full of flavour].",
        "[The secret is patience.|The secret is good timing.|Never hurry: the heat must do its work.|Let {them} rest for ten minutes before you [cut|serve] {them}.]",
        "[Serve {them} with|I serve {them} with|This goes well with] {side}.",
    )
    time = rng.choice(("one hour", "two hours", "three hours", "half an hour", "twenty minutes", "a whole night"))
    pronouns = _THEY if food.endswith("s") else _IT
    slots = {"method": method, "food": food, "herbs": herbs, "time": time, "side": rng.choice(_SIDES), **pronouns}
    return capitalised(" ".join(phrase(rng, part, **slots) for part in parts))


def techniques(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Two techniques; then questions for the first, the second, or both by name."""
    food = rng.choice(words.FOODS) if rng.random() < 0.8 else invented.word(rng)
    methods = _methods(rng)
    ask = "[Can you name|Name|Tell me|Give me|What are|I need|List|Do you know|Could you name|Please name|Suggest|Which are|I am looking for|Can you suggest|I'd like|Show me|Let me know|Could you tell me] [two|at least two|two different|two good|a few|some|a couple of|any two|two simple|two classic] [techniques|methods|ways|recipes|cooking methods|ideas|possibilities|options] [to cook|for cooking|to prepare|for|to make|for preparing] [{food}|my {food}|fresh {food}][?|?|, please.]|[How|In which ways|With which methods|By which techniques] [can|could|should|do|would] [I|you|we|one] [cook|prepare|make] {food}[? Name two ways.|? Give me two ideas.|? Two methods, please.|?]|[I have|I bought|There is|We have] [some |fresh |]{food}[ at home| today|]. [How can I cook it|Which two methods do you suggest|Name two ways to prepare it|What are two ways to cook it|Give me two techniques][?|.]|[Guests are coming|It is Sunday|I want to impress my guests|I am hungry] and I want to [cook|make|prepare] {food}. [Which methods are there|Name two techniques|What are my options|Suggest two ways][?|.]"
    chef = roles.voice_role(rng, VOICES["chef"]) if rng.random() < 0.7 else None
    listing = _list_of(rng, methods, food)
    known = all(method in _METHODS for method in methods)
    opening = chef.opening(rng, introduces=False) + " " if chef else ""
    beginning = [user(phrase(rng, ask, food=food)), {**assistant(opening + listing), "learn": known}]
    if chef:
        beginning.insert(0, system(roles.system_prompt(rng, chef)))
    return [[*beginning, *_told_more(rng, methods, food, places, chef)] for places in ((0,), (1,), (1, 0))], []


def _told_more(rng: Random, methods: list[str], food: str, places: tuple[int, ...], chef: Role | None) -> list[Message]:
    messages: list[Message] = []
    for place in places:
        rank = ("first", "second")[place]
        more = "[Tell me more about|Explain|Describe|I would like to know more about|Say more about|What about|More about|Please explain|Could you describe|Let us talk about|Give me details about|Walk me through|I am interested in|I choose|How would you do|Please continue with|Can you tell me more about|I want to hear more about|Could you explain|Go on with|Tell me how to do|What do you know about|Show me|Let me hear about|Can you go into|Teach me|Please describe|How is it done with|I would like to try|I prefer|Expand on|Say something about|I'd like details of] [the {rank} [method|one|technique|way|recipe|idea|of these|of the two]|{method}][, please|][.|?|]|How [does|do you do|is it with] [the {rank} [method|one|technique|way]|{method}][ work|, exactly|][?|]"
        answer = _more(rng, methods[place], food)
        messages += [
            user(phrase(rng, more, rank=rank, method=methods[place])),
            assistant(persona_talk.said(rng, chef, {}, answer) if chef else answer),
        ]
    if rng.random() < 0.3:
        base: Exchange = smalltalk.thanks(rng)
        messages += [user(base.ask), assistant(persona_talk.said(rng, chef, {}, base.answer) if chef else base.answer)]
    return messages


def recall(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """A list, then a question for each of its places."""
    items = [invented.topic(rng) for _ in range(rng.randint(2, 4))]
    ask = "[Here is my list|These are my plans|My shopping list|Remember these things|My ideas|This is what I need|My list|Note these things|Here are my points|I wrote down|Please remember|Keep this list|The topics are|My favourites are|Today's points|Remember this list]: {items}[.|.|]|[I like|I need|I want to talk about|We will speak about|First to last I have|My plan has these points:|On my list are] {items}[.|]"
    again = "[What was|Which is|Tell me|What is|Which was|Name|Say|Repeat|Do you remember|Can you tell me|What's|Give me|Remind me of|I forgot|Could you repeat|And what was] the {rank} [one|thing|item|point|entry|thing on my list|thing that I named|of them][?|.|]|[Which|What] [one |thing |item |point |][was|is|came|did I name|did I say|stood] {rank}[?|]|The {rank} [one|item|point][?|, please.|, please?|: what was it?]"
    opening = [
        user(phrase(rng, ask, items=listed(items))),
        assistant(
            phrase(
                rng,
                "[I will remember that.|Okay, I have noted {count} things.|Noted.]",
                count=words.NUMBERS[len(items)],
            )
        ),
    ]
    return [
        [*opening, user(phrase(rng, again, rank=rank)), assistant(f"The {rank} one is {item}.")]
        for rank, item in zip(("first", "second", "third", "fourth"), items, strict=False)
    ], []
