"""Questions about numbers: small sums, also in words and in stories, and which number is larger, even or next."""

# A sentence pattern stays on one line, however long.
# ruff: noqa: E501

from random import Random

from tests.demo_model.data.conversation import Exchange
from tests.demo_model.data.language import words
from tests.demo_model.data.language.typed import loosened
from tests.demo_model.data.language.wording import capitalised, phrase


def is_held_out(a: int, b: int) -> bool:
    """Sums, differences and products that are never trained, so that they can be evaluated."""
    return (7 * a + 3 * b) % 11 == 4


def _pair(rng: Random, highest: int) -> tuple[int, int]:
    while True:
        a, b = rng.randint(0, highest), rng.randint(0, highest)
        if not is_held_out(a, b):
            return a, b


_SIGNS = {"plus": ("+", "+", "+"), "minus": ("-", "-", "−"), "times": ("*", "*", "x", "×", "·")}
_WITH_VERBS = {
    "plus": "[Add {a} and {b}|Add {b} to {a}|Sum up {a} and {b}|Put {a} and {b} together|Add up {a} and {b}|Add {a} to {b} and tell me the result][.|, please.|]|[What do I get|What do you get|What is the result] [if I add {b} to {a}|when you add {a} and {b}|of adding {a} and {b}|if {b} is added to {a}][?|]|[Can|Will|Would|Could] you add {a} [to|and] {b}[?|, please?|]|[What is|What's|Tell me|Calculate|Give me|Find|I need] the sum of {a} and {b}[?|.|]|[{a} and {b} together|{a} and {b}|{a} and another {b}|{b} more than {a}] [is|makes|are|make] [how much|how many|what][?|]|[How much|How many|What] [is|are] {a} and {b}[ together|][?|]|What is {b} more than {a}[?|]|If I add {a} to {b}, what do I get[?|]|Which number is {b} more than {a}[?|]",
    "minus": "[Subtract {b} from {a}|Take {b} away from {a}|Take {b} from {a}|Deduct {b} from {a}|Remove {b} from {a}][.|, please.|]|[What is left|What remains|How much is left|How many are left] [if I take {b} from {a}|of {a} without {b}|when you take {b} away from {a}|if {b} are taken from {a}][?|]|I have {a} and lose {b}, what is left[?|]|What is {a} less {b}[?|]|[Can|Will|Would|Could] you subtract {b} from {a}[?|, please?]|[What is|Tell me|Find|Calculate|I need] the difference [between|of] {a} and {b}[?|.|]|[What is|Which number is] {b} less than {a}[?|]|{a} without {b} is [what|how much][?|]|{a} take away {b}[?| is what?|]|[How much|How many] more is {a} than {b}[?|]",
    "times": "[Multiply {a} by {b}|Multiply {a} and {b}|Multiply {a} with {b}][.|, please.|]|[What is|Tell me|Find|Calculate|I need] the product of {a} and {b}[?|.|]|[How much|How many] [is|are] {a} times {b}[?|]|[Can|Will|Would|Could] you multiply {a} [by|and|with] {b}[?|, please?]|{a} multiplied by {b}[ is what|][?|]|What do I get when I multiply {a} by {b}[?|]",
}
_ASKS = (
    "[What is|What's|How much is|Calculate|Compute|Can you tell me what|Solve|Tell me|I want to know|What do you get for|Do the sum|Result of|What comes out of|How much makes|Work out|Find|Please calculate|Can you calculate|Could you work out|I need|What would be|Help me with|Do you know|What is the result of|What's the answer to|Give me the result of|Can you solve|Let's calculate|Quick:|Now] {a} {op} {b}[?|.||, please?]|"
    "{a} {op} {b}[?| =|| = ?|, please.| is?| equals?|: result?]|[What does|How much does|What will|What do] {a} {op} {b} [give|equal|come to|add up to|make|yield]?|{a} {op} {b} [is|equals|gives|makes|would be] [what|how much]?|"
    "[My daughter has homework|I am doing my homework|The exercise says|On the sheet it says|My son asks me|In the test there was|At the shop I need]: [what is |how much is |]{a} {op} {b}[?|]|If I type {a} {op} {b}, what [comes out|do I get]?|[Is it hard|Do you manage|Are you able to do] {a} {op} {b}?|[Which|What] number [is|do I get for|is equal to] {a} {op} {b}?|[Tell|Show] me [how much|what] {a} {op} {b} [is|makes|gives][.|, please.|]"
)


def arithmetic(rng: Random) -> Exchange:
    """Additions and subtractions up to 50, products up to 10 by 10 and back, in figures, in words or in a little story."""
    if rng.random() < 0.08:
        return _divided(rng)
    kind = rng.choice(("plus", "plus", "minus", "times"))
    a, b = _pair(rng, 10 if kind == "times" else rng.choice((10, 20, 50)))
    if kind == "minus":
        a, b = max(a, b), min(a, b)
        if is_held_out(a, b):
            return arithmetic(rng)
    result = {"plus": a + b, "minus": a - b, "times": a * b}[kind]
    roll = rng.random()
    if roll < 0.16 and kind != "times" and min(a, b) > 1 and result > 1:
        return _told(rng, kind, a, b, result)
    in_words = roll > 0.85 and max(a, b) <= 20
    sign = rng.choice(_SIGNS[kind])
    slots: dict[str, object] = {
        "a": words.NUMBERS[a] if in_words else a, "b": words.NUMBERS[b] if in_words else b,
        "op": kind if in_words or rng.random() < 0.45 else sign,
    }  # fmt: skip
    ask = phrase(rng, _WITH_VERBS[kind] if rng.random() < 0.25 else _ASKS, **slots)
    if slots["op"] == sign and rng.random() < 0.12:
        ask = ask.replace(f" {sign} ", sign)
    answer = "[{a} {kind} {b} is {result}.|{a} {sign} {b} = {result}.]"
    sign = {"plus": "+", "minus": "-", "times": "*"}[kind]
    return Exchange(loosened(rng, capitalised(ask)), phrase(rng, answer, a=a, b=b, kind=kind, sign=sign, result=result))


def _divided(rng: Random) -> Exchange:
    """A product of the small table, divided by one of its factors."""
    a, b = _pair(rng, 10)
    if b < 2 or is_held_out(b, a):
        return _divided(rng)
    product = a * b
    in_words = rng.random() < 0.15 and product <= 20
    slots: dict[str, object] = {
        "a": words.NUMBERS[product] if in_words else product,
        "b": words.NUMBERS[b] if in_words else b,
        "op": "divided by" if in_words else rng.choice(("divided by", "divided by", "/", "/", "÷", ":")),
        "things": rng.choice(_THINGS.split("|")),
    }
    ask = phrase(rng, _SHARED if rng.random() < 0.4 and not in_words else _ASKS, **slots)
    answer = "[{a} divided by {b} is {result}.|{a} / {b} = {result}.]"
    return Exchange(loosened(rng, capitalised(ask)), phrase(rng, answer, a=product, b=b, result=a))


_SHARED = (
    "[Divide {a} by {b}|Please divide {a} by {b}|Share {a} among {b}][.|, please.|]|[Can|Could|Will] you divide {a} by {b}?|[How often|How many times] does {b} [go|fit] into {a}[?|]|What do I get [if|when] I divide {a} by {b}[?|]|"
    "[{b} children share {a} {things}|I share {a} {things} among {b} friends|We put {a} {things} into {b} equal bags]. How many [are that each|does each get|are in each]?"
)
_THINGS = "apples|books|pencils|eggs|coins|cards|candles|stamps|sweets|balls|flowers|stones|cookies|tickets|oranges|stickers|pears|marbles|fish|dollars|euros|nuts|shells|buttons|keys|cups|chairs|cars|bananas|cakes"
_GAINED = (
    "I have {a} {things}[ and| and then I|. I|. Then I] [buy|get|find|receive|am given|pick up|win] {b} [more|more {things}|others]. How many [{things} |][do I have|have I got] [now|in total|altogether|then]?|"
    "{name} has {a} {things} and [gets|buys|finds|wins|collects|is given] {b} more[. How many|, how many] [{things} |]does {name} have[ now| in total|]?|[There are|We see|I see] {a} {things} [on the table|in the basket|in the box|in the garden|here] and {b} {things} [on the floor|in the bag|in the other room|next door|there]. How many [{things} |]are there [in total|altogether|together]?|"
    "{name} has {a} {things}[,| and] {other} has {b}. How many do they have [together|in total|altogether]?|If you have {a} {things} and I give you {b} more, how many [{things} |][do you have|are there]?|[In the morning|On Monday] I [buy|find|sell] {a} {things} and [in the evening|on Tuesday] {b}. How many [{things} |][is that|is that in total]?"
)
_LOST = (
    "I have {a} {things}[ and| and then I|. I|. Then I] [lose|eat|give away|sell|break|throw away|forget] {b}[ of them|]. How many [{things} |][are left|do I have left|do I still have|remain]?|"
    "{name} has {a} {things} and [gives away|loses|eats|sells|breaks] {b}[. How many|, how many] [{things} |][are left|does {name} still have|remain]?|[There are|There were] {a} {things} [on the table|in the basket|in the box|in the shop]. [Someone takes {b}|{b} are taken away|We eat {b}|{name} takes {b}|{b} fall down]. How many [{things} |][are left|remain|are still there]?|"
    "If you have {a} {things} and I take {b} [away|from you], how many [{things} |][are left|do you have]?|Of {a} {things} {b} are [broken|gone|sold|bad]. How many are [left|good|still there]?"
)


def _told(rng: Random, kind: str, a: int, b: int, result: int) -> Exchange:
    """The sum as a little story; the answer calculates and says what there is."""
    name, other = rng.sample(words.FIRST_NAMES, 2)
    things = rng.choice(_THINGS.split("|"))
    ask = phrase(rng, _GAINED if kind == "plus" else _LOST, a=a, b=b, things=things, name=name, other=other)
    return Exchange(loosened(rng, ask), f"{a} {kind} {b} is {result}, so it is {result} {things}.")


def compare(rng: Random) -> Exchange:
    """The larger or smaller of two or more numbers, or whether one is larger."""
    highest = rng.choice((10, 100, 1000))
    more = rng.random() < 0.5
    sizes = "[bigger|larger|greater|more|higher]" if more else "[smaller|less|lower|littler]"
    roll = rng.random()
    if roll < 0.2:
        return _largest(rng, highest, more=more)
    a, b = rng.sample(range(1, highest), 2)
    winner, loser = (max(a, b), min(a, b)) if more else (min(a, b), max(a, b))
    answer = f"{winner} is {'larger' if more else 'smaller'} than {loser}."
    if roll < 0.4:
        ask = f"[Is {{a}} {sizes} than {{b}}|Would you say that {{a}} is {sizes} than {{b}}|Is it true that {{a}} is {sizes} than {{b}}|{{a}} is {sizes} than {{b}}, right|Am I right that {{a}} is {sizes} than {{b}}|Do you think {{a}} is {sizes} than {{b}}][?|]"
        answer = f"{'Yes' if winner == a else 'No'}, {answer}"
    else:
        ask = (
            f"[[Which|Which number|What|Which one|Which of them|Which of the two|Which of the two numbers] is {sizes}|[Tell me|Say|Do you know|I want to know|Can you tell me] which [is|number is|one is] {sizes}|[Tell me|Name|Give me|Find] the {sizes} [number|one]][,|:|, is it|:| -] {{a}} [or|or|and] {{b}}[?|]|"
            f"[Of|Between|Out of] {{a}} and {{b}}, which [one |number |]is {sizes}[?|]|{{a}} [or|and|or] {{b}}[, which is {sizes}|: which is {sizes}|: which one is {sizes}|, what is {sizes}][?|]|[Compare {{a}} and {{b}}|Look at {{a}} and {{b}}|Here are {{a}} and {{b}}|I have {{a}}, you have {{b}}][.|:] Which [one |number |]is {sizes}[?|]"
        )
    return Exchange(loosened(rng, phrase(rng, ask, a=a, b=b)), answer)


def _largest(rng: Random, highest: int, *, more: bool) -> Exchange:
    numbers = rng.sample(range(1, max(highest, 20)), rng.choice((3, 3, 4)))
    sizes = "[biggest|largest|greatest|highest]" if more else "[smallest|lowest|least]"
    ask = f"[Which|Which number|What|Which one] is the {sizes}[ number|][:|,|, is it] {{list}}[?|]|[Tell me|Name|Give me|Find|Pick|What is] the {sizes} [number |]of {{list}}[.|?|]|[Of|Out of|Among] {{list}}, which [one |number |]is [the |]{sizes}[?|]|{{list}}: which [one |number |]is the {sizes}[?|]"
    joined = ", ".join(map(str, numbers[:-1])) + rng.choice((" and ", " or ", ", ")) + str(numbers[-1])
    value = max(numbers) if more else min(numbers)
    return Exchange(
        loosened(rng, phrase(rng, ask, list=joined)), f"The {'largest' if more else 'smallest'} number is {value}."
    )


def number(rng: Random) -> Exchange:
    """Even or odd, the next number and the one before, twice and half."""
    kind = rng.choice(("parity", "parity", "next", "next", "double", "half"))
    n = rng.randint(1, rng.choice((10, 30, 100)))
    if kind == "parity":
        return _parity(rng, n)
    if kind == "next":
        step = rng.choice((1, -1))
        side = "after" if step == 1 else "before"
        ask = f"[Which|What] number [comes|is|do I say] [right |directly |]{side} {{n}}[?|]|[What|Which] is the [{'next' if step == 1 else 'previous'} number {side}|number {side}] {{n}}[?|]|[Tell me|Name|Say|Give me] the number {side} {{n}}[.|, please.|]|What comes {side} {{n}}[?|]|{{n}}: which number comes {side} it[?|]|I [count|counted] to {{n}}. What [comes|is] [{'next' if step == 1 else 'before that'}][?|]"
        return Exchange(loosened(rng, phrase(rng, ask, n=n)), f"The number {side} {n} is {n + step}.")
    if is_held_out(n, n) or n > 50:
        return number(rng)
    if kind == "double":
        ask = "[What is|What's|How much is|Tell me|Calculate|Say] [twice {n}|the double of {n}|double {n}|two times {n}|{n} doubled][?|.|]|Double [the number |]{n}[.|, please.|]|{n} doubled is[ what|][?|]|[What|Which] number is twice as [big|large] as {n}?"
        return Exchange(loosened(rng, phrase(rng, ask, n=n)), f"Twice {n} is {2 * n}.")
    ask = "[What is|What's|How much is|Tell me|Calculate|Say] [half of {n}|the half of {n}|one half of {n}][?|.|]|Halve [the number |]{n}[.|, please.|]|Half of {n} is[ what|][?|]|[We are two and have {n} {things}. How many does each [get|of us get]|Two children share {n} {things}. How many does each get]?"
    things = rng.choice(_THINGS.split("|"))
    return Exchange(loosened(rng, phrase(rng, ask, n=2 * n, things=things)), f"Half of {2 * n} is {n}.")


def _parity(rng: Random, n: int) -> Exchange:
    word = "odd" if n % 2 else "even"
    if rng.random() < 0.5:
        ask = "Is {n} [even or odd|odd or even|an even or an odd number|an odd or an even number][?|]|[Tell me|Do you know|Say|I want to know|Can you tell me] [if|whether] {n} is [even or odd|odd or even][.|?|]|{n}[: even or odd| is even or odd|, odd or even][?|]|What is {n}, [even or odd|odd or even]?"
        return Exchange(loosened(rng, phrase(rng, ask, n=n)), f"{n} is {word}.")
    guess = rng.choice(("even", "odd"))
    ask = f"[Is {{n}} {guess}|Is {{n}} an {guess} number|Is the number {{n}} {guess}|Is it true that {{n}} is {guess}|{{n}} is {guess}, right|Would you say {{n}} is {guess}|Am I right that {{n}} is {guess}][?|]"
    return Exchange(loosened(rng, phrase(rng, ask, n=n)), f"{'Yes' if guess == word else 'No'}, {n} is {word}.")
