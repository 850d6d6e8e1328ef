"""A real browser for tests: the machine's Chromium or Chrome, driven by Playwright, both optional."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

# As the Makefile looks for one.
_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser, headless; skips the test if it or its driver is not installed."""
    driver = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("neither Chromium nor Chrome is installed")
    # Chromium has no sandbox for root, as in containers.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with driver.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program, args=options)
        except driver.Error as error:  # one that a sandbox or a snap keeps from starting is none
            pytest.skip(f"{program} does not start: {str(error).splitlines()[0]}")
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A page in a context of its own; at the end it must have had no error and loaded nothing from elsewhere."""
    context = browser.new_context(**options)
    context.set_default_timeout(120_000)
    page = context.new_page()
    problems: list[str] = []
    own = urlsplit(url).netloc
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", lambda sent: problems.extend(_foreign(sent.url, own)))
    page.on("console", lambda said: problems.extend(_reported(said.type, said.text)))
    try:
        page.goto(url)
        yield page
        assert problems == []
    finally:
        context.close()


def _foreign(url: str, own: str) -> list[str]:
    parts = urlsplit(url)
    return [] if parts.netloc == own or parts.scheme in {"blob", "data"} else [f"loads {url}"]


def _reported(kind: str, text: str) -> list[str]:
    # A refusal that the page shows is in the console, too.
    return [text] if kind == "error" and "Failed to load resource" not in text else []
