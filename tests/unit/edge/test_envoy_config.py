"""The rendered Envoy configuration: accepted by Envoy itself, and filled in as the addresses say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.envoy.config import EnvoyConfig, render
from edge.envoy.local_replies import local_replies
from edge.envoy.telemetry import Collector, collector
from services.settings import SettingsError

SAMPLERS = (
    *("always_on", "always_off", "traceidratio"),
    *("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
)
ENVOY = Path(sys.executable).with_name("envoy")


def config(**fields: object) -> EnvoyConfig:
    defaults: dict[str, object] = {
        "host": "127.0.0.1",
        "port": 8080,
        "server_addresses": ("unix:/run/chasqui/server.sock",),
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
        {
            "server_addresses": ("10.0.0.1:50051", "10.0.0.2:50051"),
            "edge_addresses": ("10.0.0.1:9000", "10.0.0.1:9001"),
        },
        {"server_addresses": ("chat-server:50051",), "edge_addresses": ("edge:9000",)},
        {"edge_addresses": ("unix:/a", "unix:/b", "unix:/c")},
        {"host": "::", "cors_origins": ("https://a.example", "*")},
        {"metrics_address": "127.0.0.1:9464"},
        *({"collector": Collector("otel", 4317, False, {}, sampler, 0.25)} for sampler in SAMPLERS),
        {"collector": Collector("127.0.0.1", 443, True, {"key": "secret"}, "always_on", 1.0)},
        {"metrics_address": "0.0.0.0:9464", "collector": Collector("::1", 4317, False, {}, "always_off", 1.0)},
    ],
    ids=[
        *("sockets", "all interfaces", "IPv6", "IP addresses", "host names", "three workers", "pages"),
        *("metrics", *SAMPLERS, "a collector behind TLS", "metrics and a collector"),
    ],
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


@pytest.mark.parametrize("origin", ["example.com", "https://a.example/", "https://a.example/path", "https://", ""])
def test_what_is_no_origin_is_refused_by_name(origin: str) -> None:
    with pytest.raises(ValueError, match=f"CHASQUI_CORS_ORIGINS has {re.escape(repr(origin))}"):
        render(config(cors_origins=(origin,)))


@pytest.mark.parametrize(
    ("status", "grpc_status"),
    [(401, 16), (404, 12), (408, 4), (413, 8), (431, 8), (501, 12), (502, 13), (503, 14), (504, 4)],
)
def test_each_reply_of_envoy_has_its_grpc_status(status: int, grpc_status: int) -> None:
    [mapper] = [
        mapper
        for mapper in local_replies()
        if mapper["filter"].get("status_code_filter", {}).get("comparison", {}).get("value", {}).get("default_value")
        == status
    ]
    assert [header["header"] for header in mapper["headers_to_add"]] == [
        {"key": "grpc-status", "value": str(grpc_status)}
    ]


@pytest.mark.parametrize("address", ["", "unix:", "host", "host:", ":80", "host:0", "host:65536", "host:http"])
def test_an_address_of_neither_form_is_refused_by_name(address: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(address))):
        render(config(server_addresses=(address,)))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4317", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4317", "OTEL_TRACES_EXPORTER": "none"}, None),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"},
            Collector("otel", 4318, False, {}, "always_on", 1.0),
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "otel:5000"}, Collector("otel", 5000, False, {}, "always_on", 1.0)),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://metrics-too:4317",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://otel",
                "OTEL_EXPORTER_OTLP_HEADERS": "Key=a=b, other = c",
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": "0.25",
            },
            Collector("otel", 443, True, {"key": "a=b", "other": "c"}, "traceidratio", 0.25),
        ),
    ],
)
def test_opentelemetry_s_variables_say_where_envoy_s_spans_go(
    environ: dict[str, str], expected: Collector | None
) -> None:
    assert collector(environ, trusts_callers=False) == expected


def test_callers_decide_what_is_traced_only_when_they_are_trusted() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4317", "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    trusting, strict = (collector(environ, trusts_callers=trust) for trust in (True, False))
    assert trusting is not None
    assert strict is not None
    assert (trusting.sampler, strict.sampler) == ("parentbased_always_off", "always_off")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:port"}, "port"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "unix:/a"}, "unix"),
        ({"OTEL_TRACES_SAMPLER": "sometimes"}, "sometimes"),
        ({"OTEL_TRACES_SAMPLER_ARG": "2"}, "2.0"),
        ({"OTEL_TRACES_SAMPLER_ARG": "half"}, "half"),
    ],
)
def test_a_variable_that_cannot_be_is_refused(environ: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        collector({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4317"} | environ, trusts_callers=False)


@pytest.mark.parametrize(
    ("addresses", "several"),
    [(("unix:/a",), False), (("10.0.0.1:1",), False), (("10.0.0.1:1", "10.0.0.2:1"), True), (("replicas:1",), True)],
    ids=str,
)
def test_sessions_have_clusters_of_their_own_where_there_may_be_several_replicas(
    addresses: tuple[str, ...], several: bool
) -> None:
    text = render(config(server_addresses=addresses))
    assert ("name: chat_server_sessions" in text, "name: edge_sessions" in text) == (several, several)
    assert ('"cluster": "edge_sessions"' in text) is several
