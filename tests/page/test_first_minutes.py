"""A stranger's first minutes: an answer, a tool call, JSON, and code to copy. `make test` runs this file."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.page.scripted import answer_with, sent_bodies

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = """<script>window.ran = 1</script><img src=x onerror="window.ran = 2">
[a](javascript:window.ran=3) ![b](https://evil.example/b.png) **bold** `<b>code</b>`

| a | b |
|---|---|
| <svg onload="window.ran = 4"> | 2 |

```html
<iframe srcdoc="<script>parent.ran = 5</script>"></iframe>
"""


def test_a_question_is_answered_and_its_code_answers_too(page: Page) -> None:
    page.get_by_label("temperature", exact=True).fill("0")  # or the answer may be another
    page.get_by_label("Message", exact=True).fill("What is the capital of Peru?")
    page.keyboard.press("Enter")
    answer = page.locator("#turn-1")
    answer.locator(".figures").wait_for()
    assert "Lima" in answer.locator(".markdown").inner_text()
    figures = answer.locator(".figures").inner_text()
    for words in ("tokens", "$0.00000", "first token", "tokens/s", "queue", "prefill", "decode"):
        assert words in figures
    answer.get_by_role("button", name="Code").click()
    command = page.locator("#code-panel code").last.inner_text()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603, S607
    assert "data: [DONE]" in done.stdout


def test_a_tool_is_called_and_the_typed_result_becomes_a_sentence(page: Page) -> None:
    bodies = sent_bodies(page)
    page.get_by_role("button", name="Have tools called").click()
    page.get_by_label("Result of").first.fill('{"temperature": 9, "sky": "cloudy"}')
    page.get_by_role("button", name="Fill in an example").click()
    page.get_by_role("button", name="Send result").click()
    page.locator(".turn.answer").nth(1).locator(".figures").wait_for()
    assert [message["role"] for message in bodies[-1]["messages"]][:3] == ["user", "assistant", "tool"]
    assert bodies[-1]["messages"][2]["content"] == '{"temperature": 9, "sky": "cloudy"}'
    assert page.locator(".turn.answer").nth(1).locator(".markdown").inner_text()


def test_an_answer_by_a_schema_is_checked(page: Page) -> None:
    page.get_by_role("button", name="Get JSON by a schema").click()
    page.get_by_text("The answer satisfies the schema").wait_for()
    assert json.loads(page.locator(".choice code").inner_text()).keys() == {"name", "age", "city"}


def test_nothing_that_a_model_writes_can_run(page: Page) -> None:
    answer_with(page, HOSTILE)
    page.get_by_role("button", name="Ask something").click()
    page.locator("#turn-1 .actions").wait_for()
    markdown = page.locator("#turn-1 .markdown")
    assert "<script>window.ran = 1</script>" in markdown.inner_text()
    assert markdown.locator("script, img, svg, iframe, [onerror], [onload]").count() == 0
    assert [link.get_attribute("href") for link in markdown.locator("a").all()] == ["https://evil.example/b.png"]
    assert markdown.locator("strong").inner_text() == "bold"
    assert page.evaluate("() => window.ran") is None
