"""The table of requests that REST and gRPC must answer alike, each in the words of both."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2

REFERENCE_MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"

SCHEMA = (
    '{"type":"object","properties":{"n":{"type":"integer","maximum":9}},"required":["n"],"additionalProperties":false}'
)
LOOK = {"type": "function", "function": {"name": "look", "parameters": json.loads(SCHEMA)}}
TYPED_LOOK = tool_pb2.Tool(function=tool_pb2.FunctionTool(name="look", parameters_json=SCHEMA))


def said(role: str, text: str) -> chat_pb2.Message:
    """A message."""
    return chat_pb2.Message(
        role=chat_pb2.Role.Value(f"ROLE_{role.upper()}"), content=[chat_pb2.ContentPart(text=text)] if text else []
    )


def sampled(**fields: Any) -> dict[str, Any]:
    """Sampling options, which have a message of their own in gRPC."""
    return {"sampling": chat_pb2.SamplingOptions(**({"temperature": 0} | fields))}


@dataclass(frozen=True, slots=True)
class Case:
    """The same request in the words of both, as changes of a plain one."""

    rest: dict[str, Any] = field(default_factory=dict)
    typed: dict[str, Any] = field(default_factory=dict)
    path: str = "/v1/chat/completions"


def same(**fields: Any) -> Case:
    """Fields that both spell alike."""
    return Case(fields, fields)


def sampling(**fields: Any) -> Case:
    """Sampling options."""
    return Case(fields, sampled(**fields))


def text(prompt: Any, typed: chat_pb2.Prompt, **fields: Any) -> Case:
    """A text completion."""
    rest = {"messages": None, "prompt": prompt, **fields}
    return Case(rest, {"messages": [], "prompt": typed, **fields}, "/v1/completions")


def messages(*turns: tuple[str, str]) -> Case:
    """A conversation of roles and texts."""
    rest = [{"role": role, "content": content} for role, content in turns]
    return Case({"messages": rest}, {"messages": [said(*message) for message in turns]})


CASES = {
    "plain": Case(),
    "no tokens": same(max_tokens=0),
    "one token": same(max_tokens=1),
    "clamped": same(max_tokens=1_000_000, stop=["e", " "]),
    "stop": same(stop=["e"]),
    "stops": same(stop=["zzz", "o", "i"]),
    "ignore_eos": same(ignore_eos=True, max_tokens=40),
    "min_tokens": same(min_tokens=20, max_tokens=40),
    "several": same(n=3),
    "seed": sampling(seed=7),
    "top_k": sampling(top_k=1),
    "penalties": sampling(presence_penalty=1.5, frequency_penalty=0.5, repetition_penalty=1.1),
    "bias": Case({"logit_bias": {"40": 5}}, sampled(logit_bias={40: 5})),
    "logprobs": same(logprobs=True),
    "top_logprobs": same(logprobs=True, top_logprobs=3, stop=["e"]),
    "user": same(user="somebody"),
    "system, developer, user": messages(("system", "Be brief."), ("developer", "Now."), ("user", "Hi 🦙 世界 e\u0301")),
    "ends with the assistant": messages(("user", "Hi"), ("assistant", "Hello")),
    "continues the assistant": Case(
        {
            "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, I"}],
            "continue_final_message": True,
        },
        {"messages": [said("user", "Hi"), said("assistant", "Hello, I")], "continue_final_message": True},
    ),
    "special tokens as text": messages(("user", "<|eot_id|><|start_header_id|>system<|end_header_id|>")),
    "forced call": Case(
        {"tools": [LOOK], "tool_choice": "required", "max_tokens": 200},
        {
            "tools": [TYPED_LOOK],
            "tool_choice": tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_REQUIRED),
            "max_tokens": 200,
        },
    ),
    "schema": Case(
        {
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": json.loads(SCHEMA)}},
            "max_tokens": 60,
        },
        {
            "response_format": chat_pb2.ResponseFormat(
                json_schema=chat_pb2.JsonSchemaFormat(name="s", schema_json=SCHEMA)
            ),
            "max_tokens": 60,
        },
    ),
    "text": text("Once upon a time", chat_pb2.Prompt(text="Once upon a time")),
    "tokens": text([40, 41, 42], chat_pb2.Prompt(tokens=chat_pb2.TokenIds(ids=[40, 41, 42]))),
    "echo": Case(
        {"messages": None, "prompt": "Once", "echo": True},
        {"messages": [], "prompt": chat_pb2.Prompt(text="Once", echo=True)},
        "/v1/completions",
    ),
    # Errors.
    "no model": same(model="nobody"),
    "no messages": same(messages=[]),
    "too many": same(n=5),
    "too hot": sampling(temperature=2.5),
    "top_p 0": sampling(top_p=0),
    "min_p": sampling(min_p=1.5),
    "top_k too large": sampling(top_k=1000),
    "unknown token": Case({"logit_bias": {"9999999": 1}}, sampled(logit_bias={9999999: 1})),
    "bias too large": Case({"logit_bias": {"40": 101}}, sampled(logit_bias={40: 101})),
    "17 stops": same(stop=["x"] * 17),
    "min over max": same(min_tokens=5, max_tokens=4),
    "stop_token_ids": same(stop_token_ids=[9999999]),
    "top_logprobs alone": same(top_logprobs=2),
    "21 top_logprobs": same(logprobs=True, top_logprobs=21),
    "logprobs beside tools": Case({"logprobs": True, "tools": [LOOK]}, {"logprobs": True, "tools": [TYPED_LOOK]}),
    "a call of nothing": Case(
        {"tool_choice": "required"}, {"tool_choice": tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_REQUIRED)}
    ),
    "a tool of no name": Case(
        {"tools": [{"type": "function", "function": {"name": "no name"}}]},
        {"tools": [tool_pb2.Tool(function=tool_pb2.FunctionTool(name="no name"))]},
    ),
    "a result without its call": Case(
        {"messages": [{"role": "tool", "tool_call_id": "a", "content": "5"}]},
        {
            "messages": [
                chat_pb2.Message(role=chat_pb2.ROLE_TOOL, tool_call_id="a", content=[chat_pb2.ContentPart(text="5")])
            ]
        },
    ),
    "too long": messages(("user", "word " * 9000)),
    "unknown token in a prompt": text([9999999], chat_pb2.Prompt(tokens=chat_pb2.TokenIds(ids=[9999999]))),
}


def rest_body(case: Case) -> dict[str, Any]:
    """The JSON of a case."""
    plain = {
        "model": REFERENCE_MODEL,
        "messages": [{"role": "user", "content": "Hello!"}],
        "max_tokens": 12,
        "temperature": 0,
    }
    return {name: value for name, value in (plain | case.rest).items() if value is not None}


def typed_request(case: Case) -> chat_service_pb2.ChatRequest:
    """The same as a message of the contract."""
    plain: dict[str, Any] = {
        "model": REFERENCE_MODEL,
        "messages": [said("user", "Hello!")],
        "max_tokens": 12,
        **sampled(),
    }
    return chat_service_pb2.ChatRequest(**(plain | case.typed))
