"""Keys of the accounts, as callers over REST and gRPC meet them, and an operator at the same time."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from chasqui.v1 import (
    chat_pb2,
    chat_service_pb2,
    chat_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    usage_service_pb2,
    usage_service_pb2_grpc,
)
from tests.support.http import Reply, get, open_call, open_stream, post, read_until
from tests.support.operator import Operator
from tests.support.ports import free_row
from tests.support.replicas import wait_until
from tests.support.service import Service

CHAT = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 2}
TEXT = {"model": "simulated", "prompt": "Once", "max_tokens": 2}
WORDS = {"model": "simulated", "prompt": "Once"}
PATIENCE = 120  # seconds, for what takes one


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(str(tmp_path_factory.mktemp("accounts") / "accounts.db"))


@pytest.fixture(scope="module")
def unlimited(operator: Operator) -> str:
    return operator.run("keys", "create", "unlimited")


@pytest.fixture(scope="module")
def service(operator: Operator, unlimited: str) -> Iterator[Service]:
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": 500, "model_name": "simulated", "parallel": 8}
    # Of server, edge, Envoy and the runner of batches.
    settings["metrics_address"] = f"127.0.0.1:{free_row(4)}"
    with Service(**settings, accounts=operator.place, api_keys="listed-key") as running:
        yield running


def chat(service: Service, key: str) -> Reply:
    return post(service.url + "/v1/chat/completions", CHAT, authorization=f"Bearer {key}")


def grpc_code(service: Service, key: str, call: str, request: Any) -> tuple[grpc.StatusCode, str]:
    with grpc.insecure_channel(service.target) as channel:
        stubs: Any = (chat_service_pb2_grpc.ChatServiceStub(channel), model_service_pb2_grpc.ModelServiceStub(channel))
        method = next(getattr(stub, call) for stub in stubs if hasattr(stub, call))
        try:
            method(request, metadata=(("authorization", f"Bearer {key}"), ("x-endpoint", "models")))
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
        return grpc.StatusCode.OK, ""


def grpc_chat(model: str = "simulated", prompt: bool = False) -> chat_service_pb2.ChatRequest:
    if prompt:
        return chat_service_pb2.ChatRequest(model=model, prompt=chat_pb2.Prompt(text="Once"), max_tokens=2)
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    return chat_service_pb2.ChatRequest(model=model, messages=[message], max_tokens=2)


def becomes(status: int, service: Service, key: str) -> bool:
    end = time.monotonic() + PATIENCE
    while chat(service, key).status != status and time.monotonic() < end:
        time.sleep(0.05)
    return chat(service, key).status == status


def test_a_key_works_from_its_creation_to_its_revocation(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "short")
    assert becomes(200, service, key)
    assert grpc_code(service, key, "Chat", grpc_chat())[0] is grpc.StatusCode.OK
    operator.run("keys", "revoke", "short")
    assert becomes(401, service, key)
    refused = chat(service, key)
    assert (refused.error["code"], refused.error["message"]) == ("invalid_api_key", "The API key is revoked.")
    assert grpc_code(service, key, "Chat", grpc_chat())[0] is grpc.StatusCode.UNAUTHENTICATED


def test_keys_of_the_settings_and_of_the_accounts_are_let_in_and_others_are_not(
    service: Service, unlimited: str
) -> None:
    statuses = [chat(service, key).status for key in ("listed-key", unlimited, "other", unlimited[:-1], "")]
    assert statuses == [200, 200, 401, 401, 401]


def test_x_api_key_is_a_key_as_well(service: Service, unlimited: str) -> None:
    url = service.url + "/v1/chat/completions"
    assert post(url, CHAT, x_api_key=unlimited).status == 200
    assert post(url, CHAT, x_api_key="other").status == 401
    assert post(url, CHAT, x_api_key=unlimited, authorization="Bearer other").status == 401


def test_a_key_is_held_to_its_endpoints_over_rest_and_grpc(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "narrow", "--endpoints", "completions,tokenize")
    authorization = f"Bearer {key}"
    assert becomes(403, service, key)
    refused = chat(service, key)
    assert (refused.status, refused.error["code"]) == (403, "permission_denied")
    assert "chat/completions" in refused.error["message"]
    assert post(service.url + "/v1/openai/chat/completions", CHAT, authorization=authorization).status == 403
    assert post(service.url + "/v1/completions", TEXT, authorization=authorization).status == 200
    assert post(service.url + "/tokenize", WORDS, authorization=authorization).status == 200
    assert (
        post(service.url + "/detokenize", {"model": "simulated", "tokens": [1]}, authorization=authorization).status
        == 403
    )
    assert get(service.url + "/v1/models", authorization=authorization).status == 200
    # A caller cannot name another endpoint.
    assert grpc_code(service, key, "Chat", grpc_chat())[0] is grpc.StatusCode.PERMISSION_DENIED
    assert grpc_code(service, key, "Chat", grpc_chat(prompt=True))[0] is grpc.StatusCode.OK
    detokenize = model_service_pb2.DetokenizeRequest(model="simulated", tokens=[1])
    assert grpc_code(service, key, "Detokenize", detokenize)[0] is grpc.StatusCode.PERMISSION_DENIED
    count = model_service_pb2.CountTokensRequest(model="simulated", text="Once")
    assert grpc_code(service, key, "CountTokens", count)[0] is grpc.StatusCode.OK


def test_a_key_for_messages_counts_their_tokens_and_sends_no_responses(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "claude", "--endpoints", "messages")
    assert becomes(403, service, key)
    for path in ("/v1/messages", "/anthropic/v1/messages", "/v1/messages/count_tokens"):
        assert post(service.url + path, CHAT, x_api_key=key).status == 200, path
        refused = post(service.url + path, CHAT, x_api_key="unknown")
        assert (refused.status, refused.error["type"]) == (401, "authentication_error")
    refused = post(service.url + "/v1/responses", {"model": "simulated", "input": "Hello!"}, x_api_key=key)
    assert (refused.status, refused.error["code"]) == (403, "permission_denied")


def test_a_body_is_not_read_for_a_key_that_may_not_send_it(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "tokens-only", "--endpoints", "tokenize")
    assert becomes(403, service, key)
    # Not JSON: whoever read it would reply 400.
    assert post(service.url + "/v1/chat/completions", b"{", authorization=f"Bearer {key}").status == 403


def test_a_key_is_held_to_its_models(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "other-models", "--models", "larger")
    assert becomes(403, service, key)
    refused = chat(service, key)
    assert (refused.error["param"], refused.error["code"]) == ("model", "permission_denied")
    assert grpc_code(service, key, "Chat", grpc_chat())[0] is grpc.StatusCode.PERMISSION_DENIED
    operator.run("keys", "limit", "other-models", "--models", "meta-llama/Meta-Llama-3.1-8B-Instruct")
    by_alias = {**CHAT, "model": "meta-llama/Meta-Llama-3.1-8B-Instruct"}
    end = time.monotonic() + PATIENCE
    url = service.url + "/v1/chat/completions"
    while post(url, by_alias, authorization=f"Bearer {key}").status != 200 and time.monotonic() < end:
        time.sleep(0.05)
    assert post(url, by_alias, authorization=f"Bearer {key}").status == 200
    assert chat(service, key).status == 403


def test_no_secret_appears_in_the_output(service: Service, unlimited: str) -> None:
    chat(service, unlimited)
    assert unlimited.split("_")[2] not in service.output()


def ledger(operator: Operator, key: str, calls: int) -> list[dict[str, Any]]:
    """The sums of a key by endpoint and outcome, once they are of so many calls."""
    command = ["usage", "--by", "endpoint,outcome", "--key", key, "--format", "json"]
    end = time.monotonic() + PATIENCE
    rows: list[dict[str, Any]] = []
    while sum(row["calls"] for row in rows) < calls and time.monotonic() < end:
        rows = json.loads(operator.run(*command))
    return rows


def test_every_call_is_in_the_ledger_as_its_caller_saw_it(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "counted")
    assert becomes(200, service, key)
    usage = chat(service, key).json()["usage"]
    url, authorization = service.url + "/v1/completions", f"Bearer {key}"
    post(url, TEXT, authorization=authorization)
    too_long = post(url, {**TEXT, "prompt": "word " * 200_000}, authorization=authorization)
    assert too_long.error["code"] == "context_length_exceeded"
    assert post(url, {**TEXT, "temperature": 9}, authorization=authorization).status == 400
    rows = {(row.pop("endpoint"), row.pop("outcome")): row for row in ledger(operator, "counted", 6)}
    chats = rows["chat/completions", "completed"]
    assert chats["calls"] == 3  # those of `becomes` are two
    assert chats["prompt_tokens"] == 3 * usage["prompt_tokens"]
    assert chats["completion_tokens"] == 3 * usage["completion_tokens"]
    assert float(chats["cost_usd"]) == pytest.approx(3 * usage["estimated_cost"], rel=1e-12)
    assert rows["completions", "completed"]["calls"] == 1
    refused = rows["completions", "invalid"]
    assert (refused["calls"], refused["completion_tokens"], float(refused["cost_usd"])) == (2, 0, 0)
    assert len(rows) == 3


def test_a_call_over_grpc_that_is_cancelled_or_too_late_is_in_the_ledger(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "gone")
    assert becomes(200, service, key)
    metadata = (("authorization", f"Bearer {key}"),)
    endless = chat_service_pb2.StreamChatRequest(chat=grpc_chat())
    endless.chat.max_tokens = 100_000
    endless.chat.ignore_eos = True
    with grpc.insecure_channel(service.target) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        stream = stub.StreamChat(endless, metadata=metadata)
        next(stream)
        stream.cancel()
        # The server counts these seconds, from the call's arrival on: one of a timeout of gRPC may never arrive.
        with pytest.raises(grpc.RpcError) as late:
            stub.Chat(endless.chat, metadata=(*metadata, ("x-request-timeout", "0.5")))
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    rows = {row["outcome"]: row for row in ledger(operator, "gone", 4)}
    assert {outcome: row["calls"] for outcome, row in rows.items()} == {"completed": 2, "cancelled": 1, "deadline": 1}


def test_calls_beyond_a_limit_are_429_with_how_the_limits_stand(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "few", "--calls-per-minute", "4", "--tokens-per-minute", "5000")
    began = time.monotonic()
    assert becomes(200, service, key)  # two calls
    streamed = post(service.url + "/v1/chat/completions", {**CHAT, "stream": True}, authorization=f"Bearer {key}")
    assert streamed.headers["x-ratelimit-remaining-requests"] == "1"
    whole = chat(service, key)
    assert (whole.headers["x-ratelimit-limit-requests"], whole.headers["x-ratelimit-remaining-requests"]) == ("4", "0")
    assert whole.headers["x-ratelimit-limit-tokens"] == "5000"
    refused = chat(service, key)
    assert (refused.status, refused.error["type"]) == (429, "rate_limit_error")
    assert refused.error["code"] == "rate_limit_exceeded"
    # A minute after the first one.
    assert 59 - (time.monotonic() - began) < int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in refused.headers
    assert post(service.url + "/tokenize", WORDS, authorization=f"Bearer {key}").status == 429
    with grpc.insecure_channel(service.target) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Chat(grpc_chat(), metadata=(("authorization", f"Bearer {key}"),))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(raised.value)
    kinds = {detail.type_url.rpartition(".")[2] for detail in status.details}
    assert kinds == {"ErrorInfo", "RetryInfo", "QuotaFailure"}
    metadata: Any = raised.value.trailing_metadata()
    assert dict(metadata)["x-ratelimit-limit-requests"] == "4"


def test_what_a_call_could_use_is_reserved_and_the_rest_given_back(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "tokens", "--tokens-per-minute", "300")
    assert becomes(200, service, key)
    answers = [chat(service, key) for _ in range(3)]
    used = answers[0].json()["usage"]["total_tokens"]
    assert answers[-1].headers["x-ratelimit-remaining-tokens"] == str(300 - 5 * used)  # those of `becomes` are two
    too_much = post(service.url + "/v1/chat/completions", {**CHAT, "max_tokens": 299}, authorization=f"Bearer {key}")
    assert (too_much.status, too_much.error["code"]) == (429, "rate_limit_exceeded")


def test_a_budget_ends_calls_with_insufficient_quota(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "poor", "--usd-per-day", "0.00001")  # 181 tokens
    assert becomes(200, service, key)
    refused = post(service.url + "/v1/chat/completions", {**CHAT, "max_tokens": 200}, authorization=f"Bearer {key}")
    assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
    assert refused.headers["x-should-retry"] == "false"
    assert chat(service, key).status == 200


def test_a_changed_limit_holds_at_once(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "changed", "--concurrent-calls", "0", "--priority", "high")
    assert becomes(429, service, key)
    operator.run("keys", "limit", "changed", "--concurrent-calls", "none")
    assert becomes(200, service, key)


def test_a_caller_sees_its_own_usage_over_rest_and_grpc(service: Service, operator: Operator, unlimited: str) -> None:
    key = operator.run("keys", "create", "curious")
    assert becomes(200, service, key)
    chat(service, unlimited)
    ledger(operator, "curious", 2)
    url, authorization = service.url + "/v1/usage", f"Bearer {key}"
    [row] = get(f"{url}?by=key,endpoint&since=2020-01-01", authorization=authorization).json()["data"]
    assert (row["key"], row["endpoint"], row["calls"]) == ("curious", "chat/completions", 2)
    assert Decimal(row["cost_usd"]) == (row["prompt_tokens"] + row["completion_tokens"]) * Decimal("0.000000055")
    assert get(f"{url}?until=2020-01-01", authorization=authorization).json()["data"][0]["calls"] == 0
    with grpc.insecure_channel(service.target) as channel:
        stub: Any = usage_service_pb2_grpc.UsageServiceStub(channel)
        request = usage_service_pb2.ListUsageRequest(by=["key"])
        [found] = stub.ListUsage(request, metadata=(("authorization", authorization),)).sums
    assert (dict(found.groups), found.cost_usd) == ({"key": "curious"}, row["cost_usd"])


@pytest.mark.parametrize(("query", "param"), [("by=week", "by"), ("since=yesterday", "since"), ("from=2020", "from")])
def test_a_wrong_question_about_usage_is_named(service: Service, unlimited: str, query: str, param: str) -> None:
    refused = get(f"{service.url}/v1/usage?{query}", authorization=f"Bearer {unlimited}")
    assert (refused.status, refused.error["param"]) == (400, param)
    assert get(f"{service.url}/v1/usage").status == 401


def test_without_accounts_there_is_no_usage(simulated: Service) -> None:
    refused = get(simulated.url + "/v1/usage")
    assert (refused.status, refused.error["code"]) == (404, "no_accounts")


def test_every_call_of_a_server_that_died_is_in_the_ledger_with_what_was_delivered(
    service: Service, operator: Operator
) -> None:
    key = operator.run("keys", "create", "lost")
    assert becomes(200, service, key)
    headers = {"authorization": f"Bearer {key}", "x-request-id": "lost-stream"}
    url, endless = service.url + "/v1/chat/completions", {**CHAT, "max_tokens": 100_000}
    whole = open_call(url, endless, headers | {"x-request-id": "lost-whole"})
    request = chat_service_pb2.StreamChatRequest(chat=grpc_chat())
    request.chat.max_tokens = 100_000
    with grpc.insecure_channel(service.target) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        stream = stub.StreamChat(request, metadata=(("authorization", f"Bearer {key}"),))
        next(stream)
        with whole, open_stream(url, {**endless, "stream": True}, headers) as connection:
            wait_until(lambda: service.calls() == (3, 0))
            service.parts()["server"].kill()
            received = read_until(connection, '"error"')
            assert read_until(whole, '"error"').startswith("HTTP/1.1 503")
        with pytest.raises(grpc.RpcError):
            list(stream)
    delivered = service.logged("lost-stream", "chat call lost")["completion_tokens"]
    assert delivered > 0
    assert "[DONE]" not in received
    service.wait_ready()
    rows: dict[str, dict[str, Any]] = {}

    def reported() -> bool:
        """Whether the edge has reported what it had received, which replaces a row."""
        rows.update((row["outcome"], row) for row in ledger(operator, "lost", 5))
        return bool(rows["lost"]["completion_tokens"])

    wait_until(reported)
    assert (rows["completed"]["calls"], rows["lost"]["calls"]) == (2, 3)
    # Of the other two nothing was delivered, as far as is known.
    assert rows["lost"]["completion_tokens"] == delivered
    assert rows["lost"]["prompt_tokens"] * 2 == rows["completed"]["prompt_tokens"]
    tokens = rows["lost"]["prompt_tokens"] + delivered
    assert Decimal(rows["lost"]["cost_usd"]) == tokens * Decimal("0.000000055")


def test_a_key_uses_the_service_tiers_that_are_its_own(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "no-priority", "--tiers", "default,flex")
    assert becomes(200, service, key)
    for tier, status in (("flex", 200), ("default", 200), (None, 200), ("priority", 403)):
        url = service.url + "/v1/chat/completions"
        reply = post(url, CHAT | {"service_tier": tier}, authorization=f"Bearer {key}")
        assert reply.status == status, tier
    assert (reply.error["code"], reply.error["param"]) == ("permission_denied", "service_tier")


def test_a_price_bills_the_calls_that_arrive_after_its_time_and_is_shown_from_then_on(
    service: Service, operator: Operator
) -> None:
    key = operator.run("keys", "create", "billed")
    assert becomes(200, service, key)
    calls = 2  # those of `becomes`
    versions = {datetime.min.replace(tzinfo=UTC): "CHASQUI_PRICE=0.055"}  # by the time from which they are valid
    # Until the server has read a price before its time: it reads prices together with keys.
    for seconds in (2, 5, 15, 60):
        valid_from = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        version = versions[valid_from] = operator.run("prices", "set", "0.5,0.1,2", "--from", valid_from.isoformat())
        assert becomes(200, service, operator.run("keys", "create", version))
        if datetime.now(UTC) < valid_from:
            break
    is_valid = False
    while not is_valid:
        is_valid = datetime.now(UTC) >= valid_from
        usage = chat(service, key).json()["usage"]
        calls += 1
    assert usage["estimated_cost"] == (0.5 * usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 1e6
    pricing = get(f"{service.url}/v1/models", authorization=f"Bearer {key}").json()["data"][0]["pricing"]
    assert (pricing["prompt"], pricing["cached_prompt"], pricing["completion"]) == (0.5, 0.1, 2)
    flex = {**CHAT, "service_tier": "flex"}
    assert post(service.url + "/v1/chat/completions", flex, authorization=f"Bearer {key}").status == 200
    calls += 1
    ledger(operator, "billed", calls)
    with closing(sqlite3.connect(operator.place)) as database:
        rows = database.execute("SELECT at, price FROM calls WHERE key = 'billed' ORDER BY at").fetchall()
    assert rows[-1][1] == f"{version} CHASQUI_FLEX_PRICE=0.8"
    for moment, price in rows[:-1]:
        arrived = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        assert price == versions[max(valid for valid in versions if valid <= arrived)]
    assert {price for _, price in rows[:-1]} >= {"CHASQUI_PRICE=0.055", version}
