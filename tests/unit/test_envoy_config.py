"""The rendered Envoy configuration: accepted by Envoy itself, and filled in as the addresses say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.envoy.config import EnvoyConfig, render

ENVOY = Path(sys.executable).with_name("envoy")


def config(**fields: object) -> EnvoyConfig:
    defaults: dict[str, object] = {
        "host": "127.0.0.1",
        "port": 8080,
        "server_address": "unix:/run/chasqui/server.sock",
        "edge_addresses": ("unix:/run/chasqui/edge-0.sock",),
        "admin_socket": Path("/run/chasqui/admin.sock"),
    }
    return EnvoyConfig(**(defaults | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"host": "0.0.0.0", "port": 1},  # noqa: S104 - rendered, not bound
        {"host": "::1"},
        {"server_address": "10.0.0.1:50051", "edge_addresses": ("10.0.0.1:9000", "10.0.0.1:9001")},
        {"server_address": "chat-server:50051", "edge_addresses": ("edge:9000",)},
        {"edge_addresses": ("unix:/a", "unix:/b", "unix:/c")},
    ],
    ids=["sockets", "all interfaces", "IPv6", "IP addresses", "host names", "three workers"],
)
def test_envoy_accepts_the_configuration(tmp_path: Path, fields: dict[str, object]) -> None:
    bootstrap = tmp_path / "envoy.yaml"
    bootstrap.write_text(render(config(**fields)))
    command = [str(ENVOY), "--mode", "validate", "--config-path", str(bootstrap), "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)  # noqa: S603 - our own Envoy
    assert done.returncode == 0, done.stderr.decode()


def test_nothing_is_left_to_be_filled_in() -> None:
    assert "${" not in render(config())


def test_every_edge_worker_is_an_endpoint_of_its_own() -> None:
    line = next(line for line in render(config(edge_addresses=("unix:/a", "h:1"))).splitlines() if '"/a"' in line)
    endpoints = json.loads(re.search(r"lb_endpoints: (\[.*\]) \}\]", line)[1])  # type: ignore[index]
    assert [endpoint["endpoint"]["address"] for endpoint in endpoints] == [
        {"pipe": {"path": "/a"}},
        {"socket_address": {"address": "h", "port_value": 1}},
    ]


@pytest.mark.parametrize("address", ["", "unix:", "host", "host:", ":80", "host:0", "host:65536", "host:http"])
def test_an_address_of_neither_form_is_refused_by_name(address: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(address))):
        render(config(server_address=address))
