"""Who may call, on both protocols: the server decides, the edge only passes credentials on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import grpc
import openai
import pytest
from openai import OpenAI

from chasqui.v1 import model_service_pb2, model_service_pb2_grpc
from tests.support.http import get, post
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 2}
SETTINGS: dict[str, Any] = {"engine": "simulated", "simulated_rate": 0, "model_name": "simulated"}


@pytest.fixture(scope="module")
def locked() -> Iterator[Service]:
    with Service(**SETTINGS, api_keys="first-key,second-key") as service:
        yield service


def list_models(service: Service, *metadata: tuple[str, str]) -> grpc.StatusCode:
    with grpc.insecure_channel(service.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        try:
            stub.ListModels(model_service_pb2.ListModelsRequest(), metadata=metadata)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


@pytest.mark.parametrize("key", ["first-key", "second-key"])
def test_a_known_key_is_let_in_over_rest_and_grpc(locked: Service, key: str) -> None:
    with OpenAI(base_url=locked.url + "/v1", api_key=key) as client:
        assert client.chat.completions.create(**BODY).choices  # type: ignore[call-overload]
    assert list_models(locked, ("authorization", f"Bearer {key}")) is grpc.StatusCode.OK


def test_an_unknown_key_is_refused_over_rest_and_grpc(locked: Service) -> None:
    with OpenAI(base_url=locked.url + "/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            client.chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert raised.value.code == "invalid_api_key"
    assert list_models(locked, ("authorization", "Bearer wrong")) is grpc.StatusCode.UNAUTHENTICATED


def test_a_missing_key_is_401_and_says_what_is_wanted(locked: Service) -> None:
    reply = post(locked.url + "/v1/chat/completions", BODY)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert list_models(locked) is grpc.StatusCode.UNAUTHENTICATED


def test_models_need_a_key_and_health_does_not(locked: Service) -> None:
    assert get(locked.url + "/v1/models").status == 401
    assert get(locked.url + "/readyz").status == 200
    assert get(locked.url + "/healthz").status == 200


def test_reflection_needs_a_key(locked: Service) -> None:
    with grpc.insecure_channel(locked.target) as channel:
        reflection: Any = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        call = reflection(iter([b""]))
        with pytest.raises(grpc.RpcError) as raised:
            next(call)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_file_of_hashes_is_read_again_when_it_changes(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(b"old").hexdigest() + "\n")
    with Service(**SETTINGS, api_keys=f"file:{keys}") as service:
        assert list_models(service, ("authorization", "Bearer old")) is grpc.StatusCode.OK
        keys.write_text("# rotated\n" + hashlib.sha256(b"new").hexdigest() + "\n")
        assert list_models(service, ("authorization", "Bearer old")) is grpc.StatusCode.UNAUTHENTICATED
        assert list_models(service, ("authorization", "Bearer new")) is grpc.StatusCode.OK


def test_without_keys_start_up_says_that_everyone_is_let_in(simulated: Service) -> None:
    assert simulated.prints("calls need no key")


def test_no_key_appears_in_the_output(locked: Service) -> None:
    post(locked.url + "/v1/chat/completions", BODY, authorization="Bearer first-key")
    assert "first-key" not in locked.output()
