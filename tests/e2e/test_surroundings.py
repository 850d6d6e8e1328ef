"""`chasqui up` wherever it is put: odd descriptors, directories, environments and signals."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.support.http import get, open_stream, post, read_until
from tests.support.ports import free_port, free_row
from tests.support.service import Service, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SETTINGS: Mapping[str, Any] = {"engine": "simulated", "simulated_rate": 0, "model_name": "simulated"}
CHAT = "/v1/chat/completions"
BODY: Mapping[str, Any] = {
    "model": "simulated",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 60,
    "ignore_eos": True,
}


def put(**started: Any) -> Service:
    """A service whose process is started with these arguments of Popen."""
    service = Service(**SETTINGS)
    service.started = started
    return service


def private_directory(service: Service) -> Path:
    """Where the service has its sockets."""
    address = service.parts()["server"].environ()["CHASQUI_SERVER_ADDRESS"]
    return Path(address.removeprefix("unix:")).parent


def chats(service: Service) -> bool:
    """Whether a call is answered."""
    return post(service.url + CHAT, BODY).status == 200


def send_to_all(service: Service, number: signal.Signals) -> None:
    """Signal every process, as systemd does with a control group."""
    for process in (*service.parts().values(), psutil.Process(service.process.pid)):
        with suppress(psutil.NoSuchProcess):  # it may have started anew when another one had ended
            process.send_signal(number)


def close_standard_streams() -> None:
    for descriptor in range(3):
        os.close(descriptor)


def allow_few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


def ignore_and_block_signals() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})


def leave_a_directory_that_is_removed() -> None:
    gone = Path(f"/tmp/chasqui-test-gone-{os.getpid()}")  # noqa: S108 - for a moment
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()


ODD: Mapping[str, Callable[[], None]] = {
    "closed standard streams": close_standard_streams,
    "256 files": allow_few_files,
    "signals ignored and blocked": ignore_and_block_signals,
    "a current directory that is gone": leave_a_directory_that_is_removed,
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_whatever_is_inherited_it_serves_and_stops_at_a_signal(odd: Callable[[], None]) -> None:
    with put(preexec_fn=odd) as service:
        assert chats(service)
        assert service.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("output", ["/dev/full", "a closed pipe"])
def test_log_lines_that_cannot_be_written_stop_nothing(output: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    descriptor = os.open(output, os.O_WRONLY) if output.startswith("/") else writer
    with put(stdout=descriptor, stderr=descriptor) as service:
        assert chats(service)
        assert service.stop(signal.SIGTERM) == 0


def test_with_a_socket_for_its_output_it_serves_and_envoys_lines_are_in_it() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs, put(stdout=theirs, stderr=theirs) as service:
            assert chats(service)
            assert service.stop() == 0
        received = b"".join(iter(lambda: ours.recv(65536), b""))
    assert b'"path":"/v1/chat/completions"' in received


def test_every_line_of_envoy_stays_in_a_file_that_is_not_opened_for_appending(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file, put(stdout=file, stderr=file) as service:
        for _ in range(50):
            assert chats(service)
        service.stop()
    lines = log.read_text().splitlines()
    assert sum('"part":"envoy"' in line and CHAT in line for line in lines) == 50


def test_an_environment_of_nothing_but_settings_is_enough(tmp_path: Path) -> None:
    port = free_port()
    bare = {f"CHASQUI_{name.upper()}": str(value) for name, value in {**SETTINGS, "port": port}.items()}
    service = put(env=bare, umask=0o077, cwd=tmp_path)
    service.port = port
    with service:
        assert chats(service)
        assert service.stop() == 0


@pytest.mark.parametrize(
    "environ",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"},
        {"TMPDIR": "/nowhere", "HOME": "/nowhere", "XDG_RUNTIME_DIR": "/nowhere", "LANG": "xx_YY", "TERM": "dumb"},
        {"CHASQUI_SERVICE_HOST": "10.0.0.1", "CHASQUI_SERVICE_PORT": "80", "CHASQUI_PORT_80_TCP": "tcp://10.0.0.1:80"},
    ],
    ids=["ascii", "places that do not exist", "a Kubernetes Service of this name"],
)
def test_an_odd_environment_stops_nothing(environ: dict[str, str]) -> None:
    with Service(environ, **SETTINGS) as service:
        assert chats(service)
        assert service.prints("Chasqui serves")
        assert service.prints(f"page  {service.url}\n")


def test_blanks_and_umlauts_in_the_path_of_its_sockets_are_no_problem(tmp_path: Path) -> None:
    odd = Path(f"/tmp/mit Leerzeichen äöü {os.getpid()}")  # noqa: S108 - tmp_path is too long for a socket
    odd.mkdir()
    try:
        with Service({"TMPDIR": str(odd), "XDG_RUNTIME_DIR": ""}, **SETTINGS) as service:
            assert private_directory(service).parent == odd
            assert chats(service)
    finally:
        shutil.rmtree(odd)


def test_a_proxy_in_the_environment_is_not_asked_for_the_services_own_connections() -> None:
    first = free_row(3)
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "grpc_proxy", "all_proxy")
    addresses = {
        name: f"127.0.0.1:{first + index}"
        for index, name in enumerate(("server_address", "relay_address", "edge_address"))
    }
    with Service(dict.fromkeys(names, "http://127.0.0.1:9"), **SETTINGS, **addresses) as service:
        assert chats(service)


def test_nothing_in_the_current_directory_is_imported_or_executed(tmp_path: Path) -> None:
    for name in ("services", "edge", "chasqui"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported')")
    for name in ("grpc.py", "json.py", "logging.py", "h2.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    service = Service(engine="llama-cpp", threads=1)
    service.started = {"cwd": tmp_path}
    with service:
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        # The process that checks schemas is started for this call.
        body = {**BODY, "model": "chasqui-demo", "ignore_eos": False, "response_format": form}
        assert post(service.url + CHAT, body).status == 200
    assert not (tmp_path / "executed").exists()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize(("host", "callers"), [("::", ["127.0.0.1", "[::1]"]), ("::1", ["[::1]"])])
def test_on_ipv6_it_is_reached_and_shows_an_address_that_works(host: str, callers: list[str]) -> None:
    service = Service(host=host, **SETTINGS)
    service.host = callers[0]
    with service:
        assert [get(f"http://{caller}:{service.port}/readyz").status for caller in callers] == [200] * len(callers)
        assert service.prints(f"curl http://[::1]:{service.port}/v1/chat/completions")


def test_a_terminal_that_closes_drains_as_sigterm_does() -> None:
    with Service(**{**SETTINGS, "simulated_rate": 40}) as service:
        private = private_directory(service)
        with open_stream(service.url + CHAT, {**BODY, "stream": True}) as connection:
            service.process.send_signal(signal.SIGHUP)
            assert "data: [DONE]" in read_until(connection, "[DONE]")
        assert service.process.wait(60) == 0
        assert not private.exists()


def test_under_nohup_a_terminal_that_closes_changes_nothing() -> None:
    with put(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as service:
        send_to_all(service, signal.SIGHUP)
        assert chats(service)
        assert service.stop() == 0


def test_a_signal_to_every_process_at_once_lets_running_answers_finish() -> None:
    with Service(**{**SETTINGS, "simulated_rate": 40}) as service:
        with open_stream(service.url + CHAT, {**BODY, "stream": True}) as connection:
            send_to_all(service, signal.SIGTERM)
            assert "data: [DONE]" in read_until(connection, "[DONE]")
        assert service.process.wait(60) == 0


def test_files_that_a_cleaner_removed_are_written_again_before_a_start(tmp_path: Path) -> None:
    with Service(**SETTINGS) as service:
        (private_directory(service) / "envoy.yaml").unlink()
        envoy = service.parts()["envoy"]
        envoy.kill()
        envoy.wait(60)
        service.wait_ready()
        assert chats(service)


def test_a_service_whose_sockets_were_removed_is_reached_again() -> None:
    with Service(**SETTINGS) as service:
        private = private_directory(service)
        before = _without_envoy(service)
        shutil.rmtree(private)
        while before & _without_envoy(service):
            time.sleep(0.1)
        assert service.prints("cannot be reached at")
        envoy = service.parts()["envoy"]
        envoy.kill()
        envoy.wait(60)
        service.wait_ready()
        assert chats(service)
        assert private.stat().st_mode & 0o777 == 0o700


def _without_envoy(service: Service) -> set[int]:
    """The processes that are reached by a socket in the private directory alone."""
    return {process.pid for name, process in service.parts().items() if name != "envoy"}


def test_a_process_that_never_becomes_ready_ends_the_service_with_one_sentence() -> None:
    first = free_row(4)
    # Envoy's metrics follow those of the server and one edge worker; it cannot listen there.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 2))
        taken.listen()
        with pytest.raises(ServiceError) as ended, Service(metrics_address=f"127.0.0.1:{first}", **SETTINGS):
            pass
    lines = [line for line in str(ended.value).splitlines() if line.startswith("chasqui: ")]
    assert lines == ["chasqui: Envoy failed to start 5 times in a row, last with exit status 1."]


def test_a_supervisor_is_notified_when_the_service_is_ready_and_when_it_stops(tmp_path: Path) -> None:
    path = f"/tmp/chasqui-test-notify-{os.getpid()}"  # noqa: S108 - tmp_path is too long for a socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path)
        supervisor.settimeout(60)
        try:
            with Service({"NOTIFY_SOCKET": path}, **SETTINGS) as service:
                assert supervisor.recv(64) == b"READY=1"
                assert get(service.url + "/readyz").status == 200
                assert service.stop() == 0
            assert supervisor.recv(64) == b"STOPPING=1"
        finally:
            Path(path).unlink()
