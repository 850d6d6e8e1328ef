"""The playground: conversations, options, errors, keys and what is kept, in a real browser."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.page.scripted import answer_with, refuse, sent_bodies
from tests.support.browser import opened
from tests.support.http import get
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Route


@pytest.fixture
def slow(browser: Browser, steady: Service) -> Iterator[Page]:
    """A page of the service whose answers take seconds."""
    with opened(browser, steady.url) as page:
        page.locator(".model h1").wait_for()
        yield page


def say(page: Page, message: str) -> None:
    page.get_by_label("Message", exact=True).fill(message)
    page.keyboard.press("Enter")


def ended(page: Page, turn: int) -> Locator:
    """The answer at that position, once it has ended."""
    answer = page.locator(f"#turn-{turn}[aria-busy=false]")
    answer.wait_for()
    return answer


def unfold(page: Page, title: str) -> None:
    page.locator("summary", has_text=re.compile(f"^{title}$")).click()


def test_the_model_is_described_and_said_to_be_a_demonstration(page: Page) -> None:
    model = page.locator("#model").inner_text()
    for words in ("chasqui-demo", "llama-cpp", "Q8_0", "4,096 tokens", "$0.055", "demonstration model, not Llama"):
        assert words in model
    page.locator("#state[data-state=ready]").wait_for()


def test_only_what_the_model_can_do_is_offered(page: Page) -> None:
    def without_tools(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        fields = body["data"][0]["supported_parameters"]
        body["data"][0]["supported_parameters"] = [name for name in fields if name != "tools"]
        route.fulfill(response=response, json=body)

    page.route("**/v1/models", without_tools)
    page.reload()
    page.get_by_role("button", name="Ask something").wait_for()
    assert page.locator(".starter").count() == 3
    assert page.get_by_role("button", name="Have tools called").count() == 0
    assert page.locator("summary", has_text=re.compile("^Tools$")).count() == 0


def test_an_answer_grows_and_stop_ends_it_where_it_is(slow: Page) -> None:
    say(slow, "Talk for long")
    slow.locator("#turn-1 .markdown p").wait_for()
    assert slow.get_by_role("button", name="Send").is_hidden()
    slow.get_by_role("button", name="Stop").click()
    answer = ended(slow, 1)
    assert "stopped after" in answer.locator(".figures").inner_text()
    text = answer.locator(".markdown").inner_text()
    slow.wait_for_timeout(300)
    assert answer.locator(".markdown").inner_text() == text
    assert slow.get_by_role("button", name="Send").is_visible()


def test_escape_stops_and_the_keyboard_alone_is_enough(slow: Page) -> None:
    slow.keyboard.press("Tab")
    slow.keyboard.press("Enter")  # the link that skips to the message
    slow.keyboard.type("Hello")
    slow.keyboard.press("Shift+Enter")
    slow.keyboard.type("there")
    slow.keyboard.press("Enter")
    slow.locator("#turn-1 .markdown p").wait_for()
    slow.keyboard.press("Escape")
    ended(slow, 1)
    assert slow.locator("#turn-0 .said").inner_text() == "Hello\nthere"


def test_an_edited_message_is_answered_again_in_place_of_what_followed(page: Page) -> None:
    bodies = sent_bodies(page)
    say(page, "Hello!")
    ended(page, 1)
    say(page, "Tell me a joke")
    ended(page, 3)
    page.locator("#turn-0").get_by_role("button", name="Edit").click()
    page.get_by_label("Your message").fill("What is the capital of France?")
    page.get_by_role("button", name="Send again").click()
    assert "Paris" in ended(page, 1).inner_text()
    assert page.locator(".turn").count() == 2
    assert [message["content"] for message in bodies[-1]["messages"]] == ["What is the capital of France?"]


def test_regenerate_sends_the_same_messages_again(page: Page) -> None:
    bodies = sent_bodies(page)
    say(page, "Hello!")
    ended(page, 1).get_by_role("button", name="Regenerate").click()
    ended(page, 1)
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


def test_the_chosen_one_of_several_answers_is_what_goes_on(page: Page) -> None:
    bodies = sent_bodies(page)
    page.get_by_role("button", name="Compare three answers").click()
    answer = ended(page, 1)
    second = answer.locator(".choice").nth(1)
    second.get_by_label("go on with this one").check()
    text = second.locator(".markdown p").first.inner_text()
    say(page, "Thank you!")
    ended(page, 3)
    assert bodies[0]["n"] == 3
    assert bodies[1]["messages"][1]["content"].startswith(text[:5])


def test_options_are_sent_as_they_are_set_and_left_out_at_their_defaults(page: Page) -> None:
    bodies = sent_bodies(page)
    page.get_by_label("Instructions for the whole conversation").fill("Be brief.")
    page.get_by_label("temperature", exact=True).fill("0")
    page.get_by_label("top_k, slider").focus()
    page.keyboard.press("End")
    page.get_by_label("seed", exact=True).fill("7")
    page.get_by_label("logit_bias", exact=True).fill('{"5": -100}')
    unfold(page, "Length")
    page.get_by_label("max_tokens", exact=True).fill("3")
    page.get_by_label("stop", exact=True).fill("###\nEND")
    unfold(page, "Delivery")
    page.get_by_label("Stream the answer").uncheck()
    say(page, "Hello!")
    answer = ended(page, 1)
    assert "Cut off" in answer.inner_text()
    assert "prefill" in answer.inner_text()  # unstreamed, from Server-Timing
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}]
    options = {"temperature": 0, "top_k": 999, "seed": 7, "logit_bias": {"5": -100}, "max_tokens": 3}
    assert bodies == [{"model": "chasqui-demo", "messages": messages, **options, "stop": ["###", "END"]}]


def test_every_option_that_the_model_honours_has_a_control_with_the_range_of_the_api(page: Page) -> None:
    honoured = page.locator(".honoured code").all_text_contents()
    elsewhere = {"tools", "tool_choice", "parallel_tool_calls", "response_format"}
    for name in set(honoured) - elsewhere - {"continue_final_message"}:  # which a chat has no use for
        assert page.locator(f"#option-{name}").count() == 1, name
    assert "0 to 2" in page.locator(".field", has=page.locator("#option-temperature")).inner_text()
    unfold(page, "Answers")
    assert "1 to 4" in page.locator(".field", has=page.locator("#option-n")).inner_text()


@pytest.mark.parametrize(
    ("field", "value", "words"), [("temperature", "3", "temperature"), ("top_p", "0", "top_p"), ("seed", "1.5", "seed")]
)
def test_a_refusal_is_a_sentence_and_marks_its_field(page: Page, field: str, value: str, words: str) -> None:
    control = page.get_by_label(field, exact=True)
    control.fill(value)
    say(page, "Hello!")
    error = ended(page, 1).locator(".error").inner_text()
    assert words in error
    assert error.endswith(".")
    assert control.get_attribute("aria-invalid") == "true"
    described = page.locator(f"#{control.get_attribute('aria-describedby')}")
    assert described.inner_text() in error
    control.fill("")
    assert control.get_attribute("aria-invalid") is None


def test_tools_that_are_no_json_are_marked_and_nothing_is_sent(page: Page) -> None:
    bodies = sent_bodies(page)
    unfold(page, "Tools")
    page.get_by_label("Functions that the model may call").fill("[{")
    say(page, "Hello!")
    page.locator("#tools[aria-invalid=true]").wait_for()
    assert "cannot be read as JSON" in page.locator("#tools-error").inner_text()
    assert bodies == []
    assert page.get_by_label("Message", exact=True).input_value() == "Hello!"


def test_a_refused_schema_is_marked(page: Page) -> None:
    unfold(page, "Form of the answer")
    page.get_by_label("Form", exact=True).select_option("json_schema")
    page.get_by_label("Schema", exact=True).fill('{"type": "nothing"}')
    say(page, "Hello!")
    ended(page, 1)
    assert page.locator("#schema[aria-invalid=true]").count() == 1


def test_an_answer_that_breaks_its_schema_is_said_to(page: Page) -> None:
    answer_with(page, '{"name": "Maria", "age": "old", "city": "Cusco"}')
    page.get_by_role("button", name="Get JSON by a schema").click()
    assert "answer.age must be integer" in ended(page, 1).inner_text()


def test_a_forced_tool_is_chosen_by_name(page: Page) -> None:
    bodies = sent_bodies(page)
    unfold(page, "Tools")
    page.get_by_role("button", name="Both").click()
    page.get_by_label("Choice").select_option("set_timer")
    say(page, "Ten minutes for the eggs")
    ended(page, 1).locator(".call").wait_for()
    assert bodies[0]["tool_choice"] == {"type": "function", "function": {"name": "set_timer"}}
    assert page.locator(".call strong").inner_text() == "set_timer"


def test_probabilities_shade_the_tokens_and_arrow_keys_show_the_candidates(page: Page) -> None:
    unfold(page, "Answers")
    page.get_by_label("logprobs", exact=True).check()
    page.get_by_label("top_logprobs", exact=True).fill("3")
    say(page, "What is the capital of Peru?")
    answer = ended(page, 1)
    assert "Lima" in answer.locator(".tokens").inner_text()
    answer.locator(".token").first.focus()
    page.keyboard.press("ArrowRight")
    assert answer.locator(".candidates li").count() >= 3
    assert "%" in answer.locator(".candidates .sampled").inner_text()


def test_conversations_survive_a_reload_and_can_be_exported_and_deleted(page: Page) -> None:
    page.get_by_label("temperature", exact=True).fill("0.5")
    say(page, "Hello!")
    text = ended(page, 1).locator(".markdown").inner_text()
    page.reload()
    assert page.locator("#turn-1 .markdown").inner_text() == text
    page.locator(".model h1").wait_for()
    assert page.get_by_label("temperature", exact=True).input_value() == "0.5"
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as JSON").click()
    exported = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert exported["turns"][0] == {"kind": "user", "content": "Hello!"}
    assert exported["turns"][1]["request"]["temperature"] == 0.5
    page.get_by_role("button", name="New chat").click()
    assert page.locator(".turn").count() == 0
    page.get_by_role("button", name="Hello!", exact=True).click()
    assert page.locator(".turn").count() == 2
    page.get_by_role("button", name="Delete: Hello!").click()
    page.reload()
    assert page.locator(".turn").count() == 0


def test_a_conversation_that_was_cut_off_by_closing_the_page_is_there_and_goes_on(slow: Page) -> None:
    say(slow, "Talk for long")
    slow.locator("#turn-1 .markdown p").wait_for()
    slow.reload()
    assert slow.locator("#turn-0 .said").inner_text() == "Talk for long"
    slow.locator(".model h1").wait_for()
    slow.locator("#turn-1").get_by_role("button", name="Regenerate").click()
    slow.locator("#turn-1 .markdown p").wait_for()


def test_a_service_with_keys_asks_for_one_and_the_tab_keeps_it(browser: Browser) -> None:
    with Service(engine="simulated", simulated_rate=0, model_name="keyed", api_keys="s3cret") as service:
        with opened(browser, service.url) as page:
            page.get_by_label("This service asks for an API key").fill("wrong")
            page.keyboard.press("Enter")
            page.locator("#key-form").get_by_text("key").wait_for()
            page.locator("#key").fill("s3cret")
            page.keyboard.press("Enter")
            page.locator(".model h1", has_text="keyed").wait_for()
            page.reload()
            page.locator(".model h1", has_text="keyed").wait_for()
            say(page, "Hello!")
            ended(page, 1).get_by_role("button", name="Code").click()
            assert "Bearer KEY" in page.locator("#code-panel").inner_text()
            assert "s3cret" not in page.content()
            stored = page.evaluate("() => JSON.stringify(localStorage)")
            assert "s3cret" not in stored
        with opened(browser, service.url) as page:
            page.get_by_label("This service asks for an API key").wait_for()


def test_an_answer_links_to_its_trace(browser: Browser) -> None:
    template = "https://traces.example/trace/{trace_id}"
    with (
        Service(engine="simulated", simulated_rate=0, model_name="traced", trace_url=template) as service,
        opened(browser, service.url) as page,
    ):
        headers: list[str] = []
        page.on("request", lambda sent: headers.append(sent.headers.get("traceparent", "")))
        page.locator(".model h1").wait_for()
        say(page, "Hello!")
        link = ended(page, 1).get_by_role("link", name="Trace").get_attribute("href")
    [traceparent] = [header for header in headers if header]
    assert link == template.replace("{trace_id}", traceparent.split("-")[1])


def test_the_state_says_when_the_service_is_gone_and_that_it_is_back(browser: Browser) -> None:
    service = Service(engine="simulated", simulated_rate=0, model_name="coming")
    with service, opened(browser, service.url) as page:
        page.locator("#state[data-state=ready]").wait_for()
        service.stop()
        page.locator("#state[data-state=unreachable]").wait_for()
        say(page, "Hello!")
        assert "cannot be reached" in ended(page, 1).locator(".error").inner_text()
        with service:
            page.locator("#state[data-state=ready]").wait_for()
            page.locator("#turn-1").get_by_role("button", name="Regenerate").click()
            page.locator("#turn-1 .markdown p").wait_for()


@pytest.mark.parametrize(("code", "state"), [("draining", "draining"), ("not_ready", "loading")])
def test_a_state_that_is_not_ready_has_its_words(page: Page, code: str, state: str) -> None:
    body = json.dumps({"error": {"message": "Not now.", "type": "server_error", "param": None, "code": code}})
    page.route("**/readyz", lambda route: route.fulfill(status=503, content_type="application/json", body=body))
    page.locator(f"#state[data-state={state}]").wait_for()


def test_a_failure_that_names_no_field_is_a_sentence(page: Page) -> None:
    refuse(page, 503, "The queue is full; try again in 2 s")
    say(page, "Hello!")
    assert ended(page, 1).locator(".error").inner_text() == "The queue is full; try again in 2 s."


def test_a_stream_that_breaks_says_so_and_keeps_what_came(page: Page) -> None:
    body = 'data: {"model": "m", "choices": [{"index": 0, "delta": {"content": "Half of"}}]}\n\n'
    page.route("**/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    say(page, "Hello!")
    answer = ended(page, 1)
    assert "Half of" in answer.inner_text()
    assert "broke before the answer was complete" in answer.locator(".error").inner_text()


def test_the_api_page_sends_a_request_and_shows_the_stream(browser: Browser, demo: Service) -> None:
    with opened(browser, f"{demo.url}/docs") as page:
        operation = page.locator(".operation").first
        operation.get_by_role("button", name="Send").click()
        operation.locator(".output", has_text="[DONE]").wait_for()
        assert "HTTP 200" in operation.locator(".output").inner_text()
        paths = get(f"{demo.url}/openapi.json").json()["paths"]
        assert page.locator(".operation").count() == sum(map(len, paths.values()))
        model = page.locator(".operation", has_text="/v1/models/{id}")
        model.locator("summary").first.click()
        model.get_by_role("textbox").fill("meta-llama/Meta-Llama-3.1-8B-Instruct")
        model.get_by_role("button", name="Send").click()
        model.locator(".output", has_text='"id": "chasqui-demo"').wait_for()
