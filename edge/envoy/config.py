"""Fills in `envoy.yaml`; pure but for reading that file."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final

from edge.envoy import sessions, web_clients
from edge.envoy.cors import cors
from edge.envoy.local_replies import local_replies
from edge.envoy.telemetry import admin_cluster, metrics_listener, otlp_cluster, runtime, tracing
from edge.envoy.tls import refusals, transport_socket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.envoy.telemetry import Collector
    from edge.envoy.tls import Tls

_TEMPLATE: Final = Path(__file__).with_name("envoy.yaml")
_PORT = re.compile(r"[0-9]{1,5}")

# Host names are resolved every second: one that appears later, or changes, is found.
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
    """Where Envoy listens, and the processes behind it, of one replica or several.

    Addresses are `unix:PATH` or `HOST:PORT`.
    """

    host: str  # an IP address
    port: int
    server_addresses: tuple[str, ...]
    edge_addresses: tuple[str, ...]
    admin_socket: Path
    metrics_address: str = ""  # of the Prometheus endpoint; empty: none
    collector: Collector | None = None  # of traces
    tls: Tls | None = None  # on the public port
    cors_origins: tuple[str, ...] = ()  # of web pages that may call the service


def render(config: EnvoyConfig) -> str:
    """Envoy's bootstrap as YAML; ValueError for an address or an origin of another form."""
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
        local_replies=json.dumps(local_replies()),
        cors=json.dumps(cors(config.cors_origins)),
        tracing="" if config.collector is None else f"tracing: {json.dumps(tracing(config.collector))}",
        runtime="" if config.collector is None else f"layered_runtime: {json.dumps(runtime())}",
        transport_socket=_fields(transport_socket(config.tls)) if config.tls else "",
        web_client_routes=_routes(web_clients.routes()),
        refused_routes=_routes(refusals()) if config.tls and config.tls.client_ca else "",
        session_rpc_routes=_routes(sessions.rpc_routes()) if several else "",
        session_rest_routes=_routes([sessions.rest_route()]) if several else "",
        session_clusters=sessions.clusters(places).strip() if several else "",
        more_listeners=_items(listeners),
        more_clusters=_items(clusters),
    )


def _telemetry(config: EnvoyConfig) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The listeners and clusters of traces and statistics."""
    listeners, clusters = [], []
    if config.metrics_address:
        listeners.append(metrics_listener(_endpoint(config.metrics_address)["endpoint"]["address"]))
        clusters.append(admin_cluster(str(config.admin_socket)))
    if config.collector is not None:
        address = config.collector.address
        clusters.append(otlp_cluster(config.collector, _discovery((address,)), _endpoint(address)))
    return listeners, clusters


def _items(items: Sequence[dict[str, Any]]) -> str:
    """More items for a list of the file that is indented by four."""
    return "\n    ".join(f"- {json.dumps(item)}" for item in items)


def _routes(routes: Sequence[dict[str, Any]]) -> str:
    """More items for the list of routes, which is indented by 24."""
    return ("\n" + 24 * " ").join(f"- {json.dumps(route)}" for route in routes)


def _fields(fields: dict[str, Any]) -> str:
    """Fields of a mapping; if there are several they belong to a filter chain, whose fields are indented by ten."""
    return "\n          ".join(f"{name}: {json.dumps(value)}" for name, value in fields.items())


def _discovery(addresses: tuple[str, ...]) -> dict[str, Any]:
    """The field of a cluster that says how its addresses are found."""
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
