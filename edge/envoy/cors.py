"""Which web pages may call the service from a browser, as Envoy's CORS policy; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILTER: Final = "envoy.filters.http.cors"
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#,\s]+")
# `*` stands for every name but `authorization`, which has to be named: OpenAI's client sends some ten of its own.
_REQUEST_HEADERS: Final = "authorization, content-type, *"
_RATE_LIMITS: Final = [
    f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")
]
_RESPONSE_HEADERS: Final = ", ".join(
    (
        *(
            "x-request-id",
            "request-id",
            "retry-after",
            "x-should-retry",
            "server-timing",
            "x-ignored-parameters",
            *_RATE_LIMITS,
        ),
        # Of a refusal over gRPC-Web, and of what comes last over Connect.
        *("grpc-status", "grpc-message", "grpc-status-details-bin", "trailer-server-timing"),
    )
)


def cors(origins: Sequence[str]) -> dict[str, Any]:
    """The configuration of a virtual host by filter; without origins the filter does nothing.

    ValueError for one that is neither SCHEME://HOST[:PORT] nor `*`, all origins.
    """
    wrong = [origin for origin in origins if origin != "*" and not _ORIGIN.fullmatch(origin.lower())]
    if wrong:
        raise ValueError(f"CHASQUI_CORS_ORIGINS has {wrong[0]!r}, but must be origins, as https://example.com, or *.")
    if not origins:
        return {}
    matches = [{"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin} for origin in origins]
    policy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": matches,
        "allow_methods": "GET, POST, DELETE",
        "allow_headers": _REQUEST_HEADERS,
        "expose_headers": _RESPONSE_HEADERS,
        "max_age": "3600",
    }
    return {_FILTER: policy}
