"""The typed API from web programs: Connect and gRPC-Web with the packages of npm, in Node.js and in a browser."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.web_programs import bundle
from tests.support.npm import node
from tests.support.readme import ROOT
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

CONNECT = ["connect", "grpc-web over connect-web"]
GRPC_WEB = ["grpc-web, text", "grpc-web, binary"]
ANSWER = "The capital of Peru is Lima."


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The origin of a web server for a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def elsewhere(program: Path) -> Iterator[str]:
    """Another origin than the service's, with an empty page that has the program."""
    page = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/bundle.mjs"></script>'
    (program.parent / "index.html").write_text(page, encoding="utf-8")
    with served(program.parent) as origin:
        yield origin


@pytest.fixture(scope="module")
def service(elsewhere: str) -> Iterator[Service]:
    with Service(engine="llama-cpp", parallel=4, threads=1, cors_origins=elsewhere) as service:
        yield service


@pytest.fixture(params=["Node.js", "browser"])
def call(
    request: pytest.FixtureRequest, program: Path, elsewhere: str, service: Service
) -> Iterator[Callable[[str], Any]]:
    """Run a program against the service."""
    if request.param == "Node.js":
        yield lambda name: in_node(program, name, service.url)
        return
    browser: Browser = request.getfixturevalue("browser")
    page = browser.new_page()
    page.goto(elsewhere)
    page.wait_for_function("() => 'callService' in globalThis")
    yield lambda name: page.evaluate("([name, url]) => callService(name, url)", [name, service.url])
    page.close()


def in_node(program: Path, name: str, url: str) -> Any:
    done = subprocess.run([node(), str(program), name, url], capture_output=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CONNECT)
def test_connect_es_chats_streams_lists_and_aborts(call: Callable[[str], Any], name: str) -> None:
    seen = call(name)
    assert seen["models"] == ["chasqui-demo"]
    assert seen["whole"] == seen["streamed"] == ANSWER
    assert seen["events"] == ["started", "completed"]
    assert seen["aborted"]["code"] == "Canceled"


@pytest.mark.parametrize("name", CONNECT)
def test_a_refusal_has_its_code_and_words(call: Callable[[str], Any], name: str) -> None:
    seen = call(name)
    for refused in (seen["refused"], seen["refusedStream"]):
        assert refused["code"] == "NotFound"
        assert "'nothing' does not exist" in refused["message"]
    if name != "connect":  # in Connect's form Envoy writes the types of details as addresses, which connect-es skips
        assert seen["refused"]["reasons"] == ["MODEL_NOT_FOUND"]


def test_a_client_that_sends_json_is_told_the_setting(call: Callable[[str], Any]) -> None:
    seen = call("connect")["inJson"]
    assert seen["code"] == "Unimplemented"
    assert "useBinaryFormat" in seen["message"]


@pytest.mark.parametrize("name", GRPC_WEB)
@pytest.mark.parametrize("call", ["browser"], indirect=True)  # the package runs in browsers only
def test_the_package_grpc_web_chats_and_streams(call: Callable[[str], Any], name: str) -> None:
    seen = call(name)
    assert seen["whole"] == ANSWER
    assert seen["streamed"] == (ANSWER if name == "grpc-web, text" else None)
    assert seen["refused"]["code"] == 5
    assert "'nothing' does not exist" in seen["refused"]["message"]


def test_the_program_of_the_readme_prints_an_answer(program: Path, service: Service) -> None:
    [code] = re.findall(
        r"^```js\n(.*?)^```", (ROOT / "proto" / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.M
    )
    code = code.replace("./gen/typescript/", "./").replace("http://localhost:8080", service.url)
    (program.parent / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (program.parent / "readme.mjs").write_text(code, encoding="utf-8")
    done = subprocess.run([node(), str(program.parent / "readme.mjs")], capture_output=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.strip()


def test_a_page_of_another_origin_is_refused_by_the_browser(browser: Browser, program: Path, service: Service) -> None:
    with served(program.parent) as stranger:
        page = browser.new_page()
        page.goto(stranger)
        page.wait_for_function("() => 'callService' in globalThis")
        assert page.evaluate(
            "(url) => callService('connect', url).then(() => 'let in', () => 'kept out')", service.url
        ) == ("kept out")
        page.close()
