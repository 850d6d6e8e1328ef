"""Fills in `envoy.yaml`; pure but for reading that file."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final

from edge.envoy import sessions
from edge.envoy.telemetry import admin_cluster, metrics_listener, otlp_cluster, tracing
from edge.envoy.tls import refusal, transport_socket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.envoy.telemetry import Collector
    from edge.envoy.tls import Tls

_TEMPLATE: Final = Path(__file__).with_name("envoy.yaml")
_PORT = re.compile(r"[0-9]{1,5}")

# What Envoy's own replies say, by status: type, code and message of OpenAI's envelope; the first that fits is taken, EQ
# or GE as Envoy writes them. The words are ours: Envoy's speak of upstreams and resets, which are none of a caller's
# business.
_LOCAL_REPLIES: Final = (
    ("EQ", 401, "invalid_request_error", "certificate_required", "gRPC callers need a client certificate."),
    ("EQ", 403, "invalid_request_error", "upgrade_refused", "No other protocol is spoken on this connection."),
    ("EQ", 404, "invalid_request_error", "not_found", "There is nothing here."),
    ("EQ", 408, "invalid_request_error", "request_timeout", "The request did not arrive in time."),
    ("EQ", 413, "invalid_request_error", "request_too_large", "The request is too large."),
    ("EQ", 426, "invalid_request_error", "upgrade_required", "This version of HTTP is not supported."),
    ("EQ", 431, "invalid_request_error", "headers_too_large", "The request's headers are too large or too many."),
    ("EQ", 501, "invalid_request_error", "not_implemented", "This way to send a request is not supported."),
    ("EQ", 502, "server_error", "upstream_failed", "The service broke off; nothing is known of the answer."),
    ("EQ", 503, "server_error", "unavailable", "The service is not available; try again later."),
    ("EQ", 504, "server_error", "timeout", "The service did not answer in time."),
    ("GE", 500, "server_error", "internal", "The proxy failed."),
    ("GE", 400, "invalid_request_error", "bad_request", "The request is not valid HTTP."),
)
# Flags of a call that was sent and then lost: connection closed, stream reset, nonsense received.
_BROKEN_OFF: Final = {"response_flag_filter": {"flags": ["UC", "UR", "UPE"]}}
_NOT_GRPC: Final = {
    "header_filter": {
        "header": {
            "name": "content-type",
            "string_match": {"prefix": "application/grpc"},
            "invert_match": True,
            # Without the header a match counts as missing, and inverted as missing too.
            "treat_missing_header_as_empty": True,
        }
    }
}
_RETRY_AFTER: Final = {"retry-after": "1"}
# Read by OpenAI's clients, which else repeat every 5xx by themselves.
_NO_RETRY: Final = {"x-should-retry": "false"}

# Host names are looked up again and again: one that appears after Envoy, or moves, is found within a second.
_DNS: Final = {
    "name": "envoy.cluster.dns",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
        "dns_lookup_family": "V4_PREFERRED",  # Envoy's default takes IPv6 alone for `localhost` and on mixed networks
        "dns_refresh_rate": "1s",
        "dns_failure_refresh_rate": {"base_interval": "0.25s", "max_interval": "1s"},
    },
}


@dataclass(frozen=True, slots=True)
class EnvoyConfig:
    """Where Envoy listens, and what stands behind it: the parts of one replica or of several.

    Addresses are `unix:PATH` or `HOST:PORT`.
    """

    host: str  # an IP address
    port: int
    server_addresses: tuple[str, ...]
    edge_addresses: tuple[str, ...]
    admin_socket: Path
    metrics_address: str = ""  # where Envoy shows its statistics; empty: nowhere
    collector: Collector | None = None  # of traces
    tls: Tls | None = None  # on the public port


def render(config: EnvoyConfig) -> str:
    """Envoy's bootstrap as YAML; ValueError for an address that is neither form."""
    listeners, clusters = _telemetry(config)
    places = {
        "server_discovery": _fields(_discovery(config.server_addresses)),
        "server_endpoints": json.dumps([_endpoint(address) for address in config.server_addresses]),
        "edge_discovery": _fields(_discovery(config.edge_addresses)),
        "edge_endpoints": json.dumps([_endpoint(address) for address in config.edge_addresses]),
    }
    several = _may_be_several(config.server_addresses)
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        places,
        host=json.dumps(config.host),
        port=config.port,
        admin_socket=json.dumps(str(config.admin_socket)),
        ipv4_compat=json.dumps(ipaddress.ip_address(config.host) == ipaddress.IPv6Address("::")),
        local_replies=json.dumps(_local_replies()),
        tracing="" if config.collector is None else f"tracing: {json.dumps(tracing(config.collector))}",
        transport_socket=_fields(transport_socket(config.tls)) if config.tls else "",
        refused_routes=_items([refusal()]) if config.tls and config.tls.client_ca else "",
        session_rpc_routes=_items([sessions.rpc_route()]) if several else "",
        session_rest_routes=_items([sessions.rest_route()]) if several else "",
        session_clusters=sessions.clusters(places).strip() if several else "",
        more_listeners=_items(listeners),
        more_clusters=_items(clusters),
    )


def _local_replies() -> list[dict[str, Any]]:
    """Envoy's `ResponseMapper`s: for REST routes the envelope, for gRPC the message, which becomes `grpc-message`."""
    mappers = []
    for op, status, kind, code, message in _LOCAL_REPLIES:
        value = {"default_value": status, "runtime_key": f"local_reply.{op}.{status}"}
        is_status = {"status_code_filter": {"comparison": {"op": op, "value": value}}}
        body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})
        json_body = {"text_format_source": {"inline_string": body}, "content_type": "application/json"}
        if status == 503:
            # It may have begun, and a client that repeats it by itself would pay twice.
            mappers.append(_mapper([is_status, _BROKEN_OFF, _NOT_GRPC], json_body, _RETRY_AFTER | _NO_RETRY))
            mappers.append(_mapper([is_status, _NOT_GRPC], json_body, _RETRY_AFTER))
        else:
            mappers.append(_mapper([is_status, _NOT_GRPC], json_body, _NO_RETRY if status >= 500 else {}))
        mappers.append(_mapper([is_status], {"text_format_source": {"inline_string": message}}, {}))
    return mappers


def _mapper(filters: list[dict[str, Any]], body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    added = [{"header": {"key": name, "value": value}} for name, value in headers.items()]
    both = {"and_filter": {"filters": filters}} if len(filters) > 1 else filters[0]
    return {"filter": both, "body_format_override": body, "headers_to_add": added}


def _telemetry(config: EnvoyConfig) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The listeners and clusters that traces and statistics need."""
    listeners, clusters = [], []
    if config.metrics_address:
        listeners.append(metrics_listener(_endpoint(config.metrics_address)["endpoint"]["address"]))
        clusters.append(admin_cluster(str(config.admin_socket)))
    if config.collector is not None:
        address = config.collector.address
        clusters.append(otlp_cluster(config.collector, _discovery((address,)), _endpoint(address)))
    return listeners, clusters


def _items(parts: Sequence[dict[str, Any]]) -> str:
    """More items for a list of the file, which is indented by four."""
    return "\n    ".join(f"- {json.dumps(part)}" for part in parts)


def _fields(fields: dict[str, Any]) -> str:
    """Fields of a mapping; more than one are a filter chain's, whose others are indented by ten."""
    return "\n          ".join(f"{name}: {json.dumps(value)}" for name, value in fields.items())


def _discovery(addresses: tuple[str, ...]) -> dict[str, Any]:
    """A cluster's field that says where its addresses come from."""
    hosts = [address.rpartition(":")[0] for address in addresses if not address.startswith("unix:")]
    return {"cluster_type": _DNS} if any(not _is_ip(host) for host in hosts) else {"type": "STATIC"}


def _may_be_several(addresses: tuple[str, ...]) -> bool:
    """Whether there are several replicas, or a host name that may have the addresses of several."""
    return len(addresses) > 1 or "cluster_type" in _discovery(addresses)


def _endpoint(address: str) -> dict[str, Any]:
    path = address.removeprefix("unix:")
    if path != address and path:
        where: dict[str, Any] = {"pipe": {"path": path}}
    else:
        host, _, port = address.rpartition(":")
        if not host or not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
            raise ValueError(f"{address!r} is no address: it must be unix:PATH or HOST:PORT.")
        where = {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}
    return {"endpoint": {"address": where}}


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
