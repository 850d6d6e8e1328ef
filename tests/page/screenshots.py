"""Takes the README's pictures of the playground: `python -m tests.page.screenshots`."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from tests.support.browser import launched, opened
from tests.support.readme import ROOT
from tests.support.service import Service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_FOLDER: Final = ROOT / ".github" / "images"
_WIDE: Final = {"width": 1280, "height": 800}


def _take(page: Page, name: str) -> None:
    """As WebP, a third of PNG's size; Playwright itself writes none."""
    page.mouse.move(0, 0)
    session = page.context.new_cdp_session(page)
    taken: dict[str, Any] = session.send("Page.captureScreenshot", {"format": "webp", "quality": 82})
    (_FOLDER / name).write_bytes(base64.b64decode(taken["data"]))


def _tool_call(browser: Browser, url: str) -> None:
    with opened(browser, url, viewport=_WIDE) as page:
        page.get_by_role("button", name="Have tools called").click()
        page.get_by_label("Result of").first.fill('{"temperature": 19, "sky": "cloudy"}')
        page.get_by_label("Result of").last.fill('{"temperature": 26, "sky": "sunny"}')
        page.get_by_role("button", name="Send results").click()
        page.locator("#turn-4 .figures").wait_for()
        _take(page, "playground.webp")
        page.locator("#turn-1").get_by_role("button", name="Code").click()
        page.get_by_role("tab", name="Python").click()
        _take(page, "playground-code.webp")


def _phone(browser: Browser, url: str) -> None:
    with opened(browser, url, viewport={"width": 390, "height": 720}, color_scheme="dark", has_touch=True) as page:
        page.get_by_role("button", name="Ask something").click()
        page.locator("#turn-1 .figures").wait_for()
        _take(page, "playground-phone.webp")


def main() -> None:
    """Take them of the demonstration model."""
    with Service(engine="llama-cpp", parallel=4, threads=1) as service, launched() as browser:
        _tool_call(browser, service.url)
        _phone(browser, service.url)


if __name__ == "__main__":
    main()
