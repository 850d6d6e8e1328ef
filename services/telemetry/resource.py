"""Which process telemetry comes from."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.semconv._incubating.attributes import service_attributes

import services

if TYPE_CHECKING:
    from services.settings import Settings


def resource_of(part: str, settings: Settings) -> Resource:
    """A process that plays `part`: "server" or "edge". `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` win.

    The instance tells apart what must not be added up twice: replicas, and the workers of an edge.
    """
    address = settings.edge_address if part == "edge" else settings.server_address
    ours = {
        service_attributes.SERVICE_NAME: f"chasqui-{part}",
        service_attributes.SERVICE_NAMESPACE: "chasqui",
        service_attributes.SERVICE_VERSION: services.__version__,
        service_attributes.SERVICE_INSTANCE_ID: f"{socket.gethostname()}:{address or os.getpid()}",
    }
    return Resource.create(ours).merge(OTELResourceDetector().detect())
