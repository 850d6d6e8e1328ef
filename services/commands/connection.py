"""A connection to a service, as programs have one: a channel, the stubs, and the caller's key."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import grpc

from chasqui.v1 import chat_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc
from services.commands.call_failed import CallFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

_PORTS: Final = {"http": 80, "https": 443}


class Connection:
    """The stubs of a channel, with the metadata of every call."""

    def __init__(self, channel: grpc.Channel, target: str, key: str) -> None:
        self.chat = chat_service_pb2_grpc.ChatServiceStub(channel)
        self.metadata = (("authorization", f"Bearer {key}"),) if key else ()
        self._models = model_service_pb2_grpc.ModelServiceStub(channel)
        self._target = target

    def served_model(self) -> str:
        """The id of the first served model; CallFailed if the service does not say."""
        with self.failures():
            answer = self._models.ListModels(model_service_pb2.ListModelsRequest(), metadata=self.metadata)
        return answer.models[0].id

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn the status of a failed call into CallFailed."""
        try:
            yield
        except grpc.RpcError as error:
            call = cast("grpc.Call", error)  # the error of a call is one, too, which its class does not say
            if call.code() is grpc.StatusCode.UNAVAILABLE and not call.trailing_metadata():  # not from a server
                raise CallFailed(f"Nobody answers at {self._target}; `chasqui up` starts a service.") from None
            raise CallFailed(call.details() or "The call failed.") from None


@contextmanager
def connected(url: str, key: str) -> Iterator[Connection]:
    """A connection to `url`, which is closed at the end; CallFailed if that is no address."""
    parts = urlsplit(url if "//" in url else f"http://{url}")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise CallFailed(f"{url} is no address of a service, as http://127.0.0.1:8080 is one.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    target = f"{host}:{parts.port or _PORTS[parts.scheme]}"
    secure = parts.scheme == "https"
    channel = grpc.secure_channel(target, grpc.ssl_channel_credentials()) if secure else grpc.insecure_channel(target)
    with channel:
        yield Connection(channel, target, key)
