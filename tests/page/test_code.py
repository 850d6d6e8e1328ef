"""The code that the page shows is run as it stands: it sends the same request, in every language."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.npm import installed, node

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

OPENAI = "openai@7.57.0"


def run(title: str, code: str, folder: Path) -> str:
    """What the code prints; of curl's events the text."""
    if title == "curl":
        command = ["bash", "-c", code]
    elif title == "Node.js":
        (folder / "program.mjs").write_text(code, encoding="utf-8")
        shutil.copytree(installed([OPENAI]) / "node_modules", folder / "node_modules")
        command = [node(), str(folder / "program.mjs")]
    else:
        command = [sys.executable, "-c", code]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout  # noqa: S603
    events = re.findall(r"^data: (\{.*\})$", printed, re.MULTILINE)
    if not events:
        return printed
    return "".join(choice["delta"].get("content") or "" for event in events for choice in json.loads(event)["choices"])


def code_of(page: Page, title: str, turn: int) -> str:
    page.locator(f"#turn-{turn}").get_by_role("button", name="Code").click()
    page.get_by_role("tab", name=title).click()
    code: str = page.locator("#code-panel pre code").inner_text()
    page.get_by_role("button", name="Close").click()
    return code


def ask_with_everything(page: Page, choices: str) -> None:
    """Ask with options of every kind, and texts that need quotes of every kind."""
    page.get_by_label("Instructions for the whole conversation").fill(
        'You are "Tom\'s" $HOME `helper` \\ é🏃\nin two lines.'
    )
    for summary in ("Length", "Answers"):
        page.locator("summary", has_text=summary).click()
    options = {
        "temperature": "0",
        "top_k": "5",
        "min_p": "0.1",
        "seed": "-7",
        "logit_bias": '{"5": -100}',
        "stop": "###\n'",
    }
    for name, value in {**options, "max_tokens": "40", "n": choices}.items():
        page.get_by_label(name, exact=True).fill(value)
    page.get_by_label("Message", exact=True).fill("What is the capital of Peru?")
    page.keyboard.press("Enter")
    page.locator("#turn-1[aria-busy=false]").wait_for()


@pytest.mark.parametrize("title", ["curl", "Python", "Node.js", "gRPC"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_a_call_with_every_option_is_answered_alike(page: Page, tmp_path: Path, title: str, streamed: bool) -> None:
    page.locator("summary", has_text="Delivery").click()
    page.get_by_label("Stream the answer").set_checked(streamed)
    ask_with_everything(page, "1" if streamed else "2")  # streamed choices are printed by turns
    answer = page.locator("#turn-1 .markdown").first.inner_text()
    printed = run(title, code_of(page, title, 1), tmp_path)
    assert answer in printed


@pytest.mark.parametrize("title", ["curl", "Python", "Node.js", "gRPC"])
def test_a_history_with_calls_and_results_is_answered(page: Page, tmp_path: Path, title: str) -> None:
    page.get_by_role("button", name="Have tools called").click()
    page.get_by_role("button", name="Fill in an example").click()
    page.get_by_role("button", name="Send result").click()
    answer = page.locator(".turn.answer[aria-busy=false]").nth(1)
    answer.wait_for()
    turn = page.locator(".turn").count() - 1
    assert "sunny" in run(title, code_of(page, title, turn), tmp_path)


@pytest.mark.parametrize("title", ["curl", "Python", "Node.js", "gRPC"])
def test_an_answer_by_a_schema_is_one_again(page: Page, tmp_path: Path, title: str) -> None:
    page.get_by_role("button", name="Get JSON by a schema").click()
    page.locator("#turn-1[aria-busy=false]").wait_for()
    printed = run(title, code_of(page, title, 1), tmp_path)
    assert "age" in printed
    assert "34" in printed
