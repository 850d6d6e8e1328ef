"""The images as Compose runs them: called through the published port, stopped, killed, restarted, taken down, with TLS.

Run by `make test-images`, in this order: later tests find the containers as earlier ones leave them.
"""

from __future__ import annotations

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme
from openai import AuthenticationError, OpenAI

from chasqui.v1 import (
    batch_service_pb2,
    batch_service_pb2_grpc,
    chat_pb2,
    chat_service_pb2,
    chat_service_pb2_grpc,
)
from tests.images.deployment import BUILT, ROOT, SERVICES, Deployment, docker
from tests.support.http import get, post
from tests.support.replicas import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "a-key-of-docker-env"
CREDENTIALS = (("authorization", f"Bearer {KEY}"),)
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
MESSAGES: list[Any] = [{"role": "user", "content": "Tell me about the runners."}]
LONG = 150  # tokens of the streams that must not be cut
# An engine with a pace of its own, so that it is no matter of this machine's load how long they take: ten seconds.
PACED = {"services": {"server": {"environment": {"CHASQUI_ENGINE": "simulated", "CHASQUI_SIMULATED_RATE": 15}}}}


class Report:
    """What was measured, shown as a table at the end."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def add(self, what: str, value: str) -> None:
        self.rows.append((what, value))

    def seconds(self, what: str, began: float) -> None:
        self.add(what, f"{time.monotonic() - began:.1f} s")

    def __str__(self) -> str:
        return "\n".join(["| | |", "| --- | --- |", *(f"| {what} | {value} |" for what, value in self.rows)])


@pytest.fixture(scope="module")
def report() -> Iterator[Report]:
    report = Report()
    yield report
    text = f"{docker('version', '--format', 'Docker {{.Server.Version}}').stdout}\n{report}\n"
    BUILT.with_name("report.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")  # noqa: T201 - what was asked for


@pytest.fixture(scope="module")
def deployment(report: Report) -> Iterator[Deployment]:
    deployment = Deployment(settings={"CHASQUI_API_KEYS": KEY})
    deployment.down()
    began = time.monotonic()
    deployment.up("--scale", "edge=2")
    report.seconds("`up --wait` of server, two edges and Envoy", began)
    yield deployment
    deployment.down()


@pytest.fixture
def paced(deployment: Deployment, tmp_path: Path) -> Iterator[Deployment]:
    """The same containers, the server with an engine of a set pace."""
    (tmp_path / "paced.json").write_text(json.dumps(PACED))
    paced = Deployment([tmp_path / "paced.json"], {"CHASQUI_API_KEYS": KEY})
    paced.up("--scale", "edge=2")
    wait_until(lambda: chats(paced))
    yield paced
    paced.down()


def client(deployment: Deployment) -> OpenAI:
    return OpenAI(base_url=f"{deployment.url}/v1", api_key=KEY, max_retries=0)


def chats(deployment: Deployment) -> bool:
    """Whether a chat is answered."""
    body = {"model": MODEL, "messages": MESSAGES, "max_tokens": 4}
    with suppress(OSError):
        return post(f"{deployment.url}/v1/chat/completions", body, authorization=f"Bearer {KEY}").status == 200
    return False


def stream_of(deployment: Deployment) -> str:
    """The finish reason of a long streamed answer; raises what the client raises if it is cut."""
    with client(deployment) as caller:
        chunks = list(
            caller.chat.completions.create(
                model=MODEL, messages=MESSAGES, max_tokens=LONG, stream=True, extra_body={"ignore_eos": True}
            )
        )
    return str(chunks[-1].choices[0].finish_reason)


def grpc_stream_of(deployment: Deployment) -> str:
    """The same over gRPC."""
    chat = grpc_request(max_tokens=LONG, ignore_eos=True)
    with grpc.insecure_channel(deployment.target) as channel:
        stream = chat_service_pb2_grpc.ChatServiceStub(channel).StreamChat(
            chat_service_pb2.StreamChatRequest(chat=chat), metadata=CREDENTIALS
        )
        events = [event for message in stream for event in message.events]
    return "length" if events[-1].HasField("completed") else repr(events[-1])


def grpc_request(**fields: Any) -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    return chat_service_pb2.ChatRequest(model=MODEL, messages=[message], **fields)


def test_images_are_small_and_have_no_secrets(report: Report) -> None:
    report.add("built, all three", f"{json.loads(BUILT.read_text())['seconds']} s")
    for name in SERVICES:
        [image] = json.loads(docker("image", "inspect", f"chasqui/{name}").stdout)
        report.add(f"image chasqui/{name}", f"{image['Size'] / 1e6:.0f} MB")
        assert image["Config"]["User"] in ("10001:10001", "101:101")


def test_a_chat_a_stream_and_the_page_are_served_through_the_published_port(deployment: Deployment) -> None:
    with client(deployment) as caller:
        answer = caller.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=8)
        assert answer.choices[0].message.content
        assert answer.model == "chasqui-demo"
        stream = caller.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=8, stream=True)
        assert [chunk.choices[0].finish_reason for chunk in stream][-1] is not None
    assert b"Chasqui" in get(f"{deployment.url}/docs").body


def test_grpc_is_served_through_the_same_port(deployment: Deployment) -> None:
    with grpc.insecure_channel(deployment.target) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        answer = stub.Chat(grpc_request(max_tokens=8), metadata=CREDENTIALS)
        assert answer.usage.completion_tokens > 0
        with pytest.raises(grpc.RpcError) as refused:
            stub.Chat(grpc_request(max_tokens=8))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_keys_of_the_env_file_are_asked_for(deployment: Deployment) -> None:
    body = {"model": MODEL, "messages": MESSAGES, "max_tokens": 4}
    assert post(f"{deployment.url}/v1/chat/completions", body).status == 401
    assert post(f"{deployment.url}/v1/chat/completions", body, authorization="Bearer wrong").status == 401


def test_both_edges_get_calls(deployment: Deployment) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda _: chats(deployment), range(32)))
    counts = [docker("logs", name).stderr.count("request answered") for name in deployment.containers("edge")]
    assert len(counts) == 2
    assert all(counts)


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_may_write_nowhere_and_do_nothing_as_a_user_of_its_own(
    deployment: Deployment, service: str
) -> None:
    state = deployment.state(service)
    assert state["HostConfig"]["ReadonlyRootfs"]
    assert state["HostConfig"]["CapDrop"] == ["ALL"]
    shown = docker(
        "exec", state["Name"].strip("/"), "bash", "-c", "id -u; grep CapEff /proc/self/status"
    ).stdout.split()
    assert shown[0] in ("10001", "101")
    assert int(shown[-1], 16) == 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_health_check_costs_little(deployment: Deployment, report: Report, service: str) -> None:
    state = deployment.state(service)
    words = state["Config"]["Healthcheck"]["Test"][1:]
    timed = (
        f"TIMEFORMAT='%U %S'; time {' '.join(words[:2])}"
        if words[0] != "bash"
        else f"TIMEFORMAT='%U %S'; time ({words[2]})"
    )
    shown = docker("exec", state["Name"].strip("/"), "bash", "-c", timed).stderr.split()
    seconds = sum(map(float, shown[-2:]))
    report.add(f"health check of {service}, CPU", f"{seconds:.2f} s")
    assert state["State"]["Health"]["Status"] == "healthy"


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_that_was_stopped_comes_back_with_up(deployment: Deployment, report: Report, service: str) -> None:
    began = time.monotonic()
    deployment.compose("stop", service)
    report.seconds(f"`stop {service}`", began)
    began = time.monotonic()
    deployment.up("--scale", "edge=2")
    report.seconds("`up --wait` after it", began)
    wait_until(lambda: chats(deployment))


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_whose_process_is_killed_is_started_again(
    deployment: Deployment, report: Report, service: str
) -> None:
    name = deployment.containers(service)[0]
    before = deployment.state(service)["RestartCount"]
    began = time.monotonic()
    # All that its user runs but the first process, which passes the status on.
    docker("exec", name, "bash", "-c", "kill -9 -1", check=False)
    wait_until(lambda: deployment.state(service)["RestartCount"] == before + 1)
    wait_until(lambda: chats(deployment))
    report.seconds(f"from kill -9 of {service} to the next answer", began)


def test_running_streams_end_by_themselves_while_a_container_is_restarted(paced: Deployment, report: Report) -> None:
    for service in SERVICES:
        restart(paced, service, report)


def restart(deployment: Deployment, service: str, report: Report) -> None:
    with ThreadPoolExecutor(4) as pool:
        streams = [pool.submit(kind, deployment) for kind in (stream_of, grpc_stream_of)]
        wait_until(lambda: running(deployment) == 2)
        began = time.monotonic()
        deployment.compose("restart", service)
        report.seconds(f"`restart {service}` under two streams", began)
        assert [stream.result() for stream in streams] == ["length"] * 2
    wait_until(lambda: chats(deployment))


def test_running_streams_end_by_themselves_while_all_is_taken_down(paced: Deployment, report: Report) -> None:
    with ThreadPoolExecutor(4) as pool:
        streams = [pool.submit(kind, paced) for kind in (stream_of, grpc_stream_of) * 2]
        wait_until(lambda: running(paced) == 4)
        began = time.monotonic()
        paced.down()
        report.seconds("`down` under four streams", began)
        assert [stream.result() for stream in streams] == ["length"] * 4
    assert paced.compose("ps", "--all", "--quiet") == ""


def running(deployment: Deployment) -> int:
    """Calls that Envoy carries now."""
    [name] = deployment.containers("envoy")
    script = (
        "source <(sed '/^case/,$d' /usr/local/bin/chasqui-envoy); statistic '^http\\.public\\.downstream_rq_active$'"
    )
    return int(docker("exec", name, "bash", "-c", script).stdout or 0)


def test_a_wrong_setting_ends_the_server_with_status_2_and_a_sentence_a_few_times_only(report: Report) -> None:
    wrong = Deployment(settings={"CHASQUI_PARALLEL": "several"})
    try:
        began = time.monotonic()
        assert wrong.try_compose("up", "--no-build", "--wait").returncode != 0
        wait_until(lambda: wrong.state("server")["State"]["Status"] == "exited")
        report.seconds("a wrong setting is given up", began)
        state = wrong.state("server")
        assert (state["State"]["ExitCode"], state["RestartCount"]) == (2, 5)
        assert "CHASQUI_PARALLEL is 'several'" in wrong.logs("server")
    finally:
        wrong.down()


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: a file of another user takes root")
def test_tls_is_served_with_a_key_that_envoy_s_user_can_read_and_said_to_be_unreadable_otherwise(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    certificate.chmod(0o644)
    key.chmod(0o600)
    tmp_path.chmod(0o755)
    files = ("--tls-certificate", "/etc/envoy/tls/tls.crt", "--tls-key", "/etc/envoy/tls/tls.key")
    rendered = Deployment().compose(
        *("run", "--rm", "--no-deps", "edge", "envoy-config", "--host", "0.0.0.0", "--port", "8080"),  # noqa: S104 - a container's
        *("--edge-address", "edge:8000", *files),
    )
    (tmp_path / "envoy.yaml").write_text(rendered)
    mounts = [f"{tmp_path}/envoy.yaml:/etc/envoy/envoy.yaml:ro", f"{tmp_path}:/etc/envoy/tls:ro"]
    (tmp_path / "tls.json").write_text(json.dumps({"services": {"envoy": {"volumes": mounts}}}))
    with_tls = Deployment([tmp_path / "tls.json"])
    try:
        assert with_tls.try_compose("up", "--no-build", "--wait").returncode != 0
        assert "/etc/envoy/tls/tls.key cannot be read by user 101" in with_tls.logs("envoy")
        os.chown(key, 101, 101)
        with_tls.up()
        body = {"model": MODEL, "messages": MESSAGES, "max_tokens": 4}
        url = with_tls.url.replace("http:", "https:")
        assert post(f"{url}/v1/chat/completions", body).status == 200
    finally:
        with_tls.down()


def test_a_batch_runs_in_a_container_of_its_own_and_its_results_outlive_all_of_them(report: Report) -> None:
    deployment = Deployment([ROOT / "docker" / "compose.batches.yaml"])
    deployment.down()
    try:
        deployment.up()
        key = deployment.compose("exec", "server", "chasqui", "keys", "create", "ana").strip()
        with OpenAI(base_url=f"{deployment.url}/v1", api_key=key, max_retries=5) as owner:
            wait_until(lambda: is_known(owner))
            body = {"model": MODEL, "messages": MESSAGES, "max_tokens": 40, "ignore_eos": True}
            url: Any = "/v1/chat/completions"
            line = {"method": "POST", "url": url, "body": body}
            requests = "\n".join(json.dumps({"custom_id": f"{number}", **line}) for number in range(20))
            file = owner.files.create(file=("requests.jsonl", requests.encode()), purpose="batch")
            began = time.monotonic()
            batch = owner.batches.create(input_file_id=file.id, endpoint=url, completion_window="24h")
            state = deployment.state("batches")
            assert state["HostConfig"]["ReadonlyRootfs"]
            assert state["State"]["Health"]["Status"] == "healthy"
            wait_until(lambda: answered(owner, batch.id) > 0)
            docker("exec", state["Name"].strip("/"), "bash", "-c", "kill -9 -1", check=False)
            wait_until(lambda: owner.batches.retrieve(batch.id).status == "completed")
            report.seconds("a batch of 20 lines whose runner is killed", began)
            deployment.compose("down")
            deployment.up()
            done = owner.batches.retrieve(batch.id)
            answers = owner.files.content(str(done.output_file_id)).text.splitlines()
            assert sorted(int(json.loads(answer)["custom_id"]) for answer in answers) == list(range(20))
            with grpc.insecure_channel(deployment.target) as channel:
                stub = batch_service_pb2_grpc.BatchServiceStub(channel)
                request = batch_service_pb2.GetBatchRequest(id=batch.id)
                found = stub.GetBatch(request, metadata=(("authorization", f"Bearer {key}"),)).batch
            assert (found.status, found.completed) == (batch_service_pb2.BATCH_STATUS_COMPLETED, 20)
    finally:
        deployment.down()


def is_known(owner: OpenAI) -> bool:
    """Whether the server has read the key, which takes up to a second."""
    with suppress(AuthenticationError):
        return bool(owner.models.list().data)
    return False


def answered(owner: OpenAI, batch_id: str) -> int:
    """Lines that have an answer."""
    counts = owner.batches.retrieve(batch_id).request_counts
    return 0 if counts is None else counts.completed


def test_the_gpu_image_keeps_what_its_base_has_and_adds_tested_versions() -> None:
    image = ("run", "--rm", "--network", "none", "chasqui-test/server-gpu")
    frozen = docker("run", "--rm", "--network", "none", "--entrypoint", "pip", image[-1], "freeze").stdout
    installed = dict(line.lower().split("==") for line in frozen.splitlines() if "==" in line)
    tested = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    assert (installed["numpy"], installed["typing_extensions"]) == ("1.26.4", "4.12.2")
    added = ("msgspec", "uvloop", "llguidance", "protobuf", "grpcio", "opentelemetry-sdk", "sqlalchemy", "psycopg")
    assert {name: installed[name] for name in added} == {name: tested[name] for name in added}
    assert "Usage: chasqui server" in docker(*image, "server", "--help").stdout
