"""Refuses a request whose fields are out of range, inconsistent, or beyond what the running engine honours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chasqui.v1 import chat_pb2
from services.chat.grammar.tool_choice import calls_allowed, forced_names
from services.chat.request.message_validation import check_continued, check_messages
from services.chat.request.tool_validation import check_tools
from services.errors import InvalidValue, UnsupportedParameter
from services.limits import LIMITS, LOGIT_BIAS, MAX_LOGIT_BIASES, MAX_REQUEST_ITEMS, MAX_STOPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.engine.api import Capabilities

_SCHEMA_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SAMPLING_FIELDS = frozenset(field.name for field in chat_pb2.SamplingOptions.DESCRIPTOR.fields)
# What a value may be when the engine does not honour the field: it then changes nothing.
_OTHER_NEUTRAL = {"top_k": (0, -1)}


def check_size(request: ChatRequest, capabilities: Capabilities) -> None:
    """InvalidValue or UnsupportedParameter for more than is ever processed; looks at counts alone."""
    _check_count(request, len(request.messages) + len(request.tools))
    if request.HasField("n"):
        LIMITS["n"].check(request.n)
        if request.n > capabilities.parallel:
            raise UnsupportedParameter(
                f"n is {request.n}, but this server generates at most {capabilities.parallel} choices at a time.",
                param="n",
            )


def validate(request: ChatRequest, capabilities: Capabilities) -> None:
    """InvalidValue or UnsupportedParameter, naming the field as REST does, for the first field that is wrong."""
    check_size(request, capabilities)
    validate_input(request, capabilities)
    _check_numbers(request, capabilities)
    _check_logit_bias(request, capabilities)
    _check_stop(request, capabilities)
    _check_not_offered(request, capabilities)
    _check_guided(request, capabilities)
    _check_combinations(request, capabilities)


def validate_input(request: ChatRequest, capabilities: Capabilities) -> None:
    """InvalidValue for messages and tools, or a prompt in their place, that cannot be rendered."""
    if request.ByteSize() > MAX_REQUEST_ITEMS:  # an item takes more than a byte
        parts = sum(len(message.content) + len(message.tool_calls) for message in request.messages)
        _check_count(request, len(request.messages) + len(request.tools) + parts)
    if not request.HasField("prompt"):
        check_messages(request.messages)
        check_tools(request)
        if request.continue_final_message:
            check_continued(request.messages)
        return
    for name, beside in (
        ("messages", request.messages),
        ("tools", request.tools),
        ("continue_final_message", request.continue_final_message),
    ):
        if beside:
            raise InvalidValue(f"{name} cannot be combined with prompt.", param=name)
    check_tools(request)
    kind = request.prompt.WhichOneof("input")
    if kind is None or (kind == "tokens" and not request.prompt.tokens.ids):
        raise InvalidValue("prompt is empty.", param="prompt")
    check_tokens(request.prompt.tokens.ids, "prompt", capabilities)
    if request.prompt.echo and request.logprobs and not capabilities.scores_prompts:
        raise UnsupportedParameter(
            "echo is not supported together with logprobs by the engine that this server runs.", param="echo"
        )


def _check_count(request: ChatRequest, items: int) -> None:
    if items > MAX_REQUEST_ITEMS:
        param = "tools" if len(request.tools) > len(request.messages) else "messages"
        raise InvalidValue(
            f"{param} has too many items: a request may have {MAX_REQUEST_ITEMS:,} messages, content parts, tools and "
            "tool calls in all.",
            param=param,
        )


def check_tokens(ids: Sequence[int], param: str, capabilities: Capabilities) -> None:
    """InvalidValue for the first id that is no token's."""
    if ids and max(ids) >= capabilities.vocabulary_size:
        for index, token in enumerate(ids):
            _check_token(token, f"{param}[{index}]", capabilities)


def _check_numbers(request: ChatRequest, capabilities: Capabilities) -> None:
    for name, limit in LIMITS.items():
        holder: Message = request.sampling if name in _SAMPLING_FIELDS else request
        if not holder.HasField(name):
            continue
        value = getattr(holder, name)
        limit.check(value)
        neutral = _OTHER_NEUTRAL.get(name, (limit.default,))
        if name != "max_tokens" and name not in capabilities.parameters and value not in neutral:
            raise _not_honoured(name, capabilities)


def _check_logit_bias(request: ChatRequest, capabilities: Capabilities) -> None:
    biases = request.sampling.logit_bias
    if not biases:
        return
    if "logit_bias" not in capabilities.parameters:
        raise _not_honoured("logit_bias", capabilities)
    if len(biases) > MAX_LOGIT_BIASES:
        raise InvalidValue(
            f"logit_bias has {len(biases)} entries, but may have at most {MAX_LOGIT_BIASES}.", param="logit_bias"
        )
    for token, bias in biases.items():
        _check_token(token, f"logit_bias.{token}", capabilities)
        LOGIT_BIAS.check(bias, f"logit_bias.{token}")


def _check_stop(request: ChatRequest, capabilities: Capabilities) -> None:
    if len(request.stop) > MAX_STOPS:
        raise InvalidValue(f"stop has {len(request.stop)} texts, but may have at most {MAX_STOPS}.", param="stop")
    for index, stop in enumerate(request.stop):
        if not stop:
            raise InvalidValue(f"stop[{index}] is empty.", param=f"stop[{index}]")
    if request.stop_token_ids and "stop_token_ids" not in capabilities.parameters:
        raise _not_honoured("stop_token_ids", capabilities)
    if len(request.stop_token_ids) > MAX_STOPS:
        raise InvalidValue(
            f"stop_token_ids has {len(request.stop_token_ids)} ids, but may have at most {MAX_STOPS}.",
            param="stop_token_ids",
        )
    check_tokens(request.stop_token_ids, "stop_token_ids", capabilities)


def _check_token(token: int, param: str, capabilities: Capabilities) -> None:
    if token >= capabilities.vocabulary_size:
        raise InvalidValue(
            f"{param}: there is no token {token}; the vocabulary has {capabilities.vocabulary_size}.", param=param
        )


def _check_not_offered(request: ChatRequest, capabilities: Capabilities) -> None:
    """Fields that the engine does not honour, or not beside each other, unless their value is neutral."""
    if request.ignore_eos and "ignore_eos" not in capabilities.parameters:
        raise _not_honoured("ignore_eos", capabilities)
    if request.logprobs and "logprobs" not in capabilities.parameters:
        raise _not_honoured("logprobs", capabilities)
    if request.top_logprobs and not request.logprobs:
        raise InvalidValue("top_logprobs needs logprobs to be true.", param="top_logprobs")
    if request.HasField("max_tokens") and request.min_tokens > request.max_tokens:
        raise InvalidValue(
            f"min_tokens is {request.min_tokens}, but must be at most max_tokens, {request.max_tokens}.",
            param="min_tokens",
        )


def _check_guided(request: ChatRequest, capabilities: Capabilities) -> None:
    """What only a grammar can enforce."""
    if forced_names(request) and not capabilities.guided:
        raise UnsupportedParameter(
            "tool_choice cannot force calls on the engine that this server runs.", param="tool_choice"
        )
    for index, tool in enumerate(request.tools):
        if tool.function.strict and not capabilities.guided:
            param = f"tools[{index}].function.strict"
            raise UnsupportedParameter(f"{param} is not supported by the engine that this server runs.", param=param)
    form = request.response_format.WhichOneof("format")
    if form in (None, "text"):
        return
    if not capabilities.guided:
        raise _not_honoured("response_format", capabilities)
    if form == "json_schema" and not _SCHEMA_NAME.fullmatch(request.response_format.json_schema.name):
        raise InvalidValue(
            "response_format.json_schema.name must be 1 to 64 letters, digits, underscores and dashes.",
            param="response_format.json_schema.name",
        )


def _check_combinations(request: ChatRequest, capabilities: Capabilities) -> None:
    """Fields that are supported, but not together."""
    grammar = _field_with_grammar(request)
    if request.ignore_eos and grammar:
        raise UnsupportedParameter(
            f"ignore_eos is not supported together with {grammar}: nothing enforces a grammar after the end token.",
            param="ignore_eos",
        )
    if request.continue_final_message and grammar:
        raise UnsupportedParameter(
            f"continue_final_message is not supported together with {grammar}: its grammar begins with the answer.",
            param="continue_final_message",
        )
    given = {
        "logprobs": request.logprobs,
        "logit_bias": bool(request.sampling.logit_bias),
        "min_tokens": bool(request.min_tokens),
        "response_format": bool(grammar),
    }
    for first, second in sorted(capabilities.exclusions):
        if given[first] and given[second]:
            beside = grammar if second == "response_format" else second
            raise UnsupportedParameter(
                f"{first} is not supported together with {beside} by the engine that this server runs.", param=first
            )


def _field_with_grammar(request: ChatRequest) -> str:
    """The field that has the answer follow a grammar; empty if none has."""
    if forced_names(request):
        return "tool_choice"
    if request.response_format.WhichOneof("format") not in (None, "text"):
        return "response_format"
    strict = any(tool.function.strict for tool in request.tools)
    return "strict tools" if strict and calls_allowed(request) else ""


def _not_honoured(name: str, capabilities: Capabilities) -> UnsupportedParameter:
    sentence, remedy = f"{name} is not supported by the engine that this server runs.", capabilities.remedies.get(name)
    return UnsupportedParameter(sentence if remedy is None else f"{sentence} {remedy}", param=name)
