"""Builds the edge's ASGI application: routes, middleware and exception handlers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from edge.anthropic import paths as anthropic
from edge.anthropic.asked import asked_messages
from edge.anthropic.envelope import envelope as anthropic_envelope
from edge.anthropic.request_id import RequestId
from edge.api.errors import exception_handlers
from edge.endpoints.batches import Batches
from edge.endpoints.chat import Generation
from edge.endpoints.count_tokens import CountTokens
from edge.endpoints.documentation import Documentation
from edge.endpoints.files import Files, StorageAccess
from edge.endpoints.gate import Gate
from edge.endpoints.models import Models
from edge.endpoints.responses import Responding, StoredResponses
from edge.endpoints.scoped_jwt import ScopedJwts
from edge.endpoints.tokens import Tokens
from edge.endpoints.typed_api import refuse_form
from edge.endpoints.usage import Usage
from edge.http.exchange import current_exchange
from edge.http.observer import Observer
from edge.openai.asked import asked_chat, asked_completion
from edge.openai.envelope import envelope as openai_envelope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from edge.api.asked import Asked
    from edge.api.errors import Envelope
    from edge.endpoints.health import Health
    from edge.endpoints.pages import Pages
    from edge.http.call_options import CallOptions
    from edge.http.event_stream import KeepAlive
    from edge.upstream.client import Upstream
    from services.batches.api import Storage
    from services.responses.api import Responses
    from services.telemetry.spans import Spans

# OpenAI's prefix, and the reference service's.
_PREFIXES = ("/v1", "/v1/openai")
_ALL_PREFIXES = (*_PREFIXES, *(prefix for prefix in anthropic.PREFIXES if prefix not in _PREFIXES))
# Of keys' permissions: endpoints that go by the name of another.
_ENDPOINTS = {
    "messages/count_tokens": "messages",
    **{f"responses/{{id}}{action}": "responses" for action in ("", "/input_items", "/cancel")},
}


def build_app(
    upstream: Upstream,
    health: Health,
    keep_alive: KeepAlive,
    spans: Spans,
    pages: Pages | None = None,
    storage: Storage | None = None,
    responses: Responses | None = None,
) -> Starlette:
    """The ASGI application of an edge worker.

    Without `pages` there are none, without `storage` no files and batches, without `responses` none is stored.
    """
    gate = Gate(upstream)
    models, usage = Models(upstream), Usage(upstream)
    access = StorageAccess(upstream, storage)
    files, batches = Files(access), Batches(access)
    stored = StoredResponses(upstream, responses)
    scoped_jwts = ScopedJwts(gate, upstream)
    # Matched one after the other: generation comes first.
    routes = _generation(gate, upstream, responses, keep_alive)
    routes += _count_routes(Tokens(gate, upstream), CountTokens(gate, upstream))
    for prefix in _ALL_PREFIXES:
        routes += [_Route(f"{prefix}/models", models.list), _Route(f"{prefix}/models/{{id:path}}", models.get)]
    for prefix in _PREFIXES:
        routes += [_Route(f"{prefix}/usage", usage.list), *_storage_routes(prefix, files, batches)]
        routes += _response_routes(prefix, stored)
    routes += [
        _Route("/v1/scoped-jwt", scoped_jwts.create, methods=["POST"]),
        _Route("/v1/scoped-jwt", scoped_jwts.get),
        *_health_routes(health),
        *_documentation_routes(Documentation()),
    ]
    if pages is not None:
        routes += _page_routes(pages, health)
    counted = [(method, route.path_format) for route in routes for method in _methods(route)]
    observer = Middleware(Observer, spans, counted)
    middleware = [observer, Middleware(RequestId)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers=exception_handlers(_envelope_at))


def _generation(gate: Gate, upstream: Upstream, responses: Responses | None, keep_alive: KeepAlive) -> list[Route]:
    def reads(translate: Callable[[bytes], Asked]) -> Callable[[Request, CallOptions], Awaitable[Asked]]:
        return partial(gate.decoded, decode=translate)

    # Where each API that generates is, and what reads its requests: another API is another line.
    apis = (
        (_PREFIXES, "chat/completions", reads(asked_chat)),
        (_PREFIXES, "completions", reads(asked_completion)),
        (_PREFIXES, "responses", Responding(gate, upstream, responses).asked),
        (anthropic.PREFIXES, "messages", reads(asked_messages)),
    )
    routes: list[Route] = []
    for prefixes, path, read in apis:
        endpoint = Generation(read, upstream, keep_alive)
        routes += [_Route(f"{prefix}/{path}", endpoint, methods=["POST"]) for prefix in prefixes]
    return routes


def _response_routes(prefix: str, stored: StoredResponses) -> list[Route]:
    return [
        _Route(f"{prefix}/responses/{{id}}", stored.get),
        _Route(f"{prefix}/responses/{{id}}", stored.delete, methods=["DELETE"]),
        _Route(f"{prefix}/responses/{{id}}", stored.missing, methods=["POST"]),
        _Route(f"{prefix}/responses/{{id}}/input_items", stored.input_items),
        _Route(f"{prefix}/responses/{{id}}/cancel", stored.cancel, methods=["POST"]),
    ]


def _count_routes(tokens: Tokens, count_tokens: CountTokens) -> list[Route]:
    return [
        *(
            _Route(f"{prefix}/messages/count_tokens", count_tokens.count, methods=["POST"])
            for prefix in anthropic.PREFIXES
        ),
        _Route("/tokenize", tokens.tokenize, methods=["POST"]),
        _Route("/detokenize", tokens.detokenize, methods=["POST"]),
    ]


def _storage_routes(prefix: str, files: Files, batches: Batches) -> list[Route]:
    return [
        _Route(f"{prefix}/files", files.upload, methods=["POST"]),
        _Route(f"{prefix}/files", files.list),
        _Route(f"{prefix}/files/{{id}}", files.get),
        _Route(f"{prefix}/files/{{id}}", files.delete, methods=["DELETE"]),
        _Route(f"{prefix}/files/{{id}}/content", files.content),
        _Route(f"{prefix}/batches", batches.create, methods=["POST"]),
        _Route(f"{prefix}/batches", batches.list),
        _Route(f"{prefix}/batches/{{id}}", batches.get),
        _Route(f"{prefix}/batches/{{id}}/cancel", batches.cancel, methods=["POST"]),
    ]


def _health_routes(health: Health) -> list[Route]:
    return [
        Route("/healthz", health.live),
        Route("/readyz", health.ready),
        Route("/health", health.healthy),
        Route("/ping", health.healthy),
        _Route("/version", health.version),
    ]


def _documentation_routes(documentation: Documentation) -> list[Route]:
    return [
        _Route("/openapi.json", documentation.document),
        _Route("/chasqui.v1.ChatService/{method}", refuse_form, methods=["POST"]),
        _Route("/chasqui.v1.ModelService/{method}", refuse_form, methods=["POST"]),
    ]


def _page_routes(pages: Pages, health: Health) -> list[Route]:
    return [
        # Readiness once more, for the pages: Envoy asks a worker that is not ready for its pages only.
        Route("/web/readyz", health.ready),
        _Route("/", pages.playground),
        _Route("/docs", pages.api),
        _Route("/web/{name}", pages.file),
    ]


def _methods(route: Route) -> set[str]:
    """Those that are counted: starlette adds HEAD to GET, and probes are left out."""
    return (route.methods or set()) - {"HEAD"} if isinstance(route, _Route) else set()


def _endpoint(path: str) -> str:
    """The path without its prefix: by that name a key may be allowed to use it."""
    longest_first = sorted(_ALL_PREFIXES, key=len, reverse=True)
    name = next((path[len(prefix) + 1 :] for prefix in longest_first if path.startswith(f"{prefix}/")), path[1:])
    return _ENDPOINTS.get(name, name)


def _envelope_at(request: Request) -> Envelope:
    """The error envelope of the API that a request is for."""
    is_anthropic = anthropic.is_called(request.scope["path"], request.headers)
    return anthropic_envelope if is_anthropic else openai_envelope


class _Route(Route):
    """Records the matched path pattern, which is the route label of spans and metrics, and the endpoint that it is."""

    def __init__(self, path: str, endpoint: Callable[..., Any], *, methods: list[str] | None = None) -> None:
        super().__init__(path, endpoint, methods=methods)
        self._name = _endpoint(self.path_format)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request whose path matched."""
        exchange = current_exchange.get()
        exchange.route = self.path_format
        exchange.endpoint = self._name
        await super().handle(scope, receive, send)
