"""A browser, a service with the demonstration model, and a page of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import launched, opened
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


# Per file: while Playwright runs, no other event loop can run in this process.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def demo() -> Iterator[Service]:
    with Service(engine="llama-cpp", parallel=4, threads=1) as service:
        yield service


@pytest.fixture(scope="session")
def steady() -> Iterator[Service]:
    """At 40 tokens a second, so that an answer can be stopped."""
    with Service(engine="simulated", simulated_rate=40, parallel=8, model_name="steady") as service:
        yield service


@pytest.fixture
def page(browser: Browser, demo: Service) -> Iterator[Page]:
    with opened(browser, demo.url) as page:
        page.locator(".model h1").wait_for()
        yield page
