"""What Envoy itself answers: the API's envelope on REST routes, a status and the same words on gRPC routes; pure."""

from __future__ import annotations

from typing import Any, Final

from edge.anthropic.envelope import envelope as anthropic_envelope
from edge.anthropic.paths import PATTERN as ANTHROPIC_PATHS
from edge.anthropic.request_id import HEADER as ANTHROPIC_REQUEST_ID
from edge.api.errors import Envelope, Failure
from edge.openai.envelope import envelope as openai_envelope
from services.errors import Code

# By HTTP status, of which the first row that fits is taken (EQ or GE, as Envoy writes them): gRPC status, code, text.
# The words are ours: Envoy's name upstreams and resets, which a caller cannot know.
# Its own gRPC status would be UNAVAILABLE for 502 to 504; clients retry that, and would pay twice.
_LOCAL_REPLIES: Final = (
    ("EQ", 401, Code.UNAUTHENTICATED, "certificate_required", "gRPC callers need a client certificate."),
    ("EQ", 404, Code.UNIMPLEMENTED, "not_found", "There is nothing here."),
    ("EQ", 408, Code.DEADLINE_EXCEEDED, "request_timeout", "The request did not arrive in time."),
    ("EQ", 413, Code.RESOURCE_EXHAUSTED, "request_too_large", "The request is too large."),
    ("EQ", 431, Code.RESOURCE_EXHAUSTED, "headers_too_large", "The headers are too large or too many."),
    ("EQ", 501, Code.UNIMPLEMENTED, "not_implemented", "This way to send a request is not supported."),
    ("EQ", 502, Code.INTERNAL, "upstream_failed", "The service broke off; the call may have been running."),
    ("EQ", 503, Code.UNAVAILABLE, "unavailable", "The service is not available; try again later."),
    ("EQ", 504, Code.DEADLINE_EXCEEDED, "timeout", "The service did not answer in time."),
    ("GE", 500, Code.INTERNAL, "internal", "The proxy failed."),
    ("GE", 400, Code.INVALID_ARGUMENT, "bad_request", "The request is not valid HTTP."),
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
_ANTHROPIC: Final = {
    "header_filter": {"header": {"name": ":path", "string_match": {"safe_regex": {"regex": ANTHROPIC_PATHS}}}}
}
_ANTHROPIC_HEADERS: Final = {ANTHROPIC_REQUEST_ID: "%REQ(X-REQUEST-ID)%"}
# What a REST route is recognised by, its envelope, and headers; the first that fits is taken.
_REST: Final[tuple[tuple[list[dict[str, Any]], Envelope, dict[str, str]], ...]] = (
    ([_ANTHROPIC, _NOT_GRPC], anthropic_envelope, _ANTHROPIC_HEADERS),
    ([_NOT_GRPC], openai_envelope, {}),
)
_RETRY_AFTER: Final = {"retry-after": "1"}
# Read by OpenAI's clients, which otherwise retry every 5xx by themselves.
_NO_RETRY: Final = {"x-should-retry": "false"}


def local_replies() -> list[dict[str, Any]]:
    """Envoy's `ResponseMapper`s, in the order in which they are tried."""
    mappers = []
    for op, status, grpc_code, code, message in _LOCAL_REPLIES:
        value = {"default_value": status, "runtime_key": f"local_reply.{op}.{status}"}
        is_status = {"status_code_filter": {"comparison": {"op": op, "value": value}}}
        for is_route, envelope, own in _REST:
            body = envelope(Failure(status, message, None, code)).decode()
            json_body = {"text_format_source": {"inline_string": body}, "content_type": "application/json"}
            if status == 503:
                # It may have begun, and a client that repeats it by itself would pay twice.
                mappers.append(_mapper([is_status, _BROKEN_OFF, *is_route], json_body, own | _RETRY_AFTER | _NO_RETRY))
                mappers.append(_mapper([is_status, *is_route], json_body, own | _RETRY_AFTER))
            else:
                mappers.append(_mapper([is_status, *is_route], json_body, own | (_NO_RETRY if status >= 500 else {})))
        text = {"text_format_source": {"inline_string": message}}  # becomes grpc-message
        mappers.append(_mapper([is_status], text, {"grpc-status": str(grpc_code.value)}))
    return mappers


def _mapper(filters: list[dict[str, Any]], body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    added = [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in headers.items()
    ]
    both = {"and_filter": {"filters": filters}} if len(filters) > 1 else filters[0]
    return {"filter": both, "body_format_override": body, "headers_to_add": added}
