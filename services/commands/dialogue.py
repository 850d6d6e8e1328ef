"""A conversation over gRPC: the request that grows with each turn, and the answer that is streamed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2
from services.commands.call_failed import CallFailed
from services.fold import ResponseFold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import grpc

    from services.commands.connection import Connection

_ROLES = {chat_pb2.ROLE_SYSTEM: "system", chat_pb2.ROLE_USER: "user", chat_pb2.ROLE_TOOL: "tool"}


class Dialogue:
    """The messages so far, and how they are to be answered."""

    def __init__(
        self, connection: Connection, model: str, system: str, temperature: float | None, max_tokens: int | None
    ) -> None:
        """Without `model` it is the served one."""
        self._connection = connection
        self.request = chat_service_pb2.ChatRequest(model=model or connection.served_model(), max_tokens=max_tokens)
        if temperature is not None:
            self.request.sampling.temperature = temperature
        self.instruct(system)

    def instruct(self, system: str) -> None:
        """Put a system prompt, or none, before the messages."""
        messages = [message for message in self.request.messages if message.role != chat_pb2.ROLE_SYSTEM]
        del self.request.messages[:]
        if system:
            self.request.messages.append(_message(chat_pb2.ROLE_SYSTEM, system))
        self.request.messages.extend(messages)

    def offer(self, tools: str) -> int:
        """Offer tools, given as JSON in OpenAI's form, and return how many; CallFailed if the text is no such list."""
        try:
            functions = [tool["function"] for tool in json.loads(tools)]
            offered = [tool_pb2.Tool(function=_function(function)) for function in functions]
        except (ValueError, KeyError, TypeError):
            raise CallFailed(
                "The tools must be a JSON list of functions, in the form that OpenAI's API takes."
            ) from None
        del self.request.tools[:]
        self.request.tools.extend(offered)
        return len(offered)

    def follow_schema(self, schema: str) -> None:
        """Have every answer follow a JSON Schema."""
        self.request.response_format.json_schema.CopyFrom(chat_pb2.JsonSchemaFormat(name="answer", schema_json=schema))

    def say(self, text: str) -> Answer:
        """Send a message of the user."""
        self.request.messages.append(_message(chat_pb2.ROLE_USER, text))
        return self._answer()

    def give_results(self, calls: Sequence[tool_pb2.ToolCall], results: Sequence[str]) -> Answer:
        """Send the results of tool calls, in their order."""
        for call, result in zip(calls, results, strict=True):
            message = _message(chat_pb2.ROLE_TOOL, result)
            message.tool_call_id = call.id
            self.request.messages.append(message)
        return self._answer()

    def take_back(self, count: int) -> None:
        """Remove all messages but the first `count`: what followed them has failed."""
        del self.request.messages[count:]

    def messages(self) -> list[dict[str, Any]]:
        """The messages in OpenAI's form."""
        return [_as_json(message) for message in self.request.messages]

    def _answer(self) -> Answer:
        call = self._connection.chat.StreamChat(
            chat_service_pb2.StreamChatRequest(chat=self.request), metadata=self._connection.metadata
        )
        return Answer(self.request, call, self._connection)


class Answer:
    """An answer that is being streamed. Once it has ended or was stopped it is part of the conversation."""

    def __init__(
        self, request: chat_service_pb2.ChatRequest, call: grpc._CallIterator[Any], connection: Connection
    ) -> None:
        self._request = request
        self._call = call
        self._connection = connection
        self._fold = ResponseFold()
        self._text: list[str] = []
        self._stopped = False
        self._begin = time.monotonic()
        self.first_token: float | None = None  # in seconds

    def texts(self) -> Iterator[str]:
        """The text as it comes, until the answer has ended or is stopped; CallFailed if the call fails."""
        try:
            yield from self._received()
        except CallFailed:
            if not self._stopped:
                raise
        if self._fold.complete:
            self._request.messages.append(self._fold.response.choices[0].message)
        elif self._text:
            self._request.messages.append(_message(chat_pb2.ROLE_ASSISTANT, "".join(self._text)))

    def stop(self) -> None:
        """Cancel the call, which frees the engine; what has come so far stays."""
        self._stopped = True
        self._call.cancel()

    def _received(self) -> Iterator[str]:
        with self._connection.failures():
            for message in self._call:
                self._fold.add_all(message.events)
                for event in message.events:
                    if event.HasField("delta") and self.first_token is None:
                        self.first_token = time.monotonic() - self._begin
                    if event.delta.content:
                        self._text.append(event.delta.content)
                        yield event.delta.content

    @property
    def is_complete(self) -> bool:
        """Whether it has ended by itself."""
        return self._fold.complete

    @property
    def calls(self) -> Sequence[tool_pb2.ToolCall]:
        """The tool calls, once the answer has ended."""
        return self._fold.response.choices[0].message.tool_calls

    @property
    def is_cut_off(self) -> bool:
        """Whether it ended because of max_tokens or the context."""
        return self._fold.response.choices[0].finish_reason == chat_pb2.FINISH_REASON_LENGTH

    @property
    def usage(self) -> chat_pb2.Usage:
        """Tokens and cost, once it has ended."""
        return self._fold.response.usage

    @property
    def tokens_per_second(self) -> float:
        """In decode; 0 if that took no time."""
        seconds = self._fold.response.timings.decode.ToNanoseconds() / 1e9
        return self.usage.completion_tokens / seconds if seconds else 0.0


def _message(role: chat_pb2.Role.ValueType, text: str) -> chat_pb2.Message:
    return chat_pb2.Message(role=role, content=[chat_pb2.ContentPart(text=text)] if text else [])


def _function(given: Any) -> tool_pb2.FunctionTool:
    schema = json.dumps(given["parameters"], ensure_ascii=False) if "parameters" in given else ""
    return tool_pb2.FunctionTool(
        name=given["name"], description=given.get("description", ""), parameters_json=schema, strict=given.get("strict")
    )


def _as_json(message: chat_pb2.Message) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "role": _ROLES.get(message.role, "assistant"),
        "content": "".join(part.text for part in message.content),
    }
    if message.tool_call_id:
        shown["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        shown["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls
        ]
    return shown
