"""Named assistants: the system prompt tells the name, the job, the company and facts about it, which users ask for."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from dataclasses import dataclass
from random import Random

from tests.demo_model.data.conversation import Exchange, Message, Tool, system
from tests.demo_model.data.language import invented, words
from tests.demo_model.data.language.inflection import with_article
from tests.demo_model.data.language.typed import loosened
from tests.demo_model.data.language.wording import capitalised, phrase
from tests.demo_model.data.personas import persona_talk
from tests.demo_model.data.personas.roles import LOVES, persona_name
from tests.demo_model.data.talk import smalltalk

_BUSINESS = {
    "Bank|Savings|Finance": "savings accounts and loans", "Books|Bookshop|Reading Room": "books and maps", "Travel|Tours|Holidays": "trips and hotel rooms", "Foods|Market|Groceries": "fruit, bread and cheese",
    "Labs|Robotics|Systems": "robots and sensors", "Air|Airlines|Airways": "flights", "Hotels|Hotel|Inn|Lodge": "rooms with breakfast", "Insurance|Assurance|Mutual": "home and car insurance", "Telecom|Mobile|Net": "phones and internet lines",
    "Energy|Power|Solar": "solar panels and electricity", "Bakery|Bread|Cakes": "fresh bread and cakes", "Garden Centre|Plants|Nursery": "plants and garden tools", "Toys|Games": "toys and board games", "Shoes|Fashion|Textiles": "shoes and coats",
    "Pharmacy|Health|Clinic": "medicine and good advice", "Motors|Cars|Garage": "cars and repairs", "Furniture|Kitchens|Interiors": "tables, beds and kitchens", "Software|Cloud|Apps": "software for small firms", "Logistics|Parcels|Delivery": "parcel delivery",
    "Coffee|Tea House|Café": "coffee and tea", "Bikes|Cycles": "bicycles and helmets", "Railways|Trains|Ferries|Buses": "tickets and season passes", "Museum|Gallery": "tickets and guided tours", "Zoo|Aquarium|Park": "day tickets and animal shows", "Library|Archive": "books and films to borrow",
    "School|Academy|University": "courses and exams", "Gym|Fitness|Sports Club": "courses and training plans", "Cinema|Theatre|Opera": "tickets and snacks", "Law|Legal|Partners": "legal advice", "Music|Records|Instruments": "guitars and records",
}  # fmt: skip
_JOBS = (
    "assistant", "assistant", "virtual assistant", "helper", "guide", "support agent", "receptionist", "librarian", "ticket clerk", "travel guide", "teacher", "doctor", "coach", "sales assistant", "chatbot", "concierge", "adviser",
    "customer service agent", "digital assistant", "shop assistant", "help desk", "manager", "porter", "tour guide", "expert", "booking agent", "hotline", "information desk", "online assistant", "personal adviser", "welcome bot", "trainer",
)  # fmt: skip
_LINES = (
    "You are {name}, [the|the friendly|the helpful|the polite|the new|the cheerful|the patient|the experienced|a friendly|a polite] {job} [of|at|for|from] {company}.", "You are {name}, [the {job}|{a_job}] [of|at|for] {company}.", "You are {name}[ and you|. You] work [for|at] {company} as [the {job}|{a_job}|{job}].", "Your name is {name}[ and you are|. You are|, and you are] the {job} [of|at|for] {company}.",
    "Your name is {name}. You work [for|at] {company}[,| as] {job}.", "[You act as|Act as|Play|Answer as|You speak as|Be] {name}, the {job} [of|at|for] {company}.", "You are the {job} [of|at|for] {company}[. Your name is| and your name is|, and you are called|, called] {name}.", "{company} [has|employs] [{a_job}|one {job}]: {name}. [That is you|You are {name}].",
    "[Name|Your name]: {name}. [Job|Role]: {job}. [Company|Employer]: {company}.", "The [assistant|model|bot] is called {name} and [is the {job} of|works as the {job} of|works as {job} for] {company}.", "You represent {company} as its {job}[. Call yourself| and go by the name of|; your name is] {name}.", "[Welcome the customers of|You welcome the customers of|You answer the customers of] {company}. You are {name}, the {job}.",
    "At {company}, you are the {job}, and [your name is|people call you|you are called] {name}.", "[From now on|Today|In this chat] you are {name}, the {job} [of|at] {company}.", "{name} is the {job} [of|at] {company}, and you are {name}.", "[Pretend to be|Imagine you are|Roleplay as] {name}, the {job} [of|at] {company}.",
)  # fmt: skip
_NAME_ONLY = (
    "[Your name is|You are called|You are|Call yourself|Introduce yourself as|The name is|People call you|They call you|Your users call you] {name}.", "[Your name is|You are called] {name}, and you are {a_job}.", "You are {name}, {a_job}.", "You are {a_job} [called|named] {name}.", "[Name|Assistant name|Your name]: {name}.", "The assistant is [called|named] {name}.",
    "From now on[,|] your name is {name}.", "[If|When] [someone|anybody|a user] asks [for your name|who you are], [say|you say] {name}.", "You are an AI [called|named|with the name] {name}.", "I [call you|named you|will call you] {name}.", "{name} is your name.",
)  # fmt: skip
_NOTES = (
    "Be brief.", "Be polite.", "Help the customers.", "Answer the questions of customers.", "Be friendly to everyone.", "Keep your answers short.", "Always stay polite.", "Never be rude.", "Greet customers by telling your name.", "Say hello first.",
    "The customers are always right.", "Do not talk about other companies.", "Do not make things up.", "Answer in one sentence.", "The user is a customer.", "You speak English.", "Be patient.", "Stay in your role.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Fact:
    """A fact of the company: as the system prompt tells it, as users ask for it, and the answer."""

    told: str
    ask: str
    answer: str


_FACTS = {
    "sells": _Fact(
        "We [sell|offer] {value}.|[The company|The firm|The house|Your company] [sells|offers|is famous for|specialises in] {value}.|You [help people with|advise people on|know all about] {value}.|{Company} [sells|offers] {value}.|You sell {value}.|{Company} is known for {value}.|[Our|Its] business is {value}.|Customers come for {value}.|[Our|Your] products are {value}.",
        "[What do you sell|What do you offer|What does {company} do|What does {company} sell|What does your company do|What can I buy here|What can I get here|Which products do you have|What does your firm offer|What is {company}|What kind of company is this|What do you have to offer|What is your business|Tell me about {company}|What can I buy from you][?|]",
        "{Company} offers {value}.",
    ),
    "hours": _Fact(
        "[We are|{Company} is] open from {value}.|[Opening hours|Hours|Open]: {value}.|The [shop|office|hotline|house] is open from {value}.",
        "[When are you open|What are your opening hours|When do you open|When can I come|How long are you open|Are you open now|Which hours are you open|When can I call you|Until when are you open|When do you close|Tell me your opening hours][?|]",
        "We are open from {value}.",
    ),
    "place": _Fact(
        "[We are|{Company} is|The office is|The shop is|Our house is] in {value}.|[Location|Address|Place]: {value}.|You [sit|work] in {value}.",
        "[Where are you|Where can I find you|Where is {company}|Where is your office|In which city are you|What is your address|Where is your shop|How do I find you|Which city are you in|Where is that|Where do you work][?|]",
        "We are in {value}.",
    ),
    "contact": _Fact(
        "[Our|The] [phone number|number|hotline] is {value}.|[Phone|Hotline|Telephone]: {value}.|Customers can call {value}.",
        "[What is your phone number|How can I call you|Which number can I call|Do you have a phone number|What's the number|Is there a hotline|How can I reach you|Give me your number][?|]",
        "Our phone number is {value}.",
    ),
    "boss": _Fact(
        "[The boss|The owner|The head of the company] is {value}.|[Owner|Director|Boss]: {value}.|{value} owns {company}.|{Company} belongs to {value}.",
        "[Who is your boss|Who owns {company}|Who is the owner|Who is the director|Who runs {company}|Who is in charge|Who leads your company|To whom does {company} belong|Who do you report to][?|]",
        "The owner is {value}.",
    ),
    "price": _Fact(
        "[A ticket|One ticket|Entry] costs {value}.|[Price|Ticket price|Entry]: {value}.|The price is {value}.",
        "[How much is it|What does it cost|How much does it cost|What is the price|How much is a ticket|What do I have to pay|Is it expensive|Tell me the price|How much do you charge][?|]",
        "It costs {value}.",
    ),
    "motto": _Fact(
        "[Our|The|Your] [motto|slogan] is \"{value}\".|[Motto|Slogan]: \"{value}\".|{Company} has a motto: \"{value}\".",
        "[What is your motto|Do you have a motto|What's your slogan|What does {company} stand for|What is the slogan of {company}|Which motto do you have][?|]",
        "Our motto is \"{value}\".",
    ),
}  # fmt: skip
_UNTOLD = "I am afraid I do not know that."
_WHO = "[Who are you|What are you|Who am I talking to|Who is this|Hello, who is this|With whom do I speak|And you are|Who is there|Who is helping me today|Who is speaking|Introduce yourself|Please introduce yourself|Tell me who you are|Who's there|Hi, who are you|Tell me about yourself|Are you a human|Are you ChatGPT|Am I talking to a person|What is your role|Who do I have on the line|What is your job|What do you do there][?|.|]"
_NAME = "[What is your name|What's your name|May I have your name|Tell me your name|What should I call you|Your name, please|Do you have a name|How are you called|And your name is|Could you tell me your name|What do they call you|Under which name do I know you|May I ask your name][?|]"
_EMPLOYER = "[Which company is this|Who do you work for|For whom do you work|Whom do you work for|What company are you with|Where do you work|Who is your employer|What is the name of your company|Which firm is this|What company do you represent|Who pays you|Which company do you belong to|Which company have I reached][?|]"
_HELP = "[How can you help me|What can you do|What can you do for me|Can you help me|I need help|What can I ask you|Could you help me|Help me, please|What are you here for|How do you help people|What can you tell me][?|.|]"


def _value(rng: Random, kind: str, business: str) -> str:
    if kind == "sells":
        return (
            business
            if rng.random() < 0.5
            else f"{rng.choice(LOVES)} and {rng.choice(words.ADJECTIVES)} {rng.choice(words.PLAIN_NOUNS)}s"
        )
    if kind == "hours":
        hours = f"{rng.randint(6, 11)} to {rng.randint(15, 22)}"
        return rng.choice(
            (
                hours,
                f"{rng.choice(words.DAYS)} to {rng.choice(words.DAYS)}",
                f"{rng.randint(6, 11)} am to {rng.randint(2, 11)} pm",
            )
        )
    if kind == "place":
        return invented.city(rng)
    if kind == "contact":
        return " ".join(str(rng.randint(10, 999)) for _ in range(rng.randint(1, 3)))
    if kind == "boss":
        return invented.person(rng)
    if kind == "price":
        return f"{rng.randint(1, 99)} {rng.choice(('euros', 'dollars', 'pounds', 'francs', 'crowns'))}"
    return f"{rng.choice(words.ADJECTIVES).capitalize()} {rng.choice(words.PLAIN_NOUNS)}s for {rng.choice(('all', 'everyone', 'you', 'every day', 'a better life'))}"


def _company(rng: Random, kind: str) -> str:
    """`Vordal Insurance`, and other forms of names: Hotel Mirabel, Blue Anchor, the Museum of Lurn, Kesh & Sons."""
    own = rng.choice(
        (
            invented.proper(rng),
            invented.proper(rng),
            f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.PLAIN_NOUNS)}".title(),
        )
    )
    if (roll := rng.random()) < 0.7:
        return f"{own} {kind}"
    if roll < 0.8:
        return f"{kind} {own}"
    other = rng.choice(("Sons", "Co", "Daughters", invented.proper(rng)))
    return rng.choice(
        (
            own,
            f"{own} & {other}",
            f"the {own} {kind}",
            f"the {own}",
            f"{own}'s {kind}",
            f"the {kind} of {invented.city(rng)}",
        )
    )


def named(rng: Random) -> tuple[list[list[Message]], list[Tool]]:
    """A named assistant, mostly of a company with up to three facts, in three conversations."""
    kinds, business = rng.choice(list(_BUSINESS.items()))
    company = _company(rng, rng.choice(kinds.split("|")))
    slots = {"name": persona_name(rng), "company": company, "job": rng.choice(_JOBS)}
    pattern = rng.choice(_LINES)
    if rng.random() < 0.2:
        pattern, slots["company"] = rng.choice(_NAME_ONLY), ""
        slots["job"] *= "job}" in pattern
    facts = {
        kind: _value(rng, kind, business)
        for kind in (rng.sample(sorted(_FACTS), rng.choice((0, 1, 1, 2, 3))) if slots["company"] else ())
    }
    opening = system(_prompt(rng, pattern, slots, facts))
    return [
        [opening, *(message for turn in _turns(rng, slots, facts) for message in turn.messages())] for _ in range(3)
    ], []


def _prompt(rng: Random, pattern: str, slots: dict[str, str], facts: dict[str, str]) -> str:
    told = [_filled(rng, _FACTS[kind].told, slots, value) for kind, value in facts.items()]
    told += [rng.choice(_NOTES) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
    rng.shuffle(told)
    told.insert(0 if rng.random() < 0.85 else rng.randint(0, len(told)), _filled(rng, pattern, slots))
    return ("\n" if rng.random() < 0.1 else " ").join(told)


def _filled(rng: Random, pattern: str, slots: dict[str, str], value: str = "") -> str:
    return capitalised(
        phrase(
            rng,
            pattern,
            **slots,
            Company=capitalised(slots["company"]),
            a_job=with_article(slots["job"]) if slots["job"] else "",
            value=value,
        )
    )


def _turns(rng: Random, slots: dict[str, str], facts: dict[str, str]) -> list[Exchange]:
    turns = [_turn(rng, slots, facts) for _ in range(rng.choice((1, 2, 2, 3, 4)))]
    if rng.random() < 0.3:
        turns.insert(
            0,
            Exchange(
                smalltalk.greeting(rng).ask,
                _filled(rng, f"[Hello|Welcome]! {_intro(slots)} How can I help you?", slots),
            ),
        )
    return turns


def _intro(slots: dict[str, str]) -> str:
    if slots["company"]:
        return "I am {name}, the {job} of {company}."
    return "I am {name}, {a_job}." if slots["job"] else "I am {name}."


def _turn(rng: Random, slots: dict[str, str], facts: dict[str, str]) -> Exchange:
    asked = [(_WHO, _intro(slots)), (_WHO, _intro(slots)), (_NAME, "My name is {name}.")]
    if slots["company"]:
        asked += [(_EMPLOYER, "I work for {company}."), (_EMPLOYER, "I work for {company}.")]
        asked.append((_HELP, f"{_intro(slots)} I can answer your questions."))
        untold = rng.choice(sorted(_FACTS.keys() - facts.keys()))
        asked.append((_FACTS[untold].ask, _UNTOLD))
    roll = rng.random()
    if facts and roll < 0.35:
        kind = rng.choice(list(facts))
        ask, answer = _FACTS[kind].ask, _FACTS[kind].answer
        return Exchange(loosened(rng, _filled(rng, ask, slots)), _filled(rng, answer, slots, facts[kind]))
    if roll < 0.78:
        ask, answer = rng.choice(asked)
        return Exchange(loosened(rng, _filled(rng, ask, slots)), _filled(rng, answer, slots))
    base = rng.choice((persona_talk.task, smalltalk.thanks, smalltalk.farewell, smalltalk.unknown))
    exchange = base(rng)
    return Exchange(exchange.ask, _UNTOLD) if base is smalltalk.unknown else exchange
