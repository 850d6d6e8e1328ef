"""Translates an OpenAI chat request to `chasqui.v1.ChatRequest`; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2
from services.errors import InvalidValue, UnsupportedParameter
from services.limits import LIMITS

if TYPE_CHECKING:
    from msgspec import Raw

    from edge.openai.request_schema import (
        ChatCompletionRequest,
        ContentPartBody,
        GenerationRequest,
        MessageBody,
        ResponseFormatBody,
        ToolBody,
    )

ROLES = {
    "system": chat_pb2.ROLE_SYSTEM,
    "developer": chat_pb2.ROLE_DEVELOPER,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "tool": chat_pb2.ROLE_TOOL,
}
_TOOL_CHOICE_MODES = {
    "none": tool_pb2.TOOL_CHOICE_MODE_NONE,
    "auto": tool_pb2.TOOL_CHOICE_MODE_AUTO,
    "required": tool_pb2.TOOL_CHOICE_MODE_REQUIRED,
}
_LARGEST_TOKEN_ID = 2**32 - 1


def to_chat_request(body: ChatCompletionRequest) -> chat_service_pb2.ChatRequest:
    """The request as a proto; InvalidValue or UnsupportedParameter for what that cannot hold."""
    return chat_service_pb2.ChatRequest(
        **{**common_fields(body), "max_tokens": _max_tokens(body)},
        messages=[_message(message, f"messages[{index}]") for index, message in enumerate(body.messages)],
        logprobs=body.logprobs,
        top_logprobs=whole("top_logprobs", body.top_logprobs),
        tools=[_tool(tool, f"tools[{index}]") for index, tool in enumerate(body.tools or ())],
        tool_choice=_tool_choice(body),
        parallel_tool_calls=body.parallel_tool_calls,
        response_format=_response_format(body.response_format),
    )


def common_fields(body: GenerationRequest) -> dict[str, Any]:
    """The proto fields that chat and text completions share; InvalidValue as above."""
    return {
        "model": body.model,
        "sampling": _sampling(body),
        "max_tokens": whole("max_tokens", body.max_tokens),
        "min_tokens": whole("min_tokens", body.min_tokens),
        "stop": [body.stop] if isinstance(body.stop, str) else body.stop,
        "stop_token_ids": [token_id(str(token), "stop_token_ids") for token in body.stop_token_ids or ()],
        "ignore_eos": body.ignore_eos,
        "n": whole("n", body.n),
        "user": body.user or "",
    }


def _message(message: MessageBody, path: str) -> chat_pb2.Message:
    role = ROLES.get(message.role)
    if role is None:
        raise InvalidValue(
            f"{path}.role is {message.role[:40]!r}, but must be one of {', '.join(ROLES)}.", param=f"{path}.role"
        )
    content = [chat_pb2.ContentPart(text=message.content)] if isinstance(message.content, str) else None
    if isinstance(message.content, list):
        content = [_part(part, f"{path}.content[{index}]") for index, part in enumerate(message.content)]
    calls = [
        tool_pb2.ToolCall(
            id=call.id, function=tool_pb2.FunctionCall(name=call.function.name, arguments=call.function.arguments)
        )
        for call in message.tool_calls or ()
    ]
    return chat_pb2.Message(role=role, content=content, tool_calls=calls, tool_call_id=message.tool_call_id or "")


def _part(part: ContentPartBody, path: str) -> chat_pb2.ContentPart:
    if part.type != "text":
        raise UnsupportedParameter(f"{path}: parts of type {part.type!r} are not supported, only text.", param=path)
    if part.text is None:
        raise InvalidValue(f"{path}.text is missing.", param=f"{path}.text")
    return chat_pb2.ContentPart(text=part.text)


def _sampling(body: GenerationRequest) -> chat_pb2.SamplingOptions:
    return chat_pb2.SamplingOptions(
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=whole("top_k", body.top_k),
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=whole("seed", body.seed),
        logit_bias={token_id(token, "logit_bias"): bias for token, bias in (body.logit_bias or {}).items()},
    )


def _max_tokens(body: ChatCompletionRequest) -> int | None:
    if body.max_completion_tokens is not None:
        return whole("max_tokens", body.max_completion_tokens, "max_completion_tokens")
    return whole("max_tokens", body.max_tokens)


def whole(name: str, value: int | None, param: str | None = None) -> int | None:
    """The value; InvalidValue if it is out of range. JSON integers may exceed those of the proto."""
    if value is not None:
        LIMITS[name].check(value, param)
    return value


def token_id(text: str, field: str) -> int:
    """The token id that a text spells; InvalidValue, naming the field, unless it is an integer of 32 bits."""
    # The length is checked first: Python raises for numbers of thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST_TOKEN_ID):
        raise InvalidValue(f"{field}: {text[:40]!r} is not the id of a token.", param=field)
    return int(text)


def _tool(tool: ToolBody, path: str) -> tool_pb2.Tool:
    function = tool.function
    return tool_pb2.Tool(
        function=tool_pb2.FunctionTool(
            name=function.name,
            description=function.description or "",
            parameters_json=_verbatim(function.parameters, f"{path}.function.parameters"),
            strict=function.strict,
        )
    )


def _tool_choice(body: ChatCompletionRequest) -> tool_pb2.ToolChoice | None:
    choice = body.tool_choice
    if choice is None:
        return None
    if not isinstance(choice, str):
        return tool_pb2.ToolChoice(function_name=choice.function.name)
    mode = _TOOL_CHOICE_MODES.get(choice)
    if mode is None:
        raise InvalidValue(
            f"tool_choice is {choice!r}, but must be a function or one of {', '.join(_TOOL_CHOICE_MODES)}.",
            param="tool_choice",
        )
    return tool_pb2.ToolChoice(mode=mode)


def _response_format(form: ResponseFormatBody | None) -> chat_pb2.ResponseFormat | None:
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return chat_pb2.ResponseFormat(json_object=chat_pb2.JsonObjectFormat())
    schema = form.json_schema
    if schema is None:
        raise InvalidValue("response_format.json_schema is missing.", param="response_format.json_schema")
    return chat_pb2.ResponseFormat(
        json_schema=chat_pb2.JsonSchemaFormat(
            name=schema.name,
            description=schema.description or "",
            schema_json=_verbatim(schema.schema, "response_format.json_schema.schema"),
            strict=schema.strict,
        )
    )


def _verbatim(raw: Raw, param: str) -> str:
    """The JSON text; empty for null and absent."""
    try:
        text = bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{param} is not valid UTF-8.", param=param) from error
    return "" if text == "null" else text
