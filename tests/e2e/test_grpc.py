"""A gRPC client on the public port: found by reflection, typed, with rich errors, and in agreement with REST."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import post
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def channel(service: Service) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(service.target) as channel:
        yield channel


def chat_request(**fields: Any) -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    defaults: dict[str, Any] = {"model": REFERENCE_MODEL, "messages": [message], "max_tokens": 8}
    return chat_service_pb2.ChatRequest(**(defaults | fields))


def events_of(channel: grpc.Channel, request: chat_service_pb2.ChatRequest) -> list[Any]:
    stub = chat_service_pb2_grpc.ChatServiceStub(channel)
    stream = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=request))
    return [event for message in stream for event in message.events]


def test_a_client_without_stubs_finds_and_calls_the_services_by_reflection(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {"chasqui.v1.ChatService", "chasqui.v1.ModelService", "grpc.health.v1.Health"} <= set(
        database.get_services()
    )
    method = DescriptorPool(database).FindServiceByName("chasqui.v1.ChatService").methods_by_name["Chat"]
    body = {
        "model": REFERENCE_MODEL,
        "messages": [{"role": "ROLE_USER", "content": [{"text": "Hello!"}]}],
        "maxTokens": 4,
        "ignoreEos": True,
    }
    call: Any = channel.unary_unary(
        "/chasqui.v1.ChatService/Chat",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    answer = MessageToDict(call(ParseDict(body, GetMessageClass(method.input_type)())))
    assert answer["choices"][0]["message"]["role"] == "ROLE_ASSISTANT"
    assert answer["choices"][0]["finishReason"] == "FINISH_REASON_LENGTH"
    assert answer["usage"]["completionTokens"] == "4"


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_answers_clients_of_either_version_and_describes_itself(channel: grpc.Channel, version: str) -> None:
    name = f"grpc.reflection.{version}.ServerReflection"
    call: Any = channel.stream_stream(
        f"/{name}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services="*"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=name),
    ]
    listed, described = call(iter(asked))
    names = {service.name for service in listed.list_services_response.service}
    assert {name, "chasqui.v1.ChatService", "grpc.health.v1.Health"} <= names
    file = FileDescriptorProto.FromString(described.file_descriptor_response.file_descriptor_proto[0])
    assert (file.package, file.service[0].name) == (f"grpc.reflection.{version}", "ServerReflection")


def test_a_stream_starts_then_carries_deltas_one_finish_and_the_usage(channel: grpc.Channel) -> None:
    kinds = [event.WhichOneof("event") for event in events_of(channel, chat_request())]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["finish", "completed"]
    assert set(kinds[1:-2]) == {"delta"}


def test_a_stream_adds_up_to_the_whole_answer(simulated: Service) -> None:
    with grpc.insecure_channel(simulated.target) as channel:
        request = chat_request(n=2, max_tokens=50)
        whole = chat_service_pb2_grpc.ChatServiceStub(channel).Chat(request)
        events = events_of(channel, request)
    for choice in whole.choices:
        deltas = [e.delta.content for e in events if e.HasField("delta") and e.delta.index == choice.index]
        assert "".join(deltas) == choice.message.content[0].text
    assert events[-1].completed.usage == whole.usage


def test_grpc_and_rest_agree_on_text_and_usage_to_the_last_digit(simulated: Service) -> None:
    with grpc.insecure_channel(simulated.target) as channel:
        answer = chat_service_pb2_grpc.ChatServiceStub(channel).Chat(chat_request(max_tokens=33))
    body = {"model": REFERENCE_MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 33}
    rest = post(simulated.url + "/v1/chat/completions", body).json()
    assert rest["choices"][0]["message"]["content"] == answer.choices[0].message.content[0].text
    assert rest["usage"]["estimated_cost"] == answer.usage.estimated_cost
    assert rest["usage"]["total_tokens"] == answer.usage.total_tokens


def test_a_refusal_carries_error_info_and_names_the_field(channel: grpc.Channel) -> None:
    request = chat_request(sampling=chat_pb2.SamplingOptions(temperature=9))
    with pytest.raises(grpc.RpcError) as raised:
        chat_service_pb2_grpc.ChatServiceStub(channel).Chat(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(raised.value)
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status.details[0].Unpack(info)
    status.details[1].Unpack(bad_request)
    assert (info.domain, info.reason, info.metadata["param"]) == ("chasqui", "INVALID_VALUE", "temperature")
    assert bad_request.field_violations[0].field == "temperature"


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_not_found_streamed_or_not(channel: grpc.Channel, stream: bool) -> None:
    request = chat_request(model="nobody/knows")
    with pytest.raises(grpc.RpcError) as raised:
        if stream:
            events_of(channel, request)
        else:
            chat_service_pb2_grpc.ChatServiceStub(channel).Chat(request)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_same_fault_is_worded_alike_in_grpc_and_rest(channel: grpc.Channel, service: Service) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        chat_service_pb2_grpc.ChatServiceStub(channel).Chat(chat_request(sampling=chat_pb2.SamplingOptions(top_p=7)))
    body = {"model": REFERENCE_MODEL, "messages": [{"role": "user", "content": "x"}], "top_p": 7}
    assert post(service.url + "/v1/chat/completions", body).error["message"] == raised.value.details()


def test_a_deadline_that_passes_ends_the_stream_and_bills_what_was_made() -> None:
    with Service(engine="simulated", simulated_rate=20) as service, grpc.insecure_channel(service.target) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        request = chat_service_pb2.StreamChatRequest(chat=chat_request(max_tokens=1000, ignore_eos=True))
        delivered: list[Any] = []
        for seconds in (1.5, 6.0, 24.0):  # until a busy machine has begun in time
            name = f"out-of-{seconds}"
            with pytest.raises(grpc.RpcError) as raised:
                for message in stub.StreamChat(request, timeout=seconds, metadata=(("x-request-id", name),)):
                    delivered += [event for event in message.events if event.HasField("delta")]
            assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if delivered:
                break
        assert 0 < service.usage_record(name)["completion_tokens"] < 20 * seconds + 70


def test_cancelling_a_stream_frees_the_engine_s_only_slot() -> None:
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": 50, "parallel": 1}
    with Service(**settings) as service, grpc.insecure_channel(service.target) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        endless = chat_service_pb2.StreamChatRequest(chat=chat_request(max_tokens=4000, ignore_eos=True))
        stream = stub.StreamChat(endless, metadata=(("x-request-id", "dropped"),))
        next(stream)
        next(stream)
        stream.cancel()
        assert stub.Chat(chat_request(max_tokens=2)).usage.completion_tokens == 2
        assert service.usage_record("dropped")["outcome"] == "cancelled"


def test_models_describe_what_a_caller_may_send(channel: grpc.Channel) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    model = stub.GetModel(model_service_pb2.GetModelRequest(id=REFERENCE_MODEL)).model
    assert stub.ListModels(model_service_pb2.ListModelsRequest()).models[0] == model
    assert REFERENCE_MODEL in model.aliases
    assert model.price.usd_per_million_completion_tokens == 0.055
    limits = {limit.parameter: limit for limit in model.limits}
    assert (limits["temperature"].minimum, limits["temperature"].maximum) == (0, 2)
    assert "temperature" in model.capabilities.parameters
    assert model.capabilities.tools


def test_counted_tokens_are_those_that_a_chat_is_billed_for(channel: grpc.Channel) -> None:
    request = chat_request(max_tokens=0)
    counted = model_service_pb2_grpc.ModelServiceStub(channel).CountTokens(
        model_service_pb2.CountTokensRequest(model=REFERENCE_MODEL, chat=request, include_tokens=True)
    )
    billed = chat_service_pb2_grpc.ChatServiceStub(channel).Chat(request).usage.prompt_tokens
    assert counted.count == len(counted.tokens) == billed


def test_special_tokens_in_plain_text_are_counted_as_text(channel: grpc.Channel) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    counted = stub.CountTokens(model_service_pb2.CountTokensRequest(model=REFERENCE_MODEL, text="<|eot_id|>"))
    assert counted.count > 1


def test_health_is_served_and_rpcs_beyond_the_allow_list_are_unimplemented(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", "chasqui.v1.ChatService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    relay: Any = channel.unary_unary("/chasqui.v1.RelayService/Relay")
    with pytest.raises(grpc.RpcError) as raised:
        relay(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_frequent_pings_during_a_silent_call_are_tolerated() -> None:
    options = [
        ("grpc.keepalive_time_ms", 200),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    with Service(engine="simulated", simulated_rate=1) as service:
        with grpc.insecure_channel(service.target, options) as channel:
            stub = chat_service_pb2_grpc.ChatServiceStub(channel)
            began = time.monotonic()
            assert stub.Chat(chat_request(max_tokens=3, ignore_eos=True)).usage.completion_tokens == 3
            assert time.monotonic() - began > 2, "the call was too short to prove anything"
