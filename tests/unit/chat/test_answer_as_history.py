"""Whatever was answered, whole or cut, is accepted as the history of the next request."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2
from services.chat.answer.choice import Choice
from services.chat.answer.form import AnswerForm, ToolUse
from services.chat.answer.outbox import AwaitedOutbox
from services.chat.request.message_validation import check_messages
from services.chat.request.prompt import PromptRenderer
from services.engine.api import EndReason, ModelInfo, TokenDelta
from tests.support.events import completed, fold, started
from tests.support.gguf_files import demo_gguf, demo_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKENIZER = demo_tokenizer()
RENDERER = PromptRenderer(
    ModelInfo("demo", "Q8_0", "demo-1", demo_gguf().chat_template, "<|begin_of_text|>", "<|eot_id|>"), TOKENIZER
)
TOOLS = ("look", "say_it")
USER = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hi")])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
calls = st.builds(
    lambda name, key, value: f'{{"name": "{name}", "{key}": {json.dumps(value)}}}',
    st.sampled_from([*TOOLS, "other"]),
    st.sampled_from(["parameters", "arguments"]),
    st.dictionaries(st.text(max_size=4), json_values, max_size=3) | json_values,
)
broken_calls = st.builds(
    lambda name, text: f'{{"name": "{name}", "parameters": {{{text}',
    st.sampled_from(TOOLS),
    st.text(alphabet='{}[]",:\\ud800 a1', max_size=20),
)
answers = st.lists(calls | broken_calls | st.text(max_size=12), max_size=4).flatmap(
    lambda parts: st.sampled_from(["; ", "\n", ""]).map(lambda between: between.join(parts))
)


def answered(text: str, form: AnswerForm, reason: EndReason, size: int) -> chat_pb2.Message:
    """The message that a caller gets for a text, which the model writes in steps of `size` characters."""

    async def run() -> chat_pb2.Message:
        outbox = AwaitedOutbox(streamed=True)
        choice = Choice(0, form, TOKENIZER.decoder(), outbox, keeps_output=False)
        for start in range(0, len(text), size):
            if choice.push(TokenDelta(0, 1, text=text[start : start + size])):
                break
        if not choice.ended:
            choice.end(reason)
        outbox.complete(completed().completed)
        return fold([started(), *await outbox.take()]).choices[0].message

    return asyncio.run(run())


@settings(deadline=None, max_examples=300)
@given(
    text=answers,
    cut=st.integers(0, 80),
    stops=st.sampled_from([(), ('"',), ("}",), ("a",)]),
    parallel=st.booleans(),
    named=st.booleans(),
    reason=st.sampled_from([EndReason.STOP, EndReason.LENGTH]),
    size=st.integers(1, 7),
)
def test_every_answer_is_accepted_as_history(
    text: str, cut: int, stops: Sequence[str], parallel: bool, named: bool, reason: EndReason, size: int
) -> None:
    form = AnswerForm(1, stops, ToolUse(frozenset(TOOLS), parallel, named))
    message = answered(text[:cut] if reason is EndReason.LENGTH else text, form, reason, size)
    results = [
        chat_pb2.Message(role=chat_pb2.ROLE_TOOL, tool_call_id=call.id, content=[chat_pb2.ContentPart(text="done")])
        for call in message.tool_calls
    ]
    history = [USER, message, *results, USER]
    tools = [tool_pb2.Tool(function=tool_pb2.FunctionTool(name=name)) for name in TOOLS]
    # As it arrives with the next request.
    request = chat_service_pb2.ChatRequest.FromString(
        chat_service_pb2.ChatRequest(messages=history, tools=tools).SerializeToString()
    )
    check_messages(request.messages)
    RENDERER.token_ids(request.messages, request.tools)
