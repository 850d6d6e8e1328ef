"""Hostile bodies over REST: of any shape, depth, size and coding."""

from __future__ import annotations

import gzip
import json
import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.http import post
from tests.support.replicas import Replicas
from tests.support.siege import (
    BODY,
    CANARY,
    CHAT,
    COMPLETIONS,
    CONTEXT,
    answer_on,
    fuzzed,
    refused,
)

HEAD = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
GRPC_CHAT = "/chasqui.v1.ChatService/Chat"
# Answers about the request; nothing else may come of one that makes no sense.
OURS_TO_JUDGE = {200, 400, 404, 413, 415}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = (
    *(
        "model",
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "stop",
        "n",
        "stream",
        "stream_options",
        "logprobs",
    ),
    *(
        "top_logprobs",
        "logit_bias",
        "max_tokens",
        "temperature",
        "seed",
        "user",
        "metadata",
        "prompt",
        "echo",
        "nobody",
    ),
)


@fuzzed
@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), values, min_size=1, max_size=4),
    path=st.sampled_from((CHAT, COMPLETIONS)),
)
def test_fields_of_any_value_are_answered_or_refused_in_the_envelope(
    replicas: Replicas, fields: dict[str, object], path: str
) -> None:
    reply = post(replicas.url + path, {**BODY, **fields})
    assert reply.status in OURS_TO_JUDGE
    if reply.status != 200:
        assert set(reply.error) == {"message", "type", "param", "code"}


@fuzzed
@given(data=st.data())
def test_a_body_with_any_bytes_in_it_is_answered_or_refused_in_the_envelope(
    replicas: Replicas, data: st.DataObject
) -> None:
    whole = json.dumps(BODY).encode()
    place = data.draw(st.integers(0, len(whole)))
    junk = data.draw(st.binary(max_size=30))
    reply = post(replicas.url + CHAT, whole[:place] + junk + whole[place + data.draw(st.integers(0, 5)) :])
    assert reply.status in OURS_TO_JUDGE


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("field", ["messages", "tools", "metadata", "nobody"])
def test_json_that_is_100000_deep_is_400(replicas: Replicas, field: str, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    deep = opening * 100_000 + "1" + closing * 100_000
    body = json.dumps({**BODY, field: "HERE"}).replace('"HERE"', deep)
    assert post(replicas.url + CHAT, body.encode()).status == 400


def test_a_schema_that_is_10000_deep_is_400_and_names_the_tool(replicas: Replicas) -> None:
    deep = '{"type": "object", "properties": {"a": ' * 10_000 + "{}" + "}}" * 10_000
    body = json.dumps({**BODY, "tools": [{"type": "function", "function": {"name": "f", "parameters": "HERE"}}]})
    reply = post(replicas.url + CHAT, body.replace('"HERE"', deep).encode())
    assert reply.status == 400


def test_a_small_body_that_inflates_to_a_giant_one_is_413_and_other_compressions_are_415(replicas: Replicas) -> None:
    bomb = gzip.compress(b" " * (256 << 20))
    assert refused(post(replicas.url + CHAT, bomb, content_encoding="gzip"), 413, "request_too_large")
    for encoding in ("br", "deflate", "zstd"):
        assert refused(post(replicas.url + CHAT, bomb, content_encoding=encoding), 415, "unsupported_media_type")


def test_a_body_without_an_end_is_413_and_is_not_kept(replicas: Replicas) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", replicas.port), timeout=60) as connection:
        connection.sendall(f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode())
        chunk = b"100000\r\n" + b"[" * 0x100000 + b"\r\n"
        with suppress(ConnectionError):
            while sent < 256:
                connection.sendall(chunk)
                sent += 1
        with suppress(ConnectionError):
            assert refused(answer_on(connection), 413, "request_too_large")
    assert sent < 256, "nobody has stopped it"


@pytest.mark.parametrize(("count", "code"), [(1000, "context_length_exceeded"), (20_000, "invalid_value")])
def test_a_giant_list_of_tools_does_not_fit_and_is_400(replicas: Replicas, count: int, code: str) -> None:
    tools = [{"type": "function", "function": {"name": f"tool_{i}", "description": CANARY}} for i in range(count)]
    assert refused(post(replicas.url + CHAT, {**BODY, "tools": tools}), 400, code)


@pytest.mark.parametrize("again", range(2))
def test_eight_mebibytes_of_the_smallest_values_are_refused_and_forgotten(replicas: Replicas, again: int) -> None:
    for field, value in (("messages", "{},"), ("stop", '"",'), ("tools", "{},"), ("nobody", "0,")):
        body = json.dumps({**BODY, field: "HERE"}).replace('"HERE"', f"[{value * 2_600_000}{value[:-1]}]")
        assert post(replicas.url + CHAT, body.encode()).status in {400, 413}
    for count, code in ((500_000, "context_length_exceeded"), (4_000_000, "invalid_value")):
        tokens = json.dumps({"model": "simulated", "prompt": "HERE"}).replace('"HERE"', f"[{'1,' * count}1]")
        assert refused(post(replicas.url + COMPLETIONS, tokens.encode()), 400, code)


def test_a_prompt_may_fill_the_context_but_for_one_token(replicas: Replicas) -> None:
    fits = post(replicas.url + COMPLETIONS, {"model": "simulated", "prompt": [65] * (CONTEXT - 1)})
    assert fits.json()["usage"] == fits.json()["usage"] | {"prompt_tokens": CONTEXT - 1, "completion_tokens": 1}
    over = post(replicas.url + COMPLETIONS, {"model": "simulated", "prompt": [65] * CONTEXT})
    assert refused(over, 400, "context_length_exceeded")
    assert f"{CONTEXT} tokens" in over.error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_five_megabytes_of_words_are_too_long_and_not_too_large(replicas: Replicas, stream: bool) -> None:
    text = f"{CANARY} " * (5_000_000 // (len(CANARY) + 1))
    body = {**BODY, "messages": [{"role": "user", "content": text}], "stream": stream}
    assert refused(post(replicas.url + CHAT, body), 400, "context_length_exceeded")
