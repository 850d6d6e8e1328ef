"""Sends calls with one `x-session-id` to one replica: pieces of Envoy's configuration, pure but for reading a file."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final

from edge.envoy import web_clients

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Final = "x-session-id"
_CLUSTERS: Final = Path(__file__).with_name("session_clusters.yaml")
_PRESENT: Final = [{"name": HEADER, "present_match": True}]
_HASHED: Final = [{"header": {"header_name": HEADER}}]


def rpc_routes() -> list[dict[str, Any]]:
    """The routes of chat calls that belong to a session, over gRPC and from web clients."""
    endless = {"timeout": "0s", "idle_timeout": "0s", "max_stream_duration": {"max_stream_duration": "0s"}}
    route = {"cluster": "chat_server_sessions", "hash_policy": _HASHED, **endless}
    prefix = "/chasqui.v1.ChatService/"
    web = [
        {"match": {"prefix": prefix, "headers": [*_PRESENT, *headers]}, "route": route, **web_clients.FILTERS}
        for headers in web_clients.CALLS
    ]
    return [{"match": {"prefix": prefix, "grpc": {}, "headers": _PRESENT}, "route": route}, *web]


def rest_route() -> dict[str, Any]:
    """The route of REST requests that belong to a session; it comes after those of gRPC."""
    match = {"prefix": "/", "headers": _PRESENT}
    rewrite = {"pattern": {"regex": "^(/.+?)/+$"}, "substitution": "\\1"}  # as of the other REST requests
    route = {"cluster": "edge_sessions", "hash_policy": _HASHED, "timeout": "0s", "regex_rewrite": rewrite}
    return {"match": match, "route": route}


def clusters(places: Mapping[str, str]) -> str:
    """The replicas as they are for sessions; `places` are envoy.yaml's values for discovery and endpoints."""
    return Template(_CLUSTERS.read_text(encoding="utf-8")).substitute(places)
