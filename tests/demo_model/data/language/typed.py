"""Makes a user's text look as people type it."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from tests.demo_model.data.language import asides
from tests.demo_model.data.language.wording import phrase

_OPENERS = (
    "[So|And|Well|Okay|Now|Oh|Hm|Alright|Hey|Hi|Right|Listen|Ah|Yes|Hello|Good|Now then|Ok|Um|Say|Look|Anyway|By the way|Just wondering|Next|Then|Again|Please|Right then|You know|My friend|Dear assistant][,|,| -|:] |"
    "[Hello|Hi there|Good|Fine|Okay|Great|Right|Hmm|I see|Understood|Nice|Very well|Thanks|Thank you|Sure|Interesting|Cool|Perfect|Got it|Alright|That was good][.|.|!] "
)
_ASKING_OPENERS = (
    "[A|One|Here is a|I have a|Now a|And a|Just a|Another|Only a|Time for a][ quick| short| small| simple| silly| new| serious| little|] [question|thing][ for you| for my friend here| before I go|][:|.|:] |"
    "[My|Our] [son|daughter|little sister|brother|child|neighbour|grandson|wife|husband|niece|friend|boss|class|teacher|girl|youngest|mother] [asks|wants to know|asked me|is asking|would like to know|keeps asking|needs to know|wonders]: |"
    "[For|This is for|It is for|I need it for] [a quiz|a crossword|my homework|school|a bet|the school paper|a game|my notes|our pub quiz|a test|a riddle|my lesson][:|.|:] |"
    "[I forgot|I wonder|I was wondering|Be honest|Tell me honestly|Let me ask|Let's see|Maybe you know|Perhaps you know|Something else|Just for fun|Next question|Something different|If you can|Short answer, please|I want to know|Help me out|You surely know this|I am curious|A new topic|Let me test you|Let's try this|Please answer|Answer this|One more|Another one|In one line, please|Don't think too long]: |"
    "[Can|May|Could] I ask [you |][something|a question|one more thing|this]? |[Do you know this|Can you help me|Got a second|Are you ready|Help me, please]? |"
    "[My|Our] [daughter|son|nephew|class|boy|little one|niece] [has homework|is learning this|has a test tomorrow|is curious|does not believe me|has a question][.|:] |"
    "[We are having a quiz night|I am sitting on the train|I should know this|I can't remember|I have forgotten|I am not good at this|I am learning for a test|We are playing a game|I am a bit tired today|Sorry to bother you again|It is late and I am confused|We have a bet|I learned this at school once|I am writing a card|My head is empty|Here is an easy one|Let us try something else|Now something simple|This one is for the children|I know it is a simple thing|My coffee is not working yet]. "
)
_ENDINGS = (
    "[Thanks|Please|Thank you|Thanks in advance|Many thanks|Cheers][.|!|!]|"
    "[Be brief|Go on|Answer me|Do it for me|Take your time|Do your best|Help me|Quick|Keep it short|Just one line, please|No long story, please|In one sentence, please|One sentence is enough|Don't explain it][.|.|!]|"
    "[I am|I'm] [curious|not sure|in a hurry|all ears|waiting|learning|a little confused].|"
    "[I forgot|I need to know|It is for a quiz|My [son|daughter|teacher|friend] asks|I want to be sure|It is important|I never know that|I always mix that up|I have to know it for school|We have a bet|It's for my homework|Just asking|I bet you know|That is all I need].|[You know that, right|Do you know|Any idea|Can you help]?"
)
_TAILS = (
    ", [please|my friend|dear|buddy|do you know|if you can|I wonder|by chance|in short|would you|if you please|little model|can you tell me|mate|chasqui-demo|if you know it|tell me|say]|"
    " [for me|again|then|exactly|really|now|actually|today|please|for us|once more|in your opinion|for my homework]"
)
_LOWERED = {
    "what", "which", "who", "how", "can", "could", "do", "does", "did", "tell", "give", "name", "is", "are", "was",
    "were", "write", "say", "list", "please", "have", "where", "when", "why", "would", "will", "am", "my", "the",
    "let's", "explain", "describe", "show", "count", "make", "thanks", "thank", "you", "that", "that's", "it", "it's",
    "if", "in", "on", "of", "a", "an", "there", "this", "find", "calculate", "compute", "add", "let", "help", "compose",
    "invent", "create", "remind", "our", "we", "no", "yes", "sorry",
}  # fmt: skip


def loosened(rng: Random, text: str, *, asks: bool = True) -> str:
    """The text as people type it: now and then with an opener, in lower case, or without its last mark.

    What does not ask for anything gets no opener or ending that announces a question.
    """
    roll, opened = rng.random(), rng.random()
    if asks and opened < 0.05:
        text = f"{asides.sentence(rng)} {text}"
    elif asks and opened < 0.08:
        text = _continued(asides.opening(rng), text)
    elif opened < 0.22:
        opener = phrase(rng, _ASKING_OPENERS if asks and opened < 0.14 else _OPENERS)
        text = _continued(opener, text)
    elif asks and opened < 0.29:
        text = f"{text if text[-1] in '.?!' else text + '.'} {phrase(rng, _ENDINGS).strip()}"
    elif asks and opened < 0.38 and text[-1] in ".?!":
        text = text[:-1] + phrase(rng, _TAILS) + text[-1]
    if 0.10 <= roll < 0.18:
        text = text.replace("hat is ", "hat's ", 1).replace("I am ", "I'm ", 1).replace("o not ", "on't ", 1)
    if roll < 0.10:
        text = text.lower()
    if roll > 0.88:
        text = text.rstrip(".?!")
    return text


def _continued(opener: str, text: str) -> str:
    """The opener and the text, which goes on in lower case where that is no new sentence."""
    first = text.split(" ", 1)[0].rstrip(",").lower().removesuffix("'s")
    opener = opener.rstrip()
    if first in _LOWERED and opener[-1] not in ".?!":
        text = text[:1].lower() + text[1:]
    return f"{opener} {text}"
