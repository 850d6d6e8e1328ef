"""Fills in `envoy.yaml`; pure but for reading that file."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

_TEMPLATE: Final = Path(__file__).with_name("envoy.yaml")
_PORT = re.compile(r"[0-9]{1,5}")

# Status -> what Envoy's own reply says: type, code and message of OpenAI's envelope. The words are ours: Envoy's speak
# of upstreams and resets, which are none of a caller's business.
_LOCAL_REPLIES: Final = {
    400: ("invalid_request_error", "bad_request", "The request is not valid HTTP."),
    404: ("invalid_request_error", "not_found", "There is nothing here."),
    408: ("invalid_request_error", "request_timeout", "The request did not arrive in time."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    426: ("invalid_request_error", "upgrade_required", "This version of HTTP is not supported."),
    431: ("invalid_request_error", "headers_too_large", "The request's headers are too large or too many."),
    500: ("server_error", "internal", "The proxy failed."),
    502: ("server_error", "upstream_failed", "The service broke off; nothing is known of the answer."),
    503: ("server_error", "unavailable", "The service is not available; try again later."),
    504: ("server_error", "timeout", "The service did not answer in time."),
}


@dataclass(frozen=True, slots=True)
class EnvoyConfig:
    """Where Envoy listens, and what stands behind it. Addresses are `unix:PATH` or `HOST:PORT`."""

    host: str  # an IP address
    port: int
    server_address: str
    edge_addresses: tuple[str, ...]
    admin_socket: Path
    access_log: Path = Path("/dev/stdout")


def render(config: EnvoyConfig) -> str:
    """Envoy's bootstrap as YAML; ValueError for an address that is neither form."""
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        host=json.dumps(config.host),
        port=config.port,
        admin_socket=json.dumps(str(config.admin_socket)),
        access_log=json.dumps(str(config.access_log)),
        local_replies=json.dumps([_local_reply(status) for status in _LOCAL_REPLIES]),
        server_discovery=_discovery((config.server_address,)),
        server_endpoints=json.dumps([_endpoint(config.server_address)]),
        edge_discovery=_discovery(config.edge_addresses),
        edge_endpoints=json.dumps([_endpoint(address) for address in config.edge_addresses]),
    )


def _local_reply(status: int) -> dict[str, Any]:
    """The mapper of one status, for requests that are not gRPC."""
    kind, code, message = _LOCAL_REPLIES[status]
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})
    same_status = {"comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": f"reply.{status}"}}}
    grpc = {"name": "content-type", "string_match": {"prefix": "application/grpc"}, "invert_match": True}
    # Without the header a match counts as missing, and inverted as met.
    grpc["treat_missing_header_as_empty"] = True
    mapper: dict[str, Any] = {
        "filter": {
            "and_filter": {"filters": [{"status_code_filter": same_status}, {"header_filter": {"header": grpc}}]}
        },
        "body_format_override": {
            "text_format_source": {"inline_string": body},
            "content_type": "application/json",
        },
    }
    if status == 503:
        mapper["headers_to_add"] = [{"header": {"key": "retry-after", "value": "1"}}]
    return mapper


def _discovery(addresses: tuple[str, ...]) -> str:
    """Host names are looked up again and again; sockets and IP addresses never change."""
    hosts = [address.rpartition(":")[0] for address in addresses if not address.startswith("unix:")]
    return "STRICT_DNS" if any(not _is_ip(host) for host in hosts) else "STATIC"


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
