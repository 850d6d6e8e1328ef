"""What operators see: one trace for every call, through all parts; metrics of every part; a log line of every part."""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import get, open_stream, post
from tests.support.otlp_receiver import OtlpReceiver, ReceivedSpan
from tests.support.ports import free_row
from tests.support.replicas import wait_until
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT = "/v1/chat/completions"
SECRET = "the colour of the llama"
TRACE = "0af7651916cd43dd8448eb211c80319c"
# The tree of a call that came in over REST, by the parts that its spans come from.
REST = [
    *("chasqui-envoy POST", "  chasqui-edge POST /v1/chat/completions"),
    *("    chasqui-server chasqui.v1.ChatService/{method}", "      chasqui-server chat simulated"),
    *("        chasqui-server tokenize", "        chasqui-server queue"),
    *("        chasqui-server prefill", "        chasqui-server decode"),
]


# How the edge has a key checked; it remembers the result for a while, so few calls have this span.
KEY_CHECK = "chasqui.v1.ModelService/ListModels"


class Traced:
    """A service whose parts export to a collector, and show their metrics on ports in a row."""

    def __init__(self, service: Service, collector: OtlpReceiver, metrics_port: int) -> None:
        self.service = service
        self.collector = collector
        self._metrics_port = metrics_port

    def metrics(self, part: int) -> str:
        """What part 0, the server, or a later one shows to Prometheus."""
        return get(f"{self.internal(part)}/metrics").body.decode()

    def internal(self, part: int) -> str:
        """The base of a part's internal port."""
        return f"http://127.0.0.1:{self._metrics_port + part}"

    def trace(self, trace_id: str, size: int = len(REST)) -> list[ReceivedSpan]:
        """The spans of a trace by their start, once there are `size` of them."""
        return self.collector.trace(trace_id, size)


def exporting(collector: OtlpReceiver, **variables: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        **variables,
    }


@pytest.fixture(scope="module")
def traced() -> Iterator[Traced]:
    port = free_row(4)
    simulated = {"engine": "simulated", "simulated_rate": 100, "parallel": 4, "model_name": "simulated"}
    with (
        OtlpReceiver(ignored=KEY_CHECK) as collector,
        Service(exporting(collector), metrics_address=f"127.0.0.1:{port}", edge_workers=2, **simulated) as service,
    ):
        yield Traced(service, collector, port)


def body(**fields: object) -> dict[str, object]:
    messages = [{"role": "user", "content": SECRET}]
    return {"model": REFERENCE_MODEL, "messages": messages, "max_tokens": 8, "ignore_eos": True, **fields}


def tree(spans: list[ReceivedSpan]) -> list[str]:
    """The spans of a trace as an outline: children below their parents, in the order of their starts."""

    def below(parent: str, depth: int) -> Iterator[str]:
        for span in spans:
            if span.parent_id == parent:
                yield f"{'  ' * depth}{span.part} {span.name}"
                yield from below(span.span_id, depth + 1)

    known = {span.span_id for span in spans}
    roots = {span.parent_id for span in spans} - known
    return [line for root in sorted(roots) for line in below(root, 0)]


def trace_of(traced: Traced, request_id: str, size: int = len(REST)) -> list[ReceivedSpan]:
    """The trace of a call, once it has all its spans."""
    trace_id = traced.service.logged(request_id, "request answered")["trace_id"]
    return traced.trace(trace_id, size)


def named(spans: list[ReceivedSpan], name: str) -> ReceivedSpan:
    [span] = [span for span in spans if span.name.startswith(name)]
    return span


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_one_trace_from_the_socket_to_the_token(traced: Traced, stream: bool) -> None:
    reply = post(traced.service.url + CHAT, body(stream=stream, temperature=0.5, zeta=1), x_request_id=f"tree-{stream}")
    assert reply.status == 200
    spans = trace_of(traced, f"tree-{stream}")
    method = "StreamChat" if stream else "Chat"
    assert tree(spans) == [line.format(method=method) for line in REST]
    assert {span.status for span in spans} == {"UNSET"}
    http = named(spans, "POST /v1").attributes
    assert (http["http.route"], http["http.response.status_code"]) == (CHAT, 200)
    assert http["chasqui.ignored_parameters"] == "zeta"
    chat = named(spans, "chat").attributes
    usage = (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"])
    assert usage[1] == 8
    assert chat["chasqui.estimated_cost"] == pytest.approx(sum(usage) * 0.055 / 1e6)
    assert chat["gen_ai.operation.name"] == "chat"
    assert (chat["gen_ai.request.model"], chat["gen_ai.response.model"]) == (REFERENCE_MODEL, "simulated")
    assert chat["gen_ai.response.finish_reasons"] == ["length"]
    assert (chat["gen_ai.request.temperature"], chat["gen_ai.request.max_tokens"]) == (0.5, 8)
    assert chat["gen_ai.request.stream"] is stream


def test_the_phases_of_a_call_follow_each_other_and_fill_it(traced: Traced) -> None:
    post(traced.service.url + CHAT, body(), x_request_id="phases")
    spans = trace_of(traced, "phases")
    chat = named(spans, "chat")
    phases = [named(spans, name) for name in ("tokenize", "queue", "prefill", "decode")]
    assert phases[0].start == chat.start
    for earlier, later in pairwise(phases):
        assert earlier.end == later.start
    decode = phases[-1]
    assert decode.end <= chat.end
    assert decode.end > decode.start
    assert "first_token" in decode.events
    for span in spans:
        parent = next((other for other in spans if other.span_id == span.parent_id), span)
        assert parent.start <= span.start + 1e6  # clocks of two processes
        # What answers another process has more to do when that one has its answer.
        assert span.part != parent.part or span.end <= parent.end


def test_a_caller_s_own_trace_goes_on_and_its_flag_does_not_decide(traced: Traced) -> None:
    for flag in ("00", "01"):
        trace_id = TRACE[:-2] + flag
        parent = f"00-{trace_id}-b7ad6b7169203331-{flag}"
        post(traced.service.url + CHAT, body(), traceparent=parent)
        spans = traced.trace(trace_id)
        assert spans[0].part == "chasqui-envoy"
        assert spans[0].parent_id == "b7ad6b7169203331"
        assert tree(spans) == [line.format(method="Chat") for line in REST]


def test_no_span_has_the_query_of_a_request_which_may_be_a_token(traced: Traced) -> None:
    get(traced.service.url + "/v1/scoped-jwt?jwtoken=jwt:a-secret", x_request_id="query")
    spans = trace_of(traced, "query", 3)
    assert {span.part for span in spans} == {"chasqui-envoy", "chasqui-edge", "chasqui-server"}
    assert "a-secret" not in str([span.attributes for span in spans])
    envoy = next(span for span in spans if span.part == "chasqui-envoy")
    assert str(envoy.attributes["http.url"]).endswith("/v1/scoped-jwt")


def test_a_grpc_call_is_traced_too_and_gets_its_times(traced: Traced) -> None:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text=SECRET)])
    request = chat_service_pb2.ChatRequest(model=REFERENCE_MODEL, messages=[message], max_tokens=4, ignore_eos=True)
    parent = f"00-{TRACE[:-2]}aa-b7ad6b7169203331-01"
    with grpc.insecure_channel(traced.service.target) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        stream = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=request), metadata=(("traceparent", parent),))
        events = [event for part in stream for event in part.events]
        streamed = dict(stream.trailing_metadata())
        _, call = stub.Chat.with_call(request)
        whole = dict(call.trailing_metadata())
    names = ["queue", "tokenize", "prefill", "decode", "total"]
    for metadata in (streamed, whole):
        assert re.findall(r"(\w+);dur=\d+\.\d{3}", str(metadata["server-timing"])) == names
        assert metadata["x-request-id"]
    assert events[-1].completed.usage.completion_tokens == 4
    spans = traced.trace(TRACE[:-2] + "aa", 7)
    assert tree(spans)[:3] == [
        "chasqui-envoy POST",
        "  chasqui-server chasqui.v1.ChatService/StreamChat",
        "    chasqui-server chat simulated",
    ]


def test_times_are_in_the_last_chunk_when_they_are_asked_for(traced: Traced) -> None:
    reply = post(traced.service.url + CHAT, body(stream=True, stream_options={"include_timings": True}))
    last = reply.body.decode().split("\n\n")[-3]
    timings = json.loads(last.removeprefix("data: "))["timings"]
    assert list(timings) == ["queue", "tokenize", "prefill", "decode", "total"]
    assert sum(timings.values()) - timings["total"] <= timings["total"]


@pytest.mark.parametrize(
    ("wrong", "status", "size", "reason"),
    [({"temperature": "hot"}, 400, 2, "INVALID_VALUE"), ({"model": "nobody"}, 404, 3, "MODEL_NOT_FOUND")],
    ids=["by the edge", "by the server"],
)
def test_a_refused_call_says_in_its_trace_who_refused_it(
    traced: Traced, wrong: dict[str, object], status: int, size: int, reason: str
) -> None:
    reply = post(traced.service.url + CHAT, body(**wrong), x_request_id=f"refused-{status}")
    assert reply.status == status
    # A later call's spans leave the server after those of this one, if it had any: none is still on its way.
    post(traced.service.url + CHAT, body(), x_request_id=f"after-{status}")
    trace_of(traced, f"after-{status}")
    spans = trace_of(traced, f"refused-{status}", size)
    assert len(spans) == size, [(span.part, span.name) for span in spans]
    http = named(spans, "POST /v1")
    assert (http.attributes["http.response.status_code"], http.attributes["error.type"]) == (status, reason)
    assert http.status == "UNSET"  # the caller's mistake, by OpenTelemetry's conventions no error of a server
    if size == 3:
        rpc = named(spans, "chasqui.v1")
        assert (rpc.status, rpc.attributes["error.type"]) == ("ERROR", reason)
        line = traced.service.logged(f"refused-{status}", "call ended")
        assert (line["outcome"], line["status"], line["param"]) == ("invalid", "NOT_FOUND", "model")


def test_a_call_whose_time_runs_out_in_mid_stream_is_an_error_everywhere_and_billed(traced: Traced) -> None:
    reply = post(
        traced.service.url + CHAT, body(stream=True, max_tokens=1500), x_request_id="late", x_request_timeout="3"
    )
    assert b'"error"' in reply.body
    spans = trace_of(traced, "late")
    assert named(spans, "POST /v1").status == "ERROR"
    assert named(spans, "POST /v1").attributes["error.type"] == "DEADLINE_EXCEEDED"
    assert named(spans, "chasqui.v1").attributes["rpc.response.status_code"] == "DEADLINE_EXCEEDED"
    chat = named(spans, "chat")
    assert (chat.status, chat.attributes["chasqui.outcome"]) == ("ERROR", "deadline")
    assert 0 < chat.attributes["gen_ai.usage.output_tokens"] < 1500


def test_a_caller_who_hangs_up_is_a_cancelled_call_with_a_usage_record(traced: Traced) -> None:
    connection = open_stream(traced.service.url + CHAT, body(stream=True, max_tokens=500), {"x-request-id": "gone"})
    connection.close()
    line = traced.service.logged("gone", "request answered")
    assert (line["status"], line["outcome"]) == (499, "cancelled")
    spans = trace_of(traced, "gone")
    assert named(spans, "POST /v1").attributes["http.response.status_code"] == 499
    assert named(spans, "chasqui.v1").attributes["rpc.response.status_code"] == "CANCELLED"
    chat = named(spans, "chat")
    assert (chat.status, chat.attributes["chasqui.outcome"]) == ("ERROR", "cancelled")
    assert chat.attributes["gen_ai.usage.output_tokens"] > 0
    assert "chasqui_cancel_to_free_time_seconds_count" in traced.metrics(0)


def test_several_choices_are_one_span_with_the_sum_of_their_tokens(traced: Traced) -> None:
    post(traced.service.url + CHAT, body(n=2), x_request_id="two")
    chat = named(trace_of(traced, "two"), "chat")
    assert chat.attributes["gen_ai.request.choice.count"] == 2
    assert chat.attributes["gen_ai.usage.output_tokens"] == 16
    assert chat.attributes["gen_ai.response.finish_reasons"] == ["length", "length"]


def test_no_part_s_spans_or_logs_hold_what_was_said(traced: Traced) -> None:
    post(traced.service.url + CHAT, body(user="somebody@example.org"), x_request_id="quiet")
    spans = trace_of(traced, "quiet")
    assert SECRET not in str(spans)
    assert "somebody" not in str(spans)
    assert len(named(spans, "chat").attributes["user.hash"]) == 16
    assert SECRET not in traced.service.output()


def test_every_part_logs_a_call_once_under_one_request_and_trace_id(traced: Traced) -> None:
    post(traced.service.url + CHAT, body(), x_request_id="logged")
    edge = traced.service.logged("logged", "request answered")
    server = traced.service.usage_record("logged")
    envoy = traced.service.logged("logged", '"part":"envoy"')
    assert edge["trace_id"] == server["trace_id"] == envoy["traceparent"].split("-")[1]
    assert (edge["status"], envoy["status"], edge["outcome"], server["outcome"]) == (200, 200, "completed", "completed")
    assert edge["completion_tokens"] == server["completion_tokens"] == 8
    assert min(server["tokenize_seconds"], server["queue_seconds"]) >= 0
    # Both processes wait for all of it, and each may end first.
    assert 0 < server["prefill_seconds"] + server["decode_seconds"] <= min(server["seconds"], edge["seconds"])
    # The edge remembers for a while that a caller without a key is let in; its question has the call's id.
    asked = (KEY_CHECK, "AccountService")
    lines = [line for line in traced.service.output().splitlines() if '"logged"' in line]
    assert len([line for line in lines if not any(word in line for word in asked)]) == 3


def test_metrics_count_every_call_once_however_many_workers_there_are(traced: Traced) -> None:
    def count(name: str, *labels: str) -> float:
        lines = [line for part in range(3) for line in traced.metrics(part).splitlines() if line.startswith(name)]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels))

    route = (f'http_route="{CHAT}"', 'chasqui_outcome="completed"')
    counted = [
        ("http_server_request_duration_seconds_count", *route),
        ("rpc_server_call_duration_seconds_count", 'rpc_method="chasqui.v1.ChatService/Chat"', 'outcome="completed"'),
        ("gen_ai_server_request_duration_seconds_count", 'gen_ai_response_model="simulated"'),
        ("gen_ai_server_time_to_first_token_seconds_count", ""),
        ("gen_ai_server_time_per_output_token_seconds_count", ""),
        ("chasqui_queue_time_seconds_count", ""),
        ("chasqui_tokens_total", 'gen_ai_token_type="output"'),
        ("chasqui_cost_USD_total", ""),
    ]

    def ended(request_id: str) -> int:
        """Make a call, and wait until both processes have recorded it; the tokens of its prompt."""
        prompt = post(traced.service.url + CHAT, body(), x_request_id=request_id).json()["usage"]["prompt_tokens"]
        traced.service.logged(request_id, "request answered")
        traced.service.usage_record(request_id)
        get(traced.service.url + "/v1/models")  # the server answers it after it has recorded the call's RPC
        return int(prompt)

    def counts() -> dict[str, float]:
        return {name: count(name, *labels) for name, *labels in counted}

    ended("before")
    before = counts()
    [prompt] = {ended(f"counted-{number}") for number in range(10)}  # a connection each, so that both workers get some
    expected: dict[str, Any] = dict.fromkeys(before, 10)
    expected["chasqui_tokens_total"] = 80
    expected["chasqui_cost_USD_total"] = pytest.approx(10 * (prompt + 8) * 0.055 / 1e6)
    assert {name: number - before[name] for name, number in counts().items()} == expected


def test_metrics_say_what_every_part_is_doing_now(traced: Traced) -> None:
    wait_until(lambda: all("event_loop_tasks" in traced.metrics(part) for part in (0, 1)))  # exported at intervals
    server, edge, envoy = traced.metrics(0), traced.metrics(1), traced.metrics(3)
    for name in ("calls_running", "calls_waiting", "engine_heartbeat_age_seconds", "relay_messages_total"):
        assert f"\nchasqui_{name} " in server
    assert "\nchasqui_ready 1.0" in server
    for text in (server, edge):
        assert "chasqui_event_loop_lag_seconds_bucket" in text
        assert re.search(r"\nchasqui_event_loop_tasks [1-9]", text)
        assert "process_resident_memory_bytes" in text
        assert "process_open_fds" in text
    assert "chasqui_edge_open_requests" in edge
    assert 'envoy_cluster_upstream_rq_total{envoy_cluster_name="edge"}' in envoy
    assert get(traced.internal(3) + "/stats").status == 404  # nothing else of Envoy's admin interface


def test_the_same_metrics_are_pushed_to_the_collector(traced: Traced) -> None:
    post(traced.service.url + CHAT, body())
    wanted = {
        "chasqui-server": {"gen_ai.server.request.duration", "chasqui.calls.running", "chasqui.event_loop.lag"},
        "chasqui-edge": {"http.server.request.duration", "chasqui.edge.open_requests"},
    }
    end = time.monotonic() + 30
    while any(names - traced.collector.metrics.get(part, set()) for part, names in wanted.items()):
        assert time.monotonic() < end, traced.collector.metrics
        time.sleep(0.05)


def test_latencies_that_are_pushed_name_traces_as_examples(traced: Traced) -> None:
    post(traced.service.url + CHAT, body(), x_request_id="example")
    trace_id = trace_of(traced, "example")[0].trace_id
    wanted = ("http.server.request.duration", "rpc.server.call.duration", "gen_ai.server.time_to_first_token")
    wait_until(lambda: all(trace_id in traced.collector.examples.get(name, ()) for name in wanted))


def test_what_was_said_is_traced_when_the_operator_wants_it(tmp_path: Any) -> None:
    with (
        OtlpReceiver(ignored=KEY_CHECK) as collector,
        Service(exporting(collector), engine="simulated", simulated_rate=0, trace_content="on") as service,
    ):
        reply = post(service.url + CHAT, body(), traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
        spans = collector.trace(TRACE, len(REST))
        details = named(spans, "chat").events["gen_ai.client.inference.operation.details"]
        said = reply.json()["choices"][0]["message"]["content"]
    assert details["gen_ai.input.messages"] == (
        f'[{{"role": "user", "parts": [{{"type": "text", "content": "{SECRET}"}}]}}]'
    )
    assert json.loads(details["gen_ai.output.messages"])[0] == {
        "role": "assistant",
        "parts": [{"type": "text", "content": said}],
        "finish_reason": "length",
    }


@pytest.mark.parametrize(("trusted", "traced_flags"), [("on", {"01"}), ("off", set())])
def test_a_trusted_caller_decides_what_is_traced_and_nobody_else(trusted: str, traced_flags: set[str]) -> None:
    variables = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    with OtlpReceiver() as collector:
        settings = {"engine": "simulated", "simulated_rate": 0, "trust_traceparent": trusted}
        with Service(exporting(collector, **variables), **settings) as service:
            for flag in ("00", "01"):
                assert (
                    post(service.url + CHAT, body(), traceparent=f"00-{TRACE[:-2]}{flag}-{'b' * 16}-{flag}").status
                    == 200
                )
        # The service has stopped, so everything has been exported.
        parts = {(span.trace_id[-2:], span.part) for span in collector.spans}
        expected = ("chasqui-envoy", "chasqui-edge", "chasqui-server")
        assert parts == {(flag, part) for flag in traced_flags for part in expected}


def test_a_collector_that_fails_touches_no_call() -> None:
    with (
        OtlpReceiver(broken=True) as collector,
        Service(exporting(collector), engine="simulated", simulated_rate=0) as service,
    ):
        for _ in range(20):
            assert post(service.url + CHAT, body()).status == 200
        end = time.monotonic() + 30
        while not collector.refused:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert post(service.url + CHAT, body()).status == 200
        assert service.stop() == 0
