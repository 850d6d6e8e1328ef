"""Log probabilities beside tools: those of the content before the first call, wherever the tokens are cut."""

from __future__ import annotations

from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.answer.choice import Choice
from services.chat.answer.form import AnswerForm, ToolUse
from services.chat.answer.outbox import AwaitedOutbox
from services.chat.answer.parsed import Content
from services.chat.grammar.tool_syntax import ToolSyntax
from services.engine.api import EndReason, TokenDelta, TokenLogprob
from services.engine.model.tokenizer import TextDecoder
from tests.unit.chat import test_hermes_parser, test_tool_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

BYTE_TOKENS = [bytes([byte]) for byte in range(256)]
ANSWERS = [
    *((ToolSyntax.LLAMA3_JSON, text) for text, _ in test_tool_parser.GOLDEN.values()),
    *((ToolSyntax.HERMES, text) for text, _ in test_hermes_parser.GOLDEN.values()),
]


def tools(syntax: ToolSyntax, continued: str = "") -> ToolUse:
    """The tools that may be called."""
    return ToolUse(frozenset(test_tool_parser.NAMES), parallel=True, named=False, syntax=syntax, continued=continued)


async def answered(
    syntax: ToolSyntax, tokens: Sequence[bytes], *, stops: Sequence[str] = (), continued: str = ""
) -> tuple[str, bytes]:
    """The content of an answer, and the bytes of its entries."""
    outbox = AwaitedOutbox(streamed=True)
    form = AnswerForm(1, stops, tools=tools(syntax, continued), logprobs=True)
    choice = Choice(0, form, TextDecoder(BYTE_TOKENS), outbox, keeps_output=False)
    for token in tokens:
        if not choice.ended:
            choice.push(TokenDelta(0, 1, logprobs=[TokenLogprob(token, -1.0)]))
    if not choice.ended:
        choice.end(EndReason.STOP)
    deltas = [event.delta for event in await outbox.take() if event.HasField("delta")]
    entries = [entry for delta in deltas for entry in delta.logprobs.content]
    return "".join(delta.content for delta in deltas), b"".join(entry.bytes for entry in entries)


def leading(syntax: ToolSyntax, text: str) -> bytes:
    """The content before the first call or tag."""
    parser = tools(syntax).parser()
    parts = takewhile(lambda part: isinstance(part, Content), [*parser.push(text), *parser.flush()])
    content = "".join(part.text for part in parts if isinstance(part, Content))
    same = takewhile(lambda pair: pair[0] == pair[1], zip(text, content, strict=False))
    return "".join(character for character, _ in same).encode()


@pytest.mark.parametrize(("syntax", "text"), ANSWERS)
async def test_entries_spell_the_content_before_anything_else_for_every_cut(syntax: ToolSyntax, text: str) -> None:
    raw = text.encode()
    for cut in range(len(raw) + 1):
        _, spelled = await answered(syntax, [raw[:cut], raw[cut:]])
        assert spelled == leading(syntax, text)
    _, spelled = await answered(syntax, [raw[at : at + 1] for at in range(len(raw))])
    assert spelled == leading(syntax, text)


# Behind a tag that is dropped, content may begin with the same white space as before it.
@given(
    st.sampled_from([answer for answer in ANSWERS if "<|python_tag|>" not in answer[1]]),
    st.lists(st.integers(0, 200), max_size=8),
    st.sampled_from(["", "ook", "}"]),
)
async def test_they_do_for_any_cuts_and_stop_sequences(
    answer: tuple[ToolSyntax, str], cuts: list[int], stop: str
) -> None:
    syntax, text = answer[0], f"{answer[1]}\nLook!"
    raw = text.encode()
    edges = sorted({0, len(raw), *(min(cut, len(raw)) for cut in cuts)})
    tokens = [raw[begin:end] for begin, end in pairwise(edges)]
    _, spelled = await answered(syntax, tokens, stops=[stop] if stop else [])
    assert spelled == leading(syntax, text.partition(stop)[0] if stop else text)


async def test_an_answer_that_is_a_call_has_none_and_one_without_calls_has_all() -> None:
    call = test_tool_parser.CALL
    assert await answered(ToolSyntax.LLAMA3_JSON, [call.encode()]) == ("", b"")
    assert await answered(ToolSyntax.LLAMA3_JSON, [b"It is", b" {sunny}."]) == ("It is {sunny}.", b"It is {sunny}.")
    behind = [b"Look", b".\n{", call[1:].encode(), b"\nSo."]
    assert await answered(ToolSyntax.LLAMA3_JSON, behind) == ("Look.\nSo.", b"Look.\n")


async def test_what_an_answer_continues_has_no_entries() -> None:
    assert await answered(ToolSyntax.LLAMA3_JSON, [b"sunny."], continued="It is ") == ("sunny.", b"sunny.")
