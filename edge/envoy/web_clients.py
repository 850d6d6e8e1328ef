"""Callers who speak gRPC-Web or Connect, as browsers do: which requests are theirs, and their routes; pure.

Envoy's filters turn these calls into gRPC and the answers back. They do so after the route is chosen, by the request as
it came; so its content type decides.
"""

from __future__ import annotations

from typing import Any, Final


def _content_type(pattern: str) -> dict[str, Any]:
    return {"name": "content-type", "string_match": {"safe_regex": {"regex": pattern}}}


# By this header a unary Connect call differs from other requests of its content type, here as in Envoy's filter.
_UNARY: Final = {"name": "connect-protocol-version", "present_match": True}
# By which headers a call is one of these: gRPC-Web and Connect's streamed calls; Connect's unary ones. All are binary.
CALLS: Final = (
    [_content_type(r"application/(grpc-web(-text)?(\+proto)?|connect\+proto)")],
    [_content_type(r"application/proto"), _UNARY],
)
# The filters are passed by every chunk of a call that has them, so that only these calls do.
_FILTER: Final = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}
FILTERS: Final = {
    "typed_per_filter_config": {
        "envoy.filters.http.grpc_web": _FILTER,
        "envoy.filters.http.connect_grpc_bridge": _FILTER,
    }
}
_SERVICES: Final = ("/chasqui.v1.ChatService/", "/chasqui.v1.ModelService/")
# As of the other RPCs: the caller's own deadline is honoured by the chat server.
_ENDLESS: Final = {"timeout": "0s", "idle_timeout": "0s", "max_stream_duration": {"max_stream_duration": "0s"}}


def routes() -> list[dict[str, Any]]:
    """The routes of these calls: what is served, and what there is not."""
    served = [
        {"match": {"prefix": service, "headers": headers}, "route": {"cluster": "chat_server", **_ENDLESS}, **FILTERS}
        for service in _SERVICES
        for headers in CALLS
    ]
    others = [
        {"match": {"prefix": "/", "headers": headers}, "direct_response": {"status": 404}, **FILTERS}
        for headers in CALLS
    ]
    return [*served, *others]
