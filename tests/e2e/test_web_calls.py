"""gRPC-Web and Connect, byte by byte: Envoy turns them into gRPC. `make test-page` has the clients that people use."""

from __future__ import annotations

import base64
import json
import struct
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2
from tests.support.http import post
from tests.support.service import Service

if TYPE_CHECKING:
    from tests.support.http import Reply

CHAT = "/chasqui.v1.ChatService/Chat"
STREAM_CHAT = "/chasqui.v1.ChatService/StreamChat"


def request(model: str = "simulated") -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    return chat_service_pb2.ChatRequest(model=model, messages=[message], max_tokens=4, ignore_eos=True)


def streamed(model: str = "simulated") -> bytes:
    return framed(chat_service_pb2.StreamChatRequest(chat=request(model)).SerializeToString())


def framed(message: bytes) -> bytes:
    return struct.pack(">?I", False, len(message)) + message


def frames(body: bytes) -> list[tuple[int, bytes]]:
    """Flags and content of each frame."""
    found = []
    while body:
        flags, length = struct.unpack(">BI", body[:5])
        found.append((flags, body[5 : 5 + length]))
        body = body[5 + length :]
    return found


def text_of(messages: list[bytes]) -> str:
    events = [event for message in messages for event in chat_service_pb2.StreamChatResponse.FromString(message).events]
    assert events[0].HasField("started")
    assert events[-1].HasField("completed")
    return "".join(event.delta.content for event in events)


def grpc_web(service: Service, path: str, body: bytes) -> Reply:
    return post(service.url + path, body, content_type="application/grpc-web+proto", x_grpc_web="1")


def connect(service: Service, path: str, body: bytes, content_type: str) -> Reply:
    return post(service.url + path, body, content_type=content_type, connect_protocol_version="1")


@pytest.fixture(scope="module")
def text(simulated: Service) -> str:
    """The answer over REST."""
    body = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
    reply = post(f"{simulated.url}/v1/chat/completions", {**body, "ignore_eos": True})
    content: str = reply.json()["choices"][0]["message"]["content"]
    return content


def test_a_grpc_web_call_has_its_message_and_its_trailers(simulated: Service, text: str) -> None:
    (_, message), (flags, trailers) = frames(grpc_web(simulated, CHAT, framed(request().SerializeToString())).body)
    assert chat_service_pb2.ChatResponse.FromString(message).choices[0].message.content[0].text == text
    assert flags == 0x80
    assert b"grpc-status:0\r\n" in trailers
    assert b"server-timing:" in trailers


def test_a_grpc_web_stream_has_every_event(simulated: Service, text: str) -> None:
    *messages, (flags, _) = frames(grpc_web(simulated, STREAM_CHAT, streamed()).body)
    assert text_of([message for _, message in messages]) == text
    assert flags == 0x80


def test_grpc_web_in_base64_is_the_same(simulated: Service, text: str) -> None:
    body = base64.b64encode(streamed())
    as_text = {"content_type": "application/grpc-web-text", "accept": "application/grpc-web-text"}
    reply = post(simulated.url + STREAM_CHAT, body, **as_text)
    quads = [reply.body[at : at + 4] for at in range(0, len(reply.body), 4)]
    *messages, _ = frames(b"".join(map(base64.b64decode, quads)))
    assert text_of([message for _, message in messages]) == text


def test_a_connect_call_is_answered_with_the_bare_message(simulated: Service, text: str) -> None:
    reply = connect(simulated, CHAT, request().SerializeToString(), "application/proto")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/proto")
    assert chat_service_pb2.ChatResponse.FromString(reply.body).choices[0].message.content[0].text == text
    assert "prefill" in reply.headers["trailer-server-timing"]


def test_a_connect_stream_ends_with_its_metadata(simulated: Service, text: str) -> None:
    *messages, (flags, end) = frames(connect(simulated, STREAM_CHAT, streamed(), "application/connect+proto").body)
    assert text_of([message for _, message in messages]) == text
    assert flags == 2
    assert "server-timing" in json.loads(end)["metadata"]


def test_a_refusal_has_its_status_in_each_form(simulated: Service) -> None:
    refused = request("nothing").SerializeToString()
    over_web = grpc_web(simulated, CHAT, framed(refused))
    assert (over_web.status, over_web.headers["grpc-status"]) == (200, "5")
    unary = connect(simulated, CHAT, refused, "application/proto")
    assert (unary.status, unary.json()["code"]) == (404, "not_found")
    [(_, end)] = frames(connect(simulated, STREAM_CHAT, streamed("nothing"), "application/connect+proto").body)
    assert json.loads(end)["error"]["code"] == "not_found"


@pytest.mark.parametrize("content_type", ["application/json", "application/connect+json", "application/grpc-web+json"])
def test_messages_in_json_are_refused_in_connects_form(simulated: Service, content_type: str) -> None:
    reply = connect(simulated, CHAT, b"{}", content_type)
    assert (reply.status, reply.json()["code"]) == (415, "unimplemented")
    assert "useBinaryFormat" in reply.json()["message"]


@pytest.mark.parametrize("path", ["/chasqui.v1.RelayService/Relay", "/chasqui.v1.Nothing/Chat"])
@pytest.mark.parametrize("content_type", ["application/grpc-web+proto", "application/connect+proto"])
def test_the_relay_is_not_there_for_web_clients_either(simulated: Service, path: str, content_type: str) -> None:
    reply = connect(simulated, path, framed(b""), content_type)
    assert (reply.status, reply.headers["grpc-status"]) == (404, "12")


def test_a_unary_connect_call_may_have_256_kib_and_a_stream_more(simulated: Service) -> None:
    large = request()
    large.messages[0].content[0].text = "x" * 300_000
    assert connect(simulated, CHAT, large.SerializeToString(), "application/proto").status == 413
    body = framed(chat_service_pb2.StreamChatRequest(chat=large).SerializeToString())
    *_, (_, end) = frames(connect(simulated, STREAM_CHAT, body, "application/connect+proto").body)
    assert json.loads(end)["error"]["code"] == "invalid_argument"  # longer than the context


def test_a_key_is_asked_for_and_a_web_client_that_leaves_frees_the_engine() -> None:
    with Service(engine="simulated", simulated_rate=20, model_name="simulated", api_keys="s3cret") as service:
        assert grpc_web(service, CHAT, framed(request().SerializeToString())).headers["grpc-status"] == "16"
        endless = chat_service_pb2.StreamChatRequest(chat=request())
        endless.chat.max_tokens = 4000
        headers = {
            "content-type": "application/grpc-web+proto",
            "authorization": "Bearer s3cret",
            "x-request-id": "gone",
        }
        connection = HTTPConnection("127.0.0.1", service.port, timeout=60)
        connection.request("POST", STREAM_CHAT, framed(endless.SerializeToString()), headers)
        with connection.getresponse() as response:
            assert b"chatcmpl" in response.read1()
        connection.close()
        assert service.usage_record("gone")["outcome"] == "cancelled"
