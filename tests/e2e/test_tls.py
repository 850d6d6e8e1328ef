"""TLS on the public port, and client certificates of gRPC callers, as real clients meet them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import openai
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from openai import DefaultHttpxClient, OpenAI

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.support.http import get, post
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 3}
SETTINGS: dict[str, Any] = {"engine": "simulated", "simulated_rate": 0, "model_name": "simulated"}


@dataclass(frozen=True)
class Authority:
    """An authority with its certificate in a file; `trusted` is what clients load."""

    ca: trustme.CA
    path: Path

    @property
    def trusted(self) -> bytes:
        return self.ca.cert_pem.bytes()


def authority(folder: Path, name: str) -> Authority:
    ca = trustme.CA()
    path = folder / f"{name}.pem"
    ca.cert_pem.write_to_path(path)
    return Authority(ca, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def servers(folder: Path) -> Authority:
    return authority(folder, "servers")


@pytest.fixture(scope="module")
def callers(folder: Path) -> Authority:
    return authority(folder, "callers")


@pytest.fixture(scope="module")
def files(folder: Path, servers: Authority) -> dict[str, Any]:
    """The two settings of a server's certificate."""
    issued = servers.ca.issue_cert("127.0.0.1", "localhost")
    certificate, key = folder / "server.crt", folder / "server.key"
    issued.private_key_pem.write_to_path(key)
    for part in issued.cert_chain_pems:
        part.write_to_path(certificate, append=True)
    return {"tls_certificate": str(certificate), "tls_key": str(key)}


@pytest.fixture(scope="module")
def encrypted(files: dict[str, Any]) -> Iterator[Service]:
    with Service(**SETTINGS, **files) as service:
        yield service


@pytest.fixture(scope="module")
def mutual(files: dict[str, Any], callers: Authority) -> Iterator[Service]:
    with Service(**SETTINGS, **files, tls_client_ca=callers.path, api_keys="a-key") as service:
        yield service


def credentials(servers: Authority, signer: Authority | None = None) -> grpc.ChannelCredentials:
    """What a client trusts and, with a signer, shows."""
    if signer is None:
        return grpc.ssl_channel_credentials(servers.trusted)
    issued = signer.ca.issue_cert("caller.internal")
    chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
    return grpc.ssl_channel_credentials(servers.trusted, issued.private_key_pem.bytes(), chain)


def chat(service: Service, given: grpc.ChannelCredentials) -> chat_service_pb2.ChatResponse:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    request = chat_service_pb2.ChatRequest(model="simulated", messages=[message], max_tokens=3)
    with grpc.secure_channel(service.target, given) as channel:
        return chat_service_pb2_grpc.ChatServiceStub(channel).Chat(
            request, metadata=(("authorization", "Bearer a-key"),), timeout=60
        )


def openai_client(service: Service, servers: Authority) -> OpenAI:
    context = ssl.create_default_context(cadata=servers.trusted.decode())
    return OpenAI(
        base_url=service.url + "/v1", api_key="a-key", max_retries=0, http_client=DefaultHttpxClient(verify=context)
    )


def test_the_openai_client_chats_over_https_whole_and_streamed(encrypted: Service, servers: Authority) -> None:
    with openai_client(encrypted, servers) as client:
        answer = client.chat.completions.create(**BODY)  # type: ignore[call-overload]
        stream = client.chat.completions.create(**BODY, stream=True)  # type: ignore[call-overload]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert answer.usage.completion_tokens == 3
    assert text == answer.choices[0].message.content


def test_a_client_that_does_not_trust_the_authority_gets_no_connection(encrypted: Service, callers: Authority) -> None:
    with openai_client(encrypted, callers) as client, pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(**BODY)  # type: ignore[call-overload]


def test_a_grpc_client_chats_over_tls_on_the_same_port(encrypted: Service, servers: Authority) -> None:
    assert chat(encrypted, credentials(servers)).usage.completion_tokens == 3


def test_plain_http_on_that_port_is_not_answered(encrypted: Service) -> None:
    with pytest.raises(ConnectionError):
        get(f"http://127.0.0.1:{encrypted.port}/healthz")


def test_a_slash_at_the_end_leads_nobody_to_plain_http(encrypted: Service) -> None:
    reply = post(encrypted.url + "/v1/chat/completions/", BODY, host="elsewhere.example")
    assert (reply.status, reply.headers.get("location")) == (200, None)


def test_start_up_shows_an_https_address(encrypted: Service) -> None:
    assert encrypted.prints(f"curl https://127.0.0.1:{encrypted.port}/v1/chat/completions")


def test_a_grpc_caller_with_a_certificate_of_the_authority_is_let_in(
    mutual: Service, servers: Authority, callers: Authority
) -> None:
    assert chat(mutual, credentials(servers, callers)).usage.completion_tokens == 3


def test_a_grpc_caller_without_a_certificate_is_unauthenticated_whatever_its_key(
    mutual: Service, servers: Authority
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        chat(mutual, credentials(servers))
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert raised.value.details() == "gRPC callers need a client certificate."


def test_health_over_grpc_needs_a_certificate_too(mutual: Service, servers: Authority) -> None:
    with grpc.secure_channel(mutual.target, credentials(servers)) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_certificate_of_another_authority_ends_the_handshake(mutual: Service, servers: Authority) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        chat(mutual, credentials(servers, servers))
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_rest_callers_need_their_key_and_no_certificate(mutual: Service, servers: Authority) -> None:
    with openai_client(mutual, servers) as client:
        assert client.chat.completions.create(**BODY).usage.completion_tokens == 3  # type: ignore[call-overload]
    assert post(mutual.url + "/v1/chat/completions", BODY).status == 401
    assert get(mutual.url + "/readyz").status == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/grpc", "16"),
        ("application/grpc+proto", "16"),
        ("application/grpc-web", "16"),
        ("application/grpc-web-text", "16"),
        ("application/connect+proto", "401"),
        ("application/proto", "401"),
        ("application/json", "415"),  # reaches the edge, which has no such RPC
        ("application/grpc-web+json", "415"),
    ],
)
def test_no_form_of_a_grpc_call_gets_around_the_certificate(mutual: Service, content_type: str, status: str) -> None:
    headers = {"authorization": "Bearer a-key", "connect_protocol_version": "1"}
    if "grpc" in content_type:
        del headers["connect_protocol_version"]
    reply = post(f"{mutual.url}/chasqui.v1.ChatService/Chat", bytes(5), content_type=content_type, **headers)
    seen = str(reply.status) if "grpc" not in content_type or reply.status != 200 else reply.headers["grpc-status"]
    assert reply.headers.get("grpc-status", seen) == status or seen == status
    assert b"chatcmpl" not in reply.body
