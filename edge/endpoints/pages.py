"""The web pages: `GET /`, a playground; `GET /docs`, the API; and `GET /web/{name}`, what both load."""

from __future__ import annotations

import html
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.settings import SettingsError

if TYPE_CHECKING:
    from starlette.requests import Request

_FOLDER: Final = Path(__file__).parent / "web"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Scripts and styles are files of this service, never text inside a page; with Trusted Types the browser refuses to make
# markup out of a text. What a model writes can therefore not run, and nothing is loaded from elsewhere.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Kept by the browser, and asked for again with its etag: a new release shows at once.
    "cache-control": "no-cache",
}
# In index.html; the page replaces {trace_id}.
_TRACE_URL: Final = '<meta name="trace-url" content="">'


class Pages:
    """All three endpoints; the files are read once, at start."""

    def __init__(self, trace_url: str) -> None:
        """`trace_url` is the address of a trace, with `{trace_id}`; empty: there are no links to traces.

        SettingsError if it is of another form.
        """
        if trace_url and not (trace_url.startswith(("http://", "https://")) and "{trace_id}" in trace_url):
            raise SettingsError(
                f"CHASQUI_TRACE_URL is {trace_url!r}, but must be a http or https address that holds {{trace_id}}."
            )
        self._files = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _TYPES}
        given = f'<meta name="trace-url" content="{html.escape(trace_url)}">'
        self._files["index.html"] = self._files["index.html"].replace(_TRACE_URL.encode(), given.encode())
        self._etags = {name: f'"{sha256(body).hexdigest()[:16]}"' for name, body in self._files.items()}

    async def playground(self, request: Request) -> Response:
        """The page to try the model."""
        return self._file("index.html", request)

    async def api(self, request: Request) -> Response:
        """The page that shows the OpenAPI document and sends requests."""
        return self._file("docs.html", request)

    async def file(self, request: Request) -> Response:
        """A script, style or picture; HTTPException 404 if there is none of that name."""
        return self._file(request.path_params["name"], request)

    def _file(self, name: str, request: Request) -> Response:
        if name not in self._files:
            raise HTTPException(404)
        headers = {**_HEADERS, "etag": self._etags[name]}
        if request.headers.get("if-none-match") == self._etags[name]:
            return Response(None, 304, headers)
        return Response(self._files[name], 200, headers, _TYPES[Path(name).suffix])
