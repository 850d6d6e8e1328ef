"""Translates an OpenAI chat request to `chasqui.v1.ChatRequest`; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chasqui.v1 import chat_pb2, chat_service_pb2, model_service_pb2, tool_pb2
from edge.api.json_text import quoted, text_or_json
from edge.openai.constraint import response_format
from edge.openai.tools import offered_tools, tool_choice
from services.errors import InvalidValue, UnsupportedParameter
from services.limits import LIMITS, MAX_STOPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.openai.request_schema import (
        ChatCompletionRequest,
        ContentPartBody,
        GenerationRequest,
        MessageBody,
        SamplingRequest,
        TokenizeRequest,
        ToolCallBody,
    )

ROLES = {
    "system": chat_pb2.ROLE_SYSTEM,
    "developer": chat_pb2.ROLE_DEVELOPER,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "tool": chat_pb2.ROLE_TOOL,
}
SERVICE_TIERS = {
    "auto": chat_pb2.SERVICE_TIER_UNSPECIFIED,
    "default": chat_pb2.SERVICE_TIER_DEFAULT,
    "priority": chat_pb2.SERVICE_TIER_PRIORITY,
    "flex": chat_pb2.SERVICE_TIER_FLEX,
}
_LARGEST_TOKEN_ID = 2**32 - 1
# Seeds that are not negative; there are as many negative ones.
SEEDS = 2**63


def to_chat_request(body: ChatCompletionRequest) -> chat_service_pb2.ChatRequest:
    """The request as a proto; InvalidValue or UnsupportedParameter for what that cannot hold."""
    fields = common_fields(body)
    if body.max_completion_tokens is not None:
        fields["max_tokens"] = max_tokens(body.max_completion_tokens, "max_completion_tokens")
    return chat_service_pb2.ChatRequest(
        **fields,
        messages=_messages(body.messages),
        logprobs=body.logprobs,
        top_logprobs=whole("top_logprobs", body.top_logprobs),
        tools=offered_tools(body.tools or (), body.tool_choice),
        tool_choice=tool_choice(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls,
        continue_final_message=_continues(body),
    )


def to_count_request(body: TokenizeRequest) -> model_service_pb2.CountTokensRequest:
    """The request to tokenize a text or a chat; InvalidValue unless there is one of the two."""
    if (body.prompt is None) == (body.messages is None):
        raise InvalidValue("Either prompt or messages must be given.", param="prompt")
    request = model_service_pb2.CountTokensRequest(
        model=body.model,
        include_tokens=True,
        include_texts=bool(body.return_token_strs),
        add_special_tokens=body.add_special_tokens is not False,
    )
    if body.prompt is not None:
        request.text = body.prompt
    continues = _continues(body)
    if body.messages is not None:
        if continues:
            request.chat.continue_final_message = True
        request.chat.messages.extend(_messages(body.messages))
        request.chat.tools.extend(offered_tools(body.tools or (), None))
        request.chat.model = body.model
    return request


def common_fields(body: GenerationRequest) -> dict[str, Any]:
    """The proto fields that chat and text completions share; InvalidValue as above."""
    return {
        "model": body.model,
        "sampling": sampling(body),
        "max_tokens": max_tokens(body.max_tokens, "max_tokens"),
        "min_tokens": whole("min_tokens", body.min_tokens),
        "stop": _stops(body.stop),
        "stop_token_ids": token_ids(body.stop_token_ids or [], "stop_token_ids"),
        "ignore_eos": body.ignore_eos,
        "n": whole("n", body.n),
        "user": body.user or "",
        "response_format": response_format(body),
        "service_tier": service_tier(body.service_tier),
        "continuous_usage": _continuous_usage(body),
    }


def _continues(body: ChatCompletionRequest | TokenizeRequest) -> bool | None:
    """Whether the answer continues the last message; vLLM's callers say with it that no turn is to be opened."""
    if body.continue_final_message and body.add_generation_prompt:
        raise InvalidValue(
            "add_generation_prompt cannot be true with continue_final_message.", param="add_generation_prompt"
        )
    if body.add_generation_prompt is False and not body.continue_final_message:
        raise UnsupportedParameter(
            "add_generation_prompt can be false only with continue_final_message.", param="add_generation_prompt"
        )
    return body.continue_final_message


def _continuous_usage(body: GenerationRequest) -> bool:
    options = body.stream_options
    return bool(body.stream and options and options.continuous_usage_stats and options.include_usage is not False)


def _messages(messages: Sequence[MessageBody]) -> list[chat_pb2.Message]:
    return [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]


def _message(message: MessageBody, path: str) -> chat_pb2.Message:
    role = ROLES.get(message.role)
    if role is None:
        raise InvalidValue(
            f"{path}.role is {quoted(message.role)}, but must be one of {', '.join(ROLES)}.", param=f"{path}.role"
        )
    content = [chat_pb2.ContentPart(text=message.content)] if isinstance(message.content, str) else None
    if isinstance(message.content, list):
        content = [_part(part, f"{path}.content[{index}]") for index, part in enumerate(message.content)]
    calls = [_call(call, f"{path}.tool_calls[{index}]") for index, call in enumerate(message.tool_calls or ())]
    return chat_pb2.Message(role=role, content=content, tool_calls=calls, tool_call_id=message.tool_call_id or "")


def _part(part: ContentPartBody, path: str) -> chat_pb2.ContentPart:
    if part.type not in ("text", "refusal"):
        kind = quoted(part.type)
        raise UnsupportedParameter(f"{path}: parts of type {kind} are not supported, only text.", param=path)
    text = part.text if part.type == "text" else part.refusal
    if text is None:
        raise InvalidValue(f"{path}.{part.type} is missing.", param=f"{path}.{part.type}")
    return chat_pb2.ContentPart(text=text)


def _call(call: ToolCallBody, path: str) -> tool_pb2.ToolCall:
    arguments = text_or_json(call.function.arguments, f"{path}.function.arguments")
    return tool_pb2.ToolCall(id=call.id, function=tool_pb2.FunctionCall(name=call.function.name, arguments=arguments))


def sampling(body: SamplingRequest) -> chat_pb2.SamplingOptions:
    """The sampling options; InvalidValue as above."""
    return chat_pb2.SamplingOptions(
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=whole("top_k", body.top_k),
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=_seed(body.seed),
        # protobuf takes as long for an empty map as for all other fields.
        logit_bias={token_id(token, "logit_bias"): bias for token, bias in (body.logit_bias or {}).items()} or None,
    )


def max_tokens(value: int | None, param: str) -> int | None:
    """The limit; clients send huge numbers for none: more than a context holds is the largest that the proto takes."""
    limit = LIMITS["max_tokens"]
    return whole("max_tokens", value if value is None else min(value, int(limit.maximum)), param)


def _stops(given: str | list[str] | None) -> list[str]:
    """The texts; an empty one stops nothing."""
    texts = [given] if isinstance(given, str) else given or []
    if len(texts) > MAX_STOPS:
        raise InvalidValue(f"stop has {len(texts):,} texts, but may have at most {MAX_STOPS}.", param="stop")
    return [text for text in texts if text]


def _seed(value: int | None) -> int | None:
    """The seed; OpenAI's may be negative, the proto's may not."""
    if value is not None and -SEEDS <= value < 0:
        value += SEEDS
    return whole("seed", value)


def service_tier(value: str | None) -> chat_pb2.ServiceTier.ValueType:
    """The tier; InvalidValue if there is none of that name."""
    tier = SERVICE_TIERS.get("auto" if value is None else value)
    if tier is None:
        raise InvalidValue(
            f"service_tier is {quoted(value or '')}, but must be one of {', '.join(SERVICE_TIERS)}.",
            param="service_tier",
        )
    return tier


def whole(name: str, value: int | None, param: str | None = None) -> int | None:
    """The value; InvalidValue if it is out of range. JSON integers may exceed those of the proto."""
    if value is not None:
        LIMITS[name].check(value, param)
    return value


def token_ids(values: list[int], field: str) -> list[int]:
    """The token ids of a list, which may be long; errors as below."""
    if values and (min(values) < 0 or max(values) > _LARGEST_TOKEN_ID):
        token_id(str(next(value for value in values if not 0 <= value <= _LARGEST_TOKEN_ID)), field)
    return values


def token_id(text: str, field: str) -> int:
    """The token id that a text spells; InvalidValue, naming the field, unless it is an integer of 32 bits."""
    # The length is checked first: Python raises for numbers of thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST_TOKEN_ID):
        raise InvalidValue(f"{field}: {quoted(text)} is not the id of a token.", param=field)
    return int(text)
