"""Two ways to get a reply at temperature 0: from the running service, or from the GGUF in llama.cpp."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.demo_model.rendering import Message, Tool, render
from tests.demo_model.scoring import Reply, read_reply
from tests.demo_model.spec import BOS

_MAX_TOKENS = 300
DATE = "14 Jul 2027"
Schema = dict[str, Any]


class Answerer(Protocol):
    """Continues a conversation; `schema` asks for a grammar."""

    def answer(self, messages: Sequence[Message], tools: Sequence[Tool], schema: Schema | None = None) -> Reply:
        """The model's reply."""
        ...


class Service:
    """An OpenAI-compatible base URL, such as http://localhost:8080/v1."""

    def __init__(self, base_url: str, model: str, api_key: str) -> None:
        from openai import OpenAI

        self._client, self._model = OpenAI(base_url=base_url, api_key=api_key), model

    def answer(self, messages: Sequence[Message], tools: Sequence[Tool], schema: Schema | None = None) -> Reply:
        """One chat completion; the service parses the calls."""
        body: dict[str, Any] = {"model": self._model, "messages": [_as_openai(message) for message in messages]}
        if tools:
            body["tools"] = list(tools)
        if schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        choice = self._client.chat.completions.create(**body, temperature=0, max_tokens=_MAX_TOKENS).choices[0]
        calls = tuple(
            (call.function.name, _arguments(call.function.arguments))
            for call in choice.message.tool_calls or ()
            if call.type == "function"
        )
        return Reply(choice.message.content or "", calls, choice.finish_reason != "length")


def _arguments(text: str) -> dict[str, Any]:
    """A call's arguments; what is no JSON object cannot be right, and is kept to be shown."""
    try:
        arguments = json.loads(text)
    except ValueError:
        arguments = None
    return arguments if isinstance(arguments, dict) else {"not a JSON object": text}


def _as_openai(message: Message) -> dict[str, Any]:
    """Tool calls with their arguments as a JSON string, as OpenAI's clients send them."""
    if not message.get("tool_calls"):
        return dict(message)
    calls = [
        {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


class Gguf:
    """A GGUF in llama.cpp; the prompt is the chat template's, and no more than one thread is used."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import xllamacpp

        self._directory = tempfile.TemporaryDirectory()
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel = 4096, 1
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        parameters.hostnames = [f"{self._directory.name}/llama.sock"]
        self._server = xllamacpp.Server(parameters)

    def close(self) -> None:
        """Stops llama.cpp and removes the directory of its socket."""
        del self._server
        self._directory.cleanup()

    def answer(self, messages: Sequence[Message], tools: Sequence[Tool], schema: Schema | None = None) -> Reply:
        """One completion of the rendered prompt; llama.cpp adds the begin marker by itself."""
        prompt = render(messages, tools, date=DATE, add_generation_prompt=True).removeprefix(BOS)
        extra = {"json_schema": schema} if schema else {}
        choice = self._complete(prompt, **extra)["choices"][0]
        return read_reply(choice["text"], stopped=choice["finish_reason"] == "stop")

    def continue_ids(self, prompt: list[int]) -> tuple[list[int], bool]:
        """The ids that follow those of the prompt, and whether the model stopped by itself."""
        answer = self._complete(prompt, return_tokens=True, verbose=True)
        return list(answer["__verbose"]["tokens"]), answer["choices"][0]["finish_reason"] == "stop"

    def _complete(self, prompt: str | list[int], **extra: object) -> Any:
        body = {"prompt": prompt, "temperature": 0, "max_tokens": _MAX_TOKENS, **extra}
        answer = self._server.handle_completions(body)
        return json.loads(answer) if isinstance(answer, str | bytes) else answer
