"""The OpenTelemetry resource: which process the telemetry comes from."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.semconv._incubating.attributes import service_attributes

import services

if TYPE_CHECKING:
    from services.settings import Settings


def resource_of(process: str, settings: Settings) -> Resource:
    """The resource of `process`, "server" or "edge". `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` override it.

    The instance id is unique per replica and per edge worker, whose metrics must not be merged.
    """
    address = settings.edge_address if process == "edge" else settings.server_address
    ours = {
        service_attributes.SERVICE_NAME: f"chasqui-{process}",
        service_attributes.SERVICE_NAMESPACE: "chasqui",
        service_attributes.SERVICE_VERSION: services.__version__,
        service_attributes.SERVICE_INSTANCE_ID: f"{socket.gethostname()}:{address or os.getpid()}",
    }
    return Resource.create(ours).merge(OTELResourceDetector().detect())
