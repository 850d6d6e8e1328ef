"""Grammars in GBNF: no text comes that they do not allow, and what cannot be converted is refused."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from services.chat.grammar.gbnf import lark_of
from services.errors import ChasquiError

PARAM = "response_format.gbnf.grammar"
# llama.cpp's own example of JSON, shortened.
JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws  # a comment
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
TEXTS = ["".join(letters) for length in range(5) for letters in itertools.product("abc", repeat=length)]

# Pairs of GBNF and the regular expression that it means.
LITERALS = st.text("abc", min_size=1, max_size=3).map(lambda text: (f'"{text}"', text))
CLASSES = st.sampled_from(["[a-b]", "[^a]", "[abc]"]).map(lambda text: (text, text))


def _joined(parts: list[tuple[str, str]]) -> tuple[str, str]:
    return " ".join(gbnf for gbnf, _ in parts), "".join(pattern for _, pattern in parts)


def _either(parts: list[tuple[str, str]]) -> tuple[str, str]:
    return f"({' | '.join(gbnf for gbnf, _ in parts)})", f"(?:{'|'.join(pattern for _, pattern in parts)})"


def _repeated(part: tuple[tuple[str, str], str]) -> tuple[str, str]:
    (gbnf, pattern), times = part
    return f"({gbnf}){times}", f"(?:{pattern}){times}"


EXPRESSIONS = st.recursive(
    LITERALS | CLASSES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(_joined)
        | st.lists(inner, min_size=2, max_size=3).map(_either)
        | st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}"])).map(_repeated)
    ),
    max_leaves=6,
)


def matcher(grammar: str) -> LLMatcher:
    """A matcher of the converted grammar, of bytes."""
    return LLMatcher(LLTokenizer("byte"), f"%llguidance {{}}\n{lark_of(grammar, PARAM)}", log_level=0)


def allows(first: LLMatcher, text: str) -> bool:
    """Whether the text can come, whole."""
    own = first.deep_copy()
    return (not text or bool(own.consume_tokens(list(text.encode())))) and bool(own.is_accepting())


@settings(max_examples=settings().max_examples // 4)  # each tries every text
@given(EXPRESSIONS)
def test_no_text_comes_that_the_grammar_does_not_allow(expression: tuple[str, str]) -> None:
    first = matcher(f"root ::= {expression[0]}")
    if first.is_error():  # it is refused when it is compiled
        return
    pattern = re.compile(expression[1])
    for text in TEXTS:
        assert not allows(first, text) or pattern.fullmatch(text), text


@pytest.mark.parametrize("text", ['{"a": [1, -2.5e3, "é\\n"], "b": {}}', "{}", '{"a": null}'])
def test_a_grammar_of_json_allows_json(text: str) -> None:
    assert allows(matcher(JSON), text)


@pytest.mark.parametrize("text", ["", "{", '{"a"}', '{"a": 01}', "[1]"])
def test_a_grammar_of_json_allows_nothing_else(text: str) -> None:
    assert not allows(matcher(JSON), text)


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= missing",
        'a ::= "b"',
        'root ::= "a',
        "root ::= [a",
        'root ::= "\\q"',
        'root ::= "\\',
        "root",
        "root ::= " + "(" * 10_000,
        'root ::= "a"\n' * 301,
        'root ::= "' + "a" * 32_768 + '"',
        "root ::= [a-z&&b]",
        "root ::= [^a~~b]",
        'root ::= "a"{x}',
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(grammar: str) -> None:
    with pytest.raises(ChasquiError) as caught:
        lark_of(grammar, PARAM)
    assert caught.value.param == PARAM
