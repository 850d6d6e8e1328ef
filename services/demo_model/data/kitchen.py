"""A chef who names two techniques and then tells more about one of them; the name is copied from the turn before."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from services.demo_model.data import invented, persona, smalltalk, words
from services.demo_model.data.conversation import Exchange, Message, Tool, assistant, system, user
from services.demo_model.data.wording import capitalised, listed, phrase

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
_CHEF = persona.VOICES[1]


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
        "[First|To begin|One is this], [we have|there is] [the classic|the famous|] {a}[ method| technique|]. [Next|Second|Then|Finally], [we have|there is|comes] [the ancient art of|the method of|the technique of|the art of] {b}.",
        "[The first one is|One technique is|One way is] {a}. [The second one is|Another technique is|Another way is] {b}.",
        "For {food}, I would choose {a} or {b}.",
        "1. {a}\n2. {b}",
    )
    return phrase(rng, rng.choice(pairs), a=methods[0], b=methods[1], food=food)


def _more(rng: Random, method: str, food: str) -> str:
    herbs = listed(rng.sample(_HERBS, rng.choice((2, 3))))
    parts = (
        "[Ah, {method}!|With pleasure: {method}!|{method} is one of my favourites.|Let me tell you about {method}.]",
        "[First|To begin], [you season|I season|we rub] the {food} with {herbs}.",
        "[Then|After that] [the {food} is cooked|we cook the {food}|it is cooked] [gently|slowly|with great care] [over low heat|in a hot oven|over glowing embers|in its own juices] for {time}, until it is [tender|golden and tender|soft and full of flavour].",
        "[The secret is patience.|The secret is good timing.|Never hurry: the heat must do its work.|Let it rest for ten minutes before you cut it.]",
        "[Serve it with|I serve it with|It goes well with] {side}.",
    )
    time = rng.choice(("one hour", "two hours", "three hours", "half an hour", "twenty minutes", "a whole night"))
    text = " ".join(
        phrase(rng, part, method=method, food=food, herbs=herbs, time=time, side=rng.choice(_SIDES)) for part in parts
    )
    return capitalised(text)


def techniques(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """Two techniques; then questions for the first, the second, or both by name."""
    food = rng.choice(words.FOODS) if rng.random() < 0.8 else invented.word(rng)
    methods = _methods(rng)
    ask = "[Can you name|Name|Tell me|Give me|What are|I need|List|Do you know] [two|at least two|two different|two good|a few|some] [techniques|methods|ways|recipes] [to cook|for cooking|to prepare|for] {food}[?|?|.|, please.]"
    chef = rng.random() < 0.7
    listing = _list_of(rng, methods, food)
    known = all(method in _METHODS for method in methods)
    opening = rng.choice(_CHEF.opening.split("|")) + " " if chef else ""
    beginning = [user(phrase(rng, ask, food=food)), {**assistant(opening + listing), "learn": known}]
    if chef:
        beginning.insert(0, system(persona.system_line(rng, "chef")))
    return [[*beginning, *_told_more(rng, methods, food, places, chef=chef)] for places in ((0,), (1,), (1, 0))], []


def _told_more(rng: Random, methods: list[str], food: str, places: tuple[int, ...], *, chef: bool) -> list[Message]:
    messages: list[Message] = []
    for place in places:
        rank = ("first", "second")[place]
        more = "[Tell me more about|Explain|Describe|How does|I would like to know more about|Say more about|What about|More about|Please explain|Could you describe|Let us talk about|Give me details about|Walk me through|I am interested in|I choose|How would you do|Please continue with] [the {rank} [method|one|technique|way|recipe|idea|of these|of the two]|{method}][, please|][ go|][.|?|]"
        answer = _more(rng, methods[place], food)
        messages += [
            user(phrase(rng, more, rank=rank, method=methods[place])),
            assistant(persona.colour(rng, _CHEF, answer) if chef else answer),
        ]
    if rng.random() < 0.3:
        base: Exchange = smalltalk.thanks(rng)
        messages += [user(base.ask), assistant(persona.colour(rng, _CHEF, base.answer) if chef else base.answer)]
    return messages


def recall(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """A list, then a question for each of its places."""
    items = [invented.topic(rng) for _ in range(rng.randint(2, 4))]
    ask = "[Here is my list|These are my plans|My shopping list|Remember these things|My ideas]: {items}."
    again = "[What was|Which is|Tell me|What is] the {rank} [one|thing|item|point][?|]"
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
