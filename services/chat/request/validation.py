"""Refuses a request whose fields are out of range, inconsistent, or beyond what the running engine honours."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from chasqui.v1 import chat_pb2, tool_pb2
from services.chat.grammar.tool_choice import calls_allowed, forced_names
from services.errors import InvalidValue, UnsupportedParameter
from services.limits import LIMITS, LOGIT_BIAS, MAX_LOGIT_BIASES, MAX_STOPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.engine.api import Capabilities

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SAMPLING_FIELDS = frozenset(field.name for field in chat_pb2.SamplingOptions.DESCRIPTOR.fields)
# What a value may be when the engine does not honour the field: it then changes nothing.
_OTHER_NEUTRAL = {"top_k": (0, -1)}


def validate(request: ChatRequest, capabilities: Capabilities) -> None:
    """InvalidValue or UnsupportedParameter, naming the field as REST does, for the first field that is wrong."""
    validate_input(request, capabilities)
    validate_tools(request)
    _check_numbers(request, capabilities)
    _check_logit_bias(request, capabilities)
    _check_stop(request, capabilities)
    _check_not_offered(request, capabilities)
    _check_guided(request, capabilities)
    _check_combinations(request, capabilities)


def validate_input(request: ChatRequest, capabilities: Capabilities) -> None:
    """InvalidValue for what cannot be continued: messages, or a prompt in their place."""
    if not request.HasField("prompt"):
        _check_messages(request)
        return
    for name, beside in (("messages", request.messages), ("tools", request.tools)):
        if beside:
            raise InvalidValue(f"{name} cannot stand beside prompt.", param=name)
    kind = request.prompt.WhichOneof("input")
    if kind is None or (kind == "tokens" and not request.prompt.tokens.ids):
        raise InvalidValue("prompt is empty.", param="prompt")
    check_tokens(request.prompt.tokens.ids, "prompt", capabilities)
    if request.prompt.echo and request.logprobs:
        raise UnsupportedParameter("echo is not supported together with logprobs.", param="echo")


def check_tokens(ids: Sequence[int], param: str, capabilities: Capabilities) -> None:
    """InvalidValue for the first id that is no token's."""
    if ids and max(ids) >= capabilities.vocabulary_size:
        for index, token in enumerate(ids):
            _check_token(token, f"{param}[{index}]", capabilities)


def _check_messages(request: ChatRequest) -> None:
    """InvalidValue for the first message that cannot be rendered."""
    if not request.messages:
        raise InvalidValue("messages is empty, but must hold at least one message.", param="messages")
    call_ids: set[str] = set()
    for index, message in enumerate(request.messages):
        _check_message(message, f"messages[{index}]", call_ids)


def validate_tools(request: ChatRequest) -> None:
    """InvalidValue or UnsupportedParameter for the first tool, or the tool choice, that cannot be honoured."""
    names: set[str] = set()
    for index, tool in enumerate(request.tools):
        path = f"tools[{index}].function"
        if tool.WhichOneof("tool") is None:
            raise InvalidValue(f"tools[{index}] is empty.", param=f"tools[{index}]")
        name = tool.function.name
        if not _TOOL_NAME.fullmatch(name):
            raise InvalidValue(
                f"{path}.name is {name[:80]!r}, but must be 1 to 64 letters, digits, underscores and dashes.",
                param=f"{path}.name",
            )
        if name in names:
            raise InvalidValue(f"{path}.name is {name!r}, as that of an earlier tool.", param=f"{path}.name")
        names.add(name)
        if tool.function.parameters_json:
            _check_json_object(tool.function.parameters_json, f"{path}.parameters")
    _check_tool_choice(request, names)


def _check_tool_choice(request: ChatRequest, names: set[str]) -> None:
    choice = request.tool_choice
    kind = choice.WhichOneof("choice")
    if kind == "function_name" and choice.function_name not in names:
        raise InvalidValue(
            f"tool_choice names {choice.function_name[:80]!r}, which is not among the tools.", param="tool_choice"
        )
    if choice.mode == tool_pb2.TOOL_CHOICE_MODE_REQUIRED and not names:
        raise InvalidValue("tool_choice demands a call, but no tools are offered.", param="tool_choice")


def _check_message(message: chat_pb2.Message, path: str, call_ids: set[str]) -> None:
    """One message; `call_ids` are those of the calls before it, and gains those that it makes."""
    if message.role == chat_pb2.ROLE_UNSPECIFIED or message.role not in chat_pb2.Role.values():
        raise InvalidValue(f"{path}.role is missing or unknown.", param=f"{path}.role")
    _check_tool_result(message, path, call_ids)
    if message.tool_calls and message.role != chat_pb2.ROLE_ASSISTANT:
        raise InvalidValue(f"{path}.tool_calls belongs to assistant messages only.", param=f"{path}.tool_calls")
    for index, call in enumerate(message.tool_calls):
        call_path = f"{path}.tool_calls[{index}]"
        if not call.id or call.id in call_ids:
            raise InvalidValue(f"{call_path}.id is missing or that of an earlier call.", param=f"{call_path}.id")
        if not call.function.name:
            raise InvalidValue(f"{call_path}.function.name is missing.", param=f"{call_path}.function.name")
        _check_json_object(call.function.arguments, f"{call_path}.function.arguments")
        call_ids.add(call.id)
    if not message.content and not message.tool_calls:
        raise InvalidValue(f"{path}.content is missing.", param=f"{path}.content")
    for index, part in enumerate(message.content):
        if part.WhichOneof("part") is None:
            raise InvalidValue(f"{path}.content[{index}] is an empty part.", param=f"{path}.content[{index}]")


def _check_tool_result(message: chat_pb2.Message, path: str, call_ids: set[str]) -> None:
    if message.role != chat_pb2.ROLE_TOOL:
        if message.tool_call_id:
            raise InvalidValue(f"{path}.tool_call_id belongs to tool messages only.", param=f"{path}.tool_call_id")
    elif message.tool_call_id not in call_ids:
        raise InvalidValue(
            f"{path}.tool_call_id is {message.tool_call_id[:80]!r}, but no earlier message makes such a call.",
            param=f"{path}.tool_call_id",
        )


def _check_json_object(text: str, param: str) -> None:
    """InvalidValue unless `text` is a JSON object that is not nested beyond what can be rendered."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidValue(f"{param} is not valid JSON: {error}.", param=param) from error
    except RecursionError as error:
        raise InvalidValue(f"{param} is nested too deeply.", param=param) from error
    if not isinstance(value, dict):
        raise InvalidValue(f"{param} must be a JSON object.", param=param)


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
    if request.HasField("n") and request.n > capabilities.parallel:
        raise UnsupportedParameter(
            f"n is {request.n}, but this server generates at most {capabilities.parallel} answers at the same time.",
            param="n",
        )


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
    if request.logprobs and request.tools and calls_allowed(request):
        # The parser takes calls out of the text, and what is left has no fixed place in the row of tokens.
        raise UnsupportedParameter(
            "logprobs is not supported together with tools that may be called.", param="logprobs"
        )
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
    if form == "json_schema" and not _TOOL_NAME.fullmatch(request.response_format.json_schema.name):
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
    given = {
        "logprobs": request.logprobs,
        "logit_bias": bool(request.sampling.logit_bias),
        "min_tokens": bool(request.min_tokens),
        "response_format": grammar == "response_format",
    }
    for first, second in sorted(capabilities.exclusions):
        if given[first] and given[second]:
            raise UnsupportedParameter(
                f"{first} is not supported together with {second} by the engine that this server runs.", param=first
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
