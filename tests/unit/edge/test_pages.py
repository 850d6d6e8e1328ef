"""The web pages: their files, the policy that keeps foreign scripts out, and the settings that shape them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge.app import build_app
from edge.endpoints import pages
from edge.endpoints.health import Health
from edge.endpoints.pages import Pages
from edge.http.event_stream import KeepAlive
from edge.upstream.client import Upstream
from services.settings import SettingsError
from services.telemetry.spans import untraced
from tests.support.asgi import Answer, Exchange

if TYPE_CHECKING:
    from starlette.applications import Starlette

WEB = Path(pages.__file__).parent / "web"
SERVED = sorted(path.name for path in WEB.iterdir() if path.suffix in {".html", ".css", ".js", ".svg"})
TRACE = 'https://jaeger.example/trace/{trace_id}?"x'


async def get(app: Starlette, target: str, **headers: str) -> Answer:
    return await Exchange(app, "GET", target, headers=headers).answer()


async def app_with(shown: Pages | None) -> Starlette:
    upstream = Upstream("unix:/nowhere", "")
    return build_app(upstream, Health(upstream), KeepAlive(1.0, 60.0), untraced(), shown)


@pytest.mark.parametrize("target", ["/", "/docs", *(f"/web/{name}" for name in SERVED)])
async def test_a_file_comes_with_a_policy_that_lets_no_other_script_run(target: str) -> None:
    answer = await get(await app_with(Pages("")), target)
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_that_the_browser_has_is_not_sent_again() -> None:
    app = await app_with(Pages(""))
    etag = (await get(app, "/web/style.css")).headers["etag"]
    answer = await get(app, "/web/style.css", **{"if-none-match": etag})
    assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.js", "package.json", "..%2Fpages.py", "%2Fetc%2Fpasswd"])
async def test_nothing_else_is_served(name: str) -> None:
    assert (await get(await app_with(Pages("")), f"/web/{name}")).status == 404


@pytest.mark.parametrize("target", ["/", "/docs", "/web/style.css"])
async def test_the_pages_can_be_turned_off(target: str) -> None:
    assert (await get(await app_with(None), target)).status == 404
    assert (await get(await app_with(None), "/openapi.json")).status == 200


async def test_the_address_of_traces_is_in_the_page_as_text() -> None:
    body = (await get(await app_with(Pages(TRACE)), "/")).body
    assert b'content="https://jaeger.example/trace/{trace_id}?&quot;x"' in body


@pytest.mark.parametrize("address", ["https://jaeger.example/trace/", "javascript:alert({trace_id})", "{trace_id}"])
def test_an_address_of_another_form_stops_the_process(address: str) -> None:
    with pytest.raises(SettingsError, match="CHASQUI_TRACE_URL is "):
        Pages(address)


def test_all_files_together_are_small() -> None:
    assert sum((WEB / name).stat().st_size for name in SERVED) < 200_000


@pytest.mark.parametrize("name", SERVED)
def test_a_file_makes_no_markup_of_text_and_loads_nothing_from_elsewhere(name: str) -> None:
    text = (WEB / name).read_text(encoding="utf-8")
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser", text) == []
    )
    assert re.findall(r"(?:src|href)=\"(?!/|#)|@import|url\(|\sstyle=\"|\son[a-z]+=\"|<script>", text) == []


@pytest.mark.parametrize("path", sorted(WEB.glob("*.js")), ids=lambda path: path.name)
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
