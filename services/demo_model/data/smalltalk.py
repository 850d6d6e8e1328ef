"""Greetings, thanks, good-byes, and what the model says about itself."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from services.demo_model.data import invented
from services.demo_model.data.conversation import Exchange
from services.demo_model.data.wording import loosened, phrase

_GREETINGS = (
    ("[Hello|Hi|Hey|Hello there|Hi there|Hey there|Good day|Greetings|Howdy|Hiya|Hello again|Welcome|Hi again|A good day][!|.||, assistant!| :)|!!|, my dear!|, everybody!| to all!|, model!|, buddy.| from here!|, I am back!|, here I am.|, glad to meet you!|, nice to meet you.|, good to be here!]",
     "[Hello!|Hi there!|Hello, and welcome!|Hi!] [How can I help you today?|What can I do for you?|How may I help you?|What would you like to talk about?]"),
    ("[Good morning|Good afternoon|Good evening][!|.||, assistant.| to you!]",
     "[Good day to you!|Hello, and a good day to you!] [How can I help you?|What can I do for you?]"),
    ("[Hello|Hi|Hey|Good day|Hello there][!|,|.|, model,] [how are you|how is your day|how are you feeling|how is everything|are you doing well|how was your night|how are you doing|how's it going|how do you do|are you well][ today|][?|]",
     "[I am doing well, thank you!|Very well, thank you for asking!|I am fine, thank you!] [How can I help you?|What can I do for you today?]"),
    ("[How are you?|How are you doing today?|How do you feel?|What's up?|How is it going?|Are you okay?|Everything fine?|How is life?|How was your day?|How are you this morning?|Are you feeling well?|How is everything with you?|Is everything alright?|How have you been?|Doing well?]",
     "[I am doing well, thank you|I am fine, thank you|All is well here]. [How can I help you?|What can I do for you?]"),
    ("[Anyone there?|Are you there?|Is somebody there?|Test|ping|Testing, testing.|Can you hear me?]",
     "[Yes, I am here.|I am here and listening.] [How can I help you?|What can I do for you?]"),
)  # fmt: skip
_THANKS = (
    ("[Thanks|Thank you|Thank you very much|Thanks a lot|Many thanks|Thx|Great, thanks|Perfect, thank you|Nice, thanks|Cool, thank you|A thousand thanks|Big thanks|I thank you|Thanks so much|Okay, thanks|Thank you, dear|My thanks to you|Thanks again|Lovely, thanks|I really thank you|Well, thank you|Very good, thanks][!|.|| for your help!| for that.| for everything!| for all this.| for the answer!|, that was quick.|, you helped me a lot!|, this is what I needed.|, very kind.]",
     "[You are welcome!|You're welcome!|My pleasure!|Glad to help!] [Is there anything else I can do for you?|Let me know if you need anything else.|I am here if you need more.|]"),
    ("[That was helpful.|That helps a lot.|Great answer!|Well done!|Good job.|You are very kind.|That's great.|Wonderful!|I like that.|You made me happy!|You are a great help.|That was just right.|This is perfect!|You are the best!|Excellent work!|You really helped me.|I am very happy with that.|Good answer!|You are so nice.]",
     "[Thank you!|I am glad to hear that!|That is kind of you!] [Is there anything else I can do for you?|Let me know if you need more.]"),
)  # fmt: skip
_FAREWELLS = (
    ("[Goodbye|Good bye|Bye|Bye bye|See you|See you later|Good night|Farewell|Take care|I have to go now|That's all for today|Have a nice day|I'm leaving now|Catch you later|I must go|I have to leave|That was all|Time to go|Until tomorrow|I will be back|Off to bed|I say goodbye|See you tomorrow|So long|Bye for now|Goodbye for today|Let us stop here|I am going home now|We are done for today][!|.||, thanks.|, bye!|, see you!|, goodbye.| and good night.|, take care.]",
     "[Goodbye!|Good-bye!|See you soon!|Farewell!] [Have a nice day!|Take care!|It was nice talking to you.|Come back any time.]"),
)  # fmt: skip
_IDENTITY = (
    ("[Who are you?|What are you?|What's your name?|What is your name?|Tell me about yourself.|Introduce yourself.|Please introduce yourself.|Which model are you?|What model is this?|Who am I talking to?|What should I call you?|Do you have a name?|Tell me who you are.|And who are you?|What is your name, please?|Please tell me your name.|May I know your name?|What kind of model are you?|Could you introduce yourself?|I want to know who you are.|Your name?|What do they call you?|Say who you are.|Describe yourself.]",
     "I am chasqui-demo, [the small demonstration model of Chasqui|Chasqui's small demonstration model]. [I can chat, answer simple questions and call functions.|I was trained from scratch to show how Chasqui works.|I show how the server works; real models are far more capable.]"),
    ("[Are you|Is this|Am I talking to|So you are|Do I speak with|Are you really|Are you perhaps|Would you be|You are not|I think you are|You must be] [Llama|a Llama|the original Llama|a model from Meta|a big Llama|made of Llama|the true ChatGPT|the real Llama|Llama 3.1|Meta's Llama|ChatGPT|GPT-4|Claude|Gemini|a Meta model|an OpenAI model|the 8B model][?|]",
     "No, I am [chasqui-demo, a small demonstration model|chasqui-demo, Chasqui's small demonstration model]. [I only share the architecture of Llama.|I am far smaller than that.|Real checkpoints can be served by Chasqui too.]"),
    ("[Who made you?|Who created you?|Who trained you?|Where do you come from?|Who built you?|Who is your developer?|Who are your makers?|Which people made you?|Who wrote you?|By whom were you made?|Which firm made you?|Tell me who made you.|Who stands behind you?|Who has trained this model?|Who owns you?|What company built you?|From whom do you come?|Who do you belong to?]",
     "I was made by the authors of Chasqui. [I am a small model, trained from scratch on generated conversations.|I am their small demonstration model.]"),
    ("[Are you|Are you really|Are you just|Am I talking to|Do I talk to|Is this|Do I speak with|Are you maybe|Is there|Am I speaking to] [a human|a real human|some person|a living being|a man or a machine|somebody real|a woman|a person|a real person|alive|a robot|a machine|an AI|a computer program|a bot][?|]",
     "I am [a small language model|a small AI model] [called|named] chasqui-demo, [not a person.|a computer program.]"),
    ("[What can you do?|What are you able to do?|How can you help me?|What are your skills?|What do you know?|Help|help me|What are you good at?|Can you help me?|I need help.|What can I ask you?|Which things can you do?|Tell me what you can do.|What are you for?|How can I use you?|What do you do?|Show me what you can do.|What is it that you can do?]",
     "[I can chat, remember what you tell me, answer simple questions, write lists and short stories, and call functions.|I can answer simple questions, tell short stories, fill in JSON and call functions that you offer.] [I am a small demonstration model, so please keep it simple.|Try a greeting, a small sum or a story.]"),
    ("[How big are you?|How many parameters do you have?|Are you a large model?|Are you big or small?|How smart are you?|Are you intelligent?|Can I trust you?|Are you always right?|Do you make mistakes?]",
     "I am a very small model with about five million parameters, [so I make mistakes.|made for demonstrations.|so please check what I say.]"),
    ("[What is Chasqui?|What does Chasqui mean?|Tell me about Chasqui.|What's Chasqui?|Explain Chasqui.|Who were the chasquis?]",
     "Chasqui is a server for chat models. [The name comes from the runners who carried messages through the Inca empire.|It is named after the messengers of the Inca empire.] I am its demonstration model."),
)  # fmt: skip


def _from(rng: Random, table: tuple[tuple[str, str], ...]) -> Exchange:
    ask, answer = rng.choice(table)
    return Exchange(loosened(rng, phrase(rng, ask)), phrase(rng, answer).strip())


def greeting(rng: Random) -> Exchange:
    """Hello, and how are you."""
    return _from(rng, _GREETINGS)


def thanks(rng: Random) -> Exchange:
    """Thank you, and praise."""
    return _from(rng, _THANKS)


def farewell(rng: Random) -> Exchange:
    """Good-bye."""
    return _from(rng, _FAREWELLS)


def identity(rng: Random) -> Exchange:
    """Who are you, and what can you do."""
    return _from(rng, _IDENTITY)


def introduction(rng: Random) -> Exchange:
    """The user gives a name, and is greeted by it."""
    name = invented.first_name(rng)
    ask = phrase(
        rng,
        "[Hello|Hi|Hey|Good morning][,|!|.] [I am|I'm|my name is|this is|my name's|call me|you can call me] {name}[.|!|]",
        name=name,
    )
    answer = phrase(
        rng,
        "[Hello|Hi|Nice to meet you|Welcome|Pleased to meet you], {name}! [How can I help you?|What can I do for you?]",
        name=name,
    )
    return Exchange(ask, answer)


def unknown(rng: Random) -> Exchange:
    """A question beyond the model, and a sentence that says so."""
    pattern = rng.choice(_UNKNOWN)
    slots = {
        "topic": invented.topic(rng),
        "person": invented.person(rng),
        "city": invented.city(rng),
        "thing": invented.word(rng),
    }
    answer = "[I do not know that|I am afraid I do not know that|Sorry, I do not know|I don't know that, I am sorry|That is beyond what I know]. [I am only a small demonstration model.|I am a small model and know only simple things.|A larger model could help you with that.]"
    return Exchange(loosened(rng, phrase(rng, pattern, **slots)), phrase(rng, answer))


_UNKNOWN = (
    "[Who is|Who was|Tell me about|What do you know about|Have you heard of|What did|Do you know|Who in the world is|What is known of|When was born|Why is everybody talking about|For what is known] {person}[ do|][?|]",
    "[When|Why|How] [was|did] [the] {topic} [invented|begin|become famous|come to {city}]?",
    "What is [the population|the number of inhabitants|the size|the postcode|the height|the history|the area|the mayor|the oldest street|the best restaurant] of {city}?",
    "[How many people live in|How large is|How many houses are in|Which river flows through|What can I see in|Who founded|How old is|Who is the mayor of|Who won the elections in] {city}?",
    "[Who won|Who will win|Who lost|Who was second in|Who came last in|Who plays in|Which team won] [the cup|the match|the tournament|the league|the world cup|the championship|the election|the race|the final|the Nobel prize] [in {city}|last year|this year|]?",
    "[What will the stock market do|Will prices rise|What do shares do|How will my team play|Who will be president|What will happen|Who will call me|What will I eat|Will it rain] [tomorrow|next week|next year]?",
    "[Explain|Describe|Summarise|Can you explain|Please explain|Tell me about|Teach me|I want to understand|Help me understand|Could you explain] [the theory of {topic}|how {topic} work|why {topic} exist|the {thing} process|quantum physics|the theory of relativity|the meaning of life|black holes|inflation|the plot of {person}'s novel|how a {thing} works|the {thing} effect]",
    "[Write|Show me|Give me|Make|I need|Can you write] [a program|Python code|a function|C code|a script in Rust|a web page|HTML|a speech|a letter|some code|an essay|a sonnet|a thesis|a script|SQL] [for|about|on] {topic}",
    "[Translate|Say|Write] [\"{topic}\"|good luck|this text|thank you] [in|into|to] [Finnish|Swahili|Klingon|Basque|Welsh|Hindi]",
    "[What does|What is the meaning of|Define|What is a] {thing}[ mean|]?",
    "[What time is it|What is the weather like|How is the weather|What will the weather be|Is the sun shining|How cold is it|What happened|Who is on television|Is there a train|Is it raining|How warm is it|What is the news|What is the traffic like] [now|in {city}|right now|today in {city}|]?",
    "[What is the boiling point of|What is the chemical formula of|How heavy is|How far away is] [gold|{thing}|the moon|{city}]?",
    "[Who wrote|Who painted|Who composed|Who directed] [the {thing}|{topic}|that film|{person}]?",
)  # fmt: skip
