"""Both pages by the rules of axe: whatever is shown, in light and dark, wide and narrow, nothing serious is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.page.scripted import answer_with, refuse
from tests.support.browser import opened
from tests.support.npm import installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

    from tests.support.service import Service

AXE = "axe-core@4.14.1"
SCREENS: dict[str, dict[str, Any]] = {
    "wide, light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "wide, dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "narrow, light": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "has_touch": True},
    "narrow, dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "has_touch": True},
}
MARKDOWN = "# T\n\n- a\n- [b](https://example.com)\n\n> c `d`\n\n| e | f |\n|---|---|\n| 1 | 2 |\n\n```py\ng = 1\n```\n"


def begin(page: Page, starter: str) -> None:
    page.get_by_role("button", name=starter).click()
    page.locator("#turn-1 .actions").first.wait_for()


def markdown(page: Page) -> None:
    answer_with(page, MARKDOWN)
    begin(page, "Ask something")


def tool_call(page: Page) -> None:
    begin(page, "Have tools called")


def several(page: Page) -> None:
    begin(page, "Compare three answers")


def schema(page: Page) -> None:
    begin(page, "Get JSON by a schema")


def tokens(page: Page) -> None:
    entry = {"token": "Hi", "logprob": -1.0, "bytes": [72, 105], "top_logprobs": [{"token": "Ho", "logprob": -2.0}]}
    answer_with(page, "Hi", logprobs={"content": [entry]})
    begin(page, "Ask something")
    page.locator(".token").focus()


def refusal(page: Page) -> None:
    refuse(page, 400, "temperature must be at most 2.", "temperature")
    begin(page, "Ask something")


def code(page: Page) -> None:
    begin(page, "Ask something")
    page.locator("#turn-1").get_by_role("button", name="Code").click()


def everything_unfolded(page: Page) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.get_by_role("button", name="Key").click()


STATES: list[Callable[[Page], None]] = [
    markdown,
    tool_call,
    several,
    schema,
    tokens,
    refusal,
    code,
    everything_unfolded,
]


def serious(page: Page) -> list[str]:
    """What axe finds, but for what it calls minor or moderate."""
    page.evaluate((installed([AXE]) / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run()")["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_playground_has_no_serious_finding(
    browser: Browser, demo: Service, state: Callable[[Page], None], screen: str
) -> None:
    with opened(browser, demo.url, bypass_csp=True, **SCREENS[screen]) as page:
        page.locator(".model h1").wait_for(state="attached")
        state(page)
        assert serious(page) == []


@pytest.mark.parametrize("screen", SCREENS)
def test_the_api_page_has_no_serious_finding(browser: Browser, demo: Service, screen: str) -> None:
    with opened(browser, f"{demo.url}/docs", bypass_csp=True, **SCREENS[screen]) as page:
        page.locator(".operation").first.wait_for()
        page.get_by_role("button", name="Send").first.click()
        page.locator(".output", has_text="[DONE]").wait_for()
        assert serious(page) == []


@pytest.mark.parametrize(
    "state", [markdown, tool_call, several, code, everything_unfolded], ids=lambda state: state.__name__
)
def test_a_narrow_screen_needs_no_sideways_scrolling(
    browser: Browser, demo: Service, state: Callable[[Page], None]
) -> None:
    with opened(browser, demo.url, **SCREENS["narrow, light"]) as page:
        page.locator(".model h1").wait_for(state="attached")
        state(page)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
