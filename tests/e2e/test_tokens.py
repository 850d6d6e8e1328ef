"""Scoped tokens over every API, and the services for programs of the operator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import grpc
import openai
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from chasqui.v1 import (
    chat_pb2,
    chat_service_pb2,
    chat_service_pb2_grpc,
    key_service_pb2,
    key_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    usage_service_pb2,
    usage_service_pb2_grpc,
)
from tests.support.http import Reply, get, post
from tests.support.operator import Operator
from tests.support.ports import free_port
from tests.support.service import Service

MESSAGES: Any = [{"role": "user", "content": "Hello!"}]
CHAT = {"model": "simulated", "messages": MESSAGES, "max_tokens": 2}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "simulated", "prompt": "Once", "max_tokens": 2},
    "/v1/responses": {"model": "simulated", "input": "Hello!", "max_output_tokens": 16},
    "/v1/messages": {"model": "simulated", "messages": MESSAGES, "max_tokens": 2},
    "/tokenize": {"model": "simulated", "prompt": "Once"},
}
ADMIN = (("authorization", "Bearer admin-key"),)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(str(tmp_path_factory.mktemp("accounts") / "accounts.db"))


@pytest.fixture(scope="module")
def admin(operator: Operator) -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def key(operator: Operator) -> str:
    return operator.run("keys", "create", "parent", "--owner", "team")


@pytest.fixture(scope="module")
def service(operator: Operator, admin: str, key: str) -> Iterator[Service]:
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": 500, "model_name": "simulated", "parallel": 8}
    settings |= {"accounts": operator.place, "api_keys": "listed-key"}
    with Service(**settings, admin_address=admin, admin_keys="admin-key", response_days=1) as running:
        yield running


def send(service: Service, credential: str, path: str = "/v1/chat/completions", **changes: Any) -> Reply:
    return post(service.url + path, {**BODIES[path], **changes}, authorization=f"Bearer {credential}")


def made(service: Service, key: str, **scope: Any) -> str:
    reply = post(service.url + "/v1/scoped-jwt", scope, authorization=f"Bearer {key}")
    assert reply.status == 200, reply.body
    return str(reply.json()["token"])


def described(service: Service, key: str, token: str) -> Reply:
    return get(f"{service.url}/v1/scoped-jwt?jwtoken={token}", authorization=f"Bearer {key}")


def test_a_token_of_the_reference_s_request_is_taken_by_every_api(service: Service, key: str) -> None:
    asked = {"api_key_name": "auto", "models": ["simulated"], "expires_delta": 3600, "spending_limit": 1.0}
    token = made(service, key, **asked)
    assert token.startswith("jwt:eyJ")
    for path in BODIES:
        assert send(service, token, path).status == 200, path
    with openai.OpenAI(base_url=service.url + "/v1/openai", api_key=token) as client:
        chunks = client.chat.completions.create(model="simulated", messages=MESSAGES, max_tokens=2, stream=True)
        assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "length"
        assert client.models.list().data[0].id == "simulated"
    message = post(service.url + "/v1/messages", BODIES["/v1/messages"], **{"x-api-key": token})
    assert message.json()["stop_reason"] == "max_tokens"
    found = described(service, key, token).json()
    assert (found["models"], found["spending_limit"]) == (["simulated"], 1)
    assert 3500 < found["expires_at"] - time.time() <= 3600


def test_a_token_that_was_signed_elsewhere_is_taken_over_grpc(service: Service, operator: Operator, key: str) -> None:
    token = operator.run(
        "keys", "token", key, "--models", "simulated", "--expires", "1h", "--usd", "0.5", "--id", "app"
    )
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    metadata = (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(service.target) as channel:
        chat: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        request = chat_service_pb2.ChatRequest(model="simulated", messages=[message], max_tokens=2)
        assert chat.Chat(request, metadata=metadata).choices
        tokens: Any = token_service_pb2_grpc.TokenServiceStub(channel)
        own = (("authorization", f"Bearer {key}"),)
        found = tokens.GetToken(token_service_pb2.GetTokenRequest(token=token), metadata=own)
        assert (found.scope.id, list(found.scope.models), found.scope.spending_limit_usd) == (
            "app",
            ["simulated"],
            "0.5",
        )
        # A token signs none, and no method that is not for tokens takes it.
        with pytest.raises(grpc.RpcError) as raised:
            tokens.CreateToken(token_service_pb2.CreateTokenRequest(), metadata=metadata)
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_what_a_token_does_not_allow_is_refused_as_of_a_key(service: Service, operator: Operator, key: str) -> None:
    other = made(service, key, models=["another"])
    for path in BODIES:
        refused = send(service, other, path)
        assert refused.status == 403, path
    assert send(service, other).error["code"] == "permission_denied"
    assert send(service, other).error["param"] == "model"
    token = made(service, key)
    for path in ("/v1/files", "/v1/batches", f"/v1/scoped-jwt?jwtoken={token}"):
        assert get(service.url + path, authorization=f"Bearer {token}").status == 403, path
    # The body is not read: whoever read it would reply 400.
    forged = f"{token[:-4]}AAAA"
    for credential in (forged, operator.run("keys", "token", "chasqui_" + "a" * 8 + "_" + "b" * 56)):
        refused = post(service.url + "/v1/chat/completions", b"{", authorization=f"Bearer {credential}")
        assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")


def test_a_token_ends_with_its_time_and_with_its_key(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "ends")
    until(lambda: send(service, key).status == 200)
    lasting = made(service, key)
    tokens: list[str] = []

    def taken() -> bool:
        tokens.append(made(service, key, expires_delta=2))
        return send(service, tokens[-1]).status == 200

    until(taken)  # a busy machine may send it when it has expired
    until(lambda: send(service, tokens[-1]).status == 401)
    assert send(service, tokens[-1]).error["message"] == "The token has expired."
    operator.run("keys", "revoke", "ends")
    until(lambda: send(service, lasting).status == 401)
    assert send(service, lasting).error["message"] == "The API key that signed the token is revoked."


def test_a_token_spends_its_limit_and_its_spending_can_be_asked_for(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "spender")
    until(lambda: send(service, key).status == 200)
    token = made(service, key, spending_limit=0.00001)  # 181 tokens
    assert send(service, token, max_tokens=100).status == 200
    refused = send(service, token, max_tokens=150)
    assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
    assert send(service, key, max_tokens=150).status == 200
    token_id = described(service, key, token).json()["id"]
    by_token = f"{service.url}/v1/usage?by=token"
    rows: dict[str, Any] = {}

    def is_there() -> bool:
        listed = get(by_token, authorization=f"Bearer {key}").json()["data"]
        rows.update({row["token"]: row for row in listed})
        return bool(sum(row["calls"] for row in listed) >= 3)

    until(is_there)
    assert (rows[token_id]["calls"], rows[""]["calls"] >= 2) == (1, True)
    assert Decimal(described(service, key, token).json()["spent"]) == Decimal(rows[token_id]["cost_usd"]) > 0
    # Its holder sees its own calls only.
    [own] = get(by_token, authorization=f"Bearer {token}").json()["data"]
    assert own == rows[token_id]
    assert get(f"{by_token}&token=", authorization=f"Bearer {token}").status == 403
    assert get(f"{by_token}&key=parent", authorization=f"Bearer {key}").error["param"] == "key"


def test_what_a_token_stores_is_its_own(service: Service, key: str) -> None:
    first, second = made(service, key), made(service, key)
    stored = send(service, first, "/v1/responses", store=True).json()["id"]
    statuses = [
        get(f"{service.url}/v1/responses/{stored}", authorization=f"Bearer {one}").status
        for one in (first, second, key)
    ]
    assert statuses == [200, 404, 404]
    assert send(service, second, "/v1/responses", previous_response_id=stored).status == 400


def test_signing_counts_as_a_call(service: Service, operator: Operator) -> None:
    key = operator.run("keys", "create", "busy", "--calls-per-minute", "3")
    until(lambda: get(service.url + "/v1/models", authorization=f"Bearer {key}").status == 200)
    token = made(service, key)
    statuses = [
        described(service, key, token).status,
        send(service, token).status,
        described(service, key, token).status,
    ]
    assert statuses == [200, 200, 429]
    assert post(service.url + "/v1/scoped-jwt", {}, authorization=f"Bearer {key}").status == 429


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"models": []}, "models"),
        ({"models": ["m", ""]}, "models"),
        ({"models": "m"}, "models"),
        ({"model": ["m"]}, "model"),
        ({"expires_delta": 0}, "expires_delta"),
        ({"expires_delta": 10**9}, "expires_at"),
        ({"expires_at": 1}, "expires_at"),
        ({"expires_at": 10**15}, "expires_at"),
        ({"expires_at": 1, "expires_delta": 1}, "expires_at"),
        ({"spending_limit": -1}, "spending_limit"),
        ({"spending_limit": "1"}, "spending_limit"),
        ({"spending_limit": 1e300}, "spending_limit"),
        ({"api_key_name": "spender"}, "api_key_name"),
    ],
)
def test_a_wrong_scope_is_named(service: Service, key: str, body: dict[str, Any], param: str) -> None:
    refused = post(service.url + "/v1/scoped-jwt", body, authorization=f"Bearer {key}")
    assert (refused.status, refused.error["param"]) == (400, param)


def test_only_a_key_of_the_accounts_signs_and_only_its_own_tokens_are_described(
    service: Service, operator: Operator, key: str
) -> None:
    refused = post(service.url + "/v1/scoped-jwt", {}, authorization="Bearer listed-key")
    assert (refused.status, refused.error["code"]) == (403, "permission_denied")
    assert post(service.url + "/v1/scoped-jwt", {}).status == 401
    stranger = operator.run("keys", "create", "stranger")
    until(lambda: send(service, stranger).status == 200)
    for token in (made(service, stranger), "jwt:x", ""):
        refused = described(service, key, token)
        assert (refused.status, refused.error["param"]) == (400, "jwtoken")


def test_without_accounts_there_are_no_tokens(simulated: Service) -> None:
    refused = post(simulated.url + "/v1/scoped-jwt", {})
    assert (refused.status, refused.error["code"]) == (404, "no_accounts")


def test_a_program_of_the_operator_makes_a_key_that_works_at_once(service: Service, admin: str) -> None:
    with grpc.insecure_channel(admin) as channel:
        keys: Any = key_service_pb2_grpc.KeyServiceStub(channel)
        created = keys.CreateKey(key_service_pb2.CreateKeyRequest(name="made"), metadata=ADMIN)
        until(lambda: send(service, created.secret).status == 200)
        usage: Any = usage_service_pb2_grpc.UsageServiceStub(channel)
        request = usage_service_pb2.ListUsageRequest(by=["key"], filter=usage_service_pb2.UsageFilter(key="made"))
        until(lambda: len(usage.ListUsage(request, metadata=ADMIN).sums) == 1)
        keys.RevokeKey(key_service_pb2.RevokeKeyRequest(name="made"), metadata=ADMIN)
    until(lambda: send(service, created.secret).status == 401)


def test_the_operator_s_services_are_at_their_own_address_only(service: Service, admin: str, key: str) -> None:
    metadata = (("authorization", f"Bearer {key}"),)
    with grpc.insecure_channel(service.target) as public, grpc.insecure_channel(admin) as private:
        keys: Any = key_service_pb2_grpc.KeyServiceStub(public)
        with pytest.raises(grpc.RpcError) as raised:
            keys.ListKeys(key_service_pb2.ListKeysRequest(), metadata=ADMIN)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        keys = key_service_pb2_grpc.KeyServiceStub(private)
        with pytest.raises(grpc.RpcError) as raised:
            keys.ListKeys(key_service_pb2.ListKeysRequest(), metadata=metadata)
        assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(public)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = next(iter(reflection.ServerReflectionInfo(iter([asked]), metadata=metadata)))
    names = {service.name for service in answer.list_services_response.service}
    assert "chasqui.v1.TokenService" in names
    assert "chasqui.v1.KeyService" not in names


def test_neither_keys_nor_tokens_are_in_the_output(service: Service, key: str) -> None:
    token = made(service, key)
    described(service, key, token)
    send(service, token)
    for secret in (key.split("_")[2], token.rpartition(".")[2], "admin-key"):
        assert secret not in service.output()


def until(condition: Any) -> None:
    """Wait until it holds, for as long as a slow machine may need."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()
