"""Server reflection in both of its versions: newer clients call only v1, older ones only v1alpha.

grpcio-reflection has v1alpha. Apart from the package's name, v1 is the same: methods, messages, fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from grpc_reflection.v1alpha import reflection, reflection_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

_V1: Final = "grpc.reflection.v1.ServerReflection"


def add_reflection(services: Sequence[str], server: grpc.aio.Server) -> None:
    """Let clients look up `services`, full names, and reflection itself."""
    descriptor_pool.Default().Add(_file_of_v1())
    servicer = reflection.aio.ReflectionServicer([*services, _V1, reflection.SERVICE_NAME])
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods = {"ServerReflectionInfo": method}
    versions = (_V1, reflection.SERVICE_NAME)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, methods) for name in versions])


def _file_of_v1() -> descriptor_pb2.FileDescriptorProto:
    """The description of v1, for clients that look up reflection itself."""
    file = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    text = text_format.MessageToString(file)
    for old, new in (("reflection.v1alpha", "reflection.v1"), ("reflection/v1alpha", "reflection/v1")):
        text = text.replace(old, new)
    return text_format.Parse(text, descriptor_pb2.FileDescriptorProto())
