"""Where telemetry is exported to, from OpenTelemetry's own variables; pure but for reading the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


def exported(signal: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `signal`, TRACES or METRICS, is exported over OTLP.

    SettingsError for a protocol other than gRPC: ignoring it would lose the telemetry in silence.
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get(f"OTEL_{signal}_EXPORTER") == "none":
        return False
    if not endpoint(signal, environ):
        return False
    protocol = _specific(signal, "PROTOCOL", environ) or "grpc"
    if protocol != "grpc":
        raise SettingsError(f"The OTLP protocol is {protocol!r}, but must be grpc.")
    return True


def endpoint(signal: str, environ: Mapping[str, str] = os.environ) -> str:
    """The collector's address as configured, usually `http://HOST:PORT`; empty if there is none."""
    return _specific(signal, "ENDPOINT", environ)


def headers(signal: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Headers of every export, such as a key; the variable holds `name=value,name=value`."""
    pairs = (pair.partition("=") for pair in _specific(signal, "HEADERS", environ).split(",") if pair)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _specific(signal: str, name: str, environ: Mapping[str, str]) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_{signal}_{name}") or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")
