"""Grammars in llama.cpp's GBNF, and in the EBNF of SGLang and vLLM, which is alike, as llguidance's Lark.

llguidance converts them. It then reads literals and patterns greedily, so that where one literal begins with another, a
few texts that the grammar allows cannot come; every text that comes is one that the grammar allows.
"""

from __future__ import annotations

import re
from typing import Final

from services.errors import InvalidValue, UnsupportedParameter

# The converter takes a time that grows with the square of the number of rules: 0.1 s for so many.
_MOST_RULES: Final = 300
_LONGEST: Final = 32 * 1024  # characters
# In a class of characters these mean themselves, and in the regular expression that it becomes, operations on sets.
_SET_OPERATION: Final = re.compile(r"\[(?:\\.|[^\]\\])*(?:&&|--|~~)")


def lark_of(grammar: str, param: str) -> str:
    """The grammar in Lark; InvalidValue or UnsupportedParameter, naming `param`, if it cannot be converted."""
    from llguidance.gbnf_to_lark import gbnf_to_lark  # only calls with such a grammar need it

    if len(grammar) > _LONGEST or grammar.count("::=") > _MOST_RULES:
        raise InvalidValue(
            f"{param} is longer than {_LONGEST:,} characters or has more than {_MOST_RULES} rules.", param=param
        )
    if _SET_OPERATION.search(grammar):
        raise UnsupportedParameter(f"{param}: classes with &&, -- or ~~ are not supported.", param=param)
    try:
        return str(gbnf_to_lark(grammar))
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InvalidValue(f"{param} cannot be read as GBNF: {reason[:300]}.", param=param) from error
