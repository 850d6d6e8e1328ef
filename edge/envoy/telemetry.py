"""Envoy's tracing and statistics, as pieces of its configuration; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from services.settings import SettingsError
from services.telemetry import otlp

if TYPE_CHECKING:
    from collections.abc import Mapping

OTLP_CLUSTER: Final = "otlp"
ADMIN_CLUSTER: Final = "admin"
_TYPES: Final = "type.googleapis.com/envoy"
_MILLION: Final = 1_000_000
_PARENT_BASED: Final = "parentbased_"
_DEFAULT_PORTS: Final = {"http": 4317, "https": 443}
# By default Envoy exports five spans at a time, which costs it and the collector more than the spans, and fewer than
# that only after 5 s. The number is well below the 1,024 spans that it keeps at most.
_RUNTIME: Final = {"tracing.opentelemetry.min_flush_spans": 256, "tracing.opentelemetry.flush_interval_ms": 250}


@dataclass(frozen=True, slots=True)
class Collector:
    """Where Envoy exports its spans, and which."""

    host: str
    port: int
    tls: bool
    headers: Mapping[str, str]
    sampler: str  # a value of OTEL_TRACES_SAMPLER
    ratio: float  # for the samplers that take one

    @property
    def address(self) -> str:
        """As HOST:PORT."""
        return f"{self.host}:{self.port}"


def collector(environ: Mapping[str, str], *, trusts_callers: bool) -> Collector | None:
    """The collector that OpenTelemetry's variables name; None if spans are not exported.

    Unless callers are trusted, their `traceparent` does not decide what is sampled: Envoy decides, and the processes
    behind it follow. SettingsError for an invalid value.
    """
    if not otlp.exported("TRACES", environ):
        return None
    given = otlp.endpoint("TRACES", environ)
    # As the exporters of the other processes read it: without a scheme it is HOST:PORT.
    url = urlsplit(given if "//" in given or given.startswith("unix:") else f"http://{given}")
    try:
        port = url.port or _DEFAULT_PORTS[url.scheme]
        ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG") or 1.0)
    except (KeyError, ValueError) as error:
        raise SettingsError(f"One of OpenTelemetry's variables is wrong: {error}.") from error
    sampler = environ.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    if sampler.removeprefix(_PARENT_BASED) not in ("always_on", "always_off", "traceidratio"):
        raise SettingsError(f"OTEL_TRACES_SAMPLER is {sampler!r}, which is none of OpenTelemetry's samplers.")
    if not url.hostname or not 0 <= ratio <= 1:
        raise SettingsError(f"The OTLP endpoint is {given!r} and the sampling ratio {ratio}; one of them is invalid.")
    if not trusts_callers:
        sampler = sampler.removeprefix(_PARENT_BASED)
    return Collector(url.hostname, port, url.scheme == "https", otlp.headers("TRACES", environ), sampler, ratio)


def tracing(target: Collector) -> dict[str, Any]:
    """The `tracing` of an HttpConnectionManager."""
    service: dict[str, Any] = {"envoy_grpc": {"cluster_name": OTLP_CLUSTER, "authority": target.address}}
    headers = [{"key": name, "value": value} for name, value in target.headers.items()]
    return {
        "spawn_upstream_span": False,
        "operation": "%REQ(:METHOD)%",  # the span name of HTTP's conventions where there is no route
        # Without the query, which may hold what should not be recorded.
        "custom_tags": [{"tag": "http.url", "value": "%REQ(:SCHEME)%://%REQ(:AUTHORITY)%%PATH(NQ)%"}],
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": f"{_TYPES}.config.trace.v3.OpenTelemetryConfig",
                "grpc_service": {"timeout": "10s", "initial_metadata": headers, **service},
                "service_name": "chasqui-envoy",
                "resource_detectors": [
                    _extension("resource_detectors", "environment", "EnvironmentResourceDetectorConfig")
                ],
                "sampler": _sampler(target),
            },
        },
    }


def runtime() -> dict[str, Any]:
    """The `layered_runtime` of an Envoy that exports spans."""
    return {"layers": [{"name": "tracing", "static_layer": _RUNTIME}]}


def otlp_cluster(target: Collector, discovery: Mapping[str, Any], endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The cluster of the collector."""
    http2 = {
        "@type": f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    tls = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TYPES}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": target.host,
            "common_tls_context": {
                "validation_context": {"trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"}}
            },
        },
    }
    return {
        "name": OTLP_CLUSTER,
        "connect_timeout": "5s",
        **discovery,
        **({"transport_socket": tls} if target.tls else {}),
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {"cluster_name": OTLP_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def metrics_listener(address: Mapping[str, Any]) -> dict[str, Any]:
    """A listener that serves Envoy's statistics in Prometheus' format, and nothing else of its admin interface."""
    route = {
        "match": {"path": "/metrics"},
        "route": {"cluster": ADMIN_CLUSTER, "prefix_rewrite": "/stats/prometheus"},
    }
    manager = {
        "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "metrics",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {"virtual_hosts": [{"name": "metrics", "domains": ["*"], "routes": [route]}]},
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": "metrics", "address": address, "filter_chains": [{"filters": filters}]}


def admin_cluster(admin_socket: str) -> dict[str, Any]:
    """The cluster of Envoy's own admin interface."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": admin_socket}}}}
    return {
        "name": ADMIN_CLUSTER,
        "type": "STATIC",
        "load_assignment": {"cluster_name": ADMIN_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _sampler(target: Collector) -> dict[str, Any]:
    kind = target.sampler.removeprefix(_PARENT_BASED)
    if kind == "always_on":
        root = _extension("samplers", "always_on", "AlwaysOnSamplerConfig")
    else:
        share = target.ratio if kind == "traceidratio" else 0.0
        percentage = {"numerator": round(share * _MILLION), "denominator": "MILLION"}
        root = _extension(
            "samplers", "trace_id_ratio_based", "TraceIdRatioBasedSamplerConfig", sampling_percentage=percentage
        )
    if not target.sampler.startswith(_PARENT_BASED):
        return root
    return _extension("samplers", "parent_based", "ParentBasedSamplerConfig", wrapped_sampler=root)


def _extension(family: str, name: str, message: str, **fields: Any) -> dict[str, Any]:
    kind = f"{_TYPES}.extensions.tracers.opentelemetry.{family}.v3.{message}"
    typed = {"@type": kind, **fields}
    return {"name": f"envoy.tracers.opentelemetry.{family}.{name}", "typed_config": typed}
