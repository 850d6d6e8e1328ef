"""The settings of all processes: one frozen dataclass, read once from `CHASQUI_*` variables and flags of that name."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from services.engine_settings import EngineSettings
from services.service_links import announces, service_links
from services.setting_values import SettingsError, parse, setting, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Settings", "SettingsError", "fields", "flag", "read_environment", "variable"]

PREFIX = "CHASQUI_"
DEMO_MODEL = Path(__file__).parent / "engine" / "model" / "demo" / "chasqui-demo.gguf"

# The largest request body, counted by the edge as it comes.
MAX_BODY_BYTES = 8 * 1024 * 1024
# The largest gRPC message either side accepts: a body of that size in protobuf, with room for its framing.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# Metadata of an RPC: 60 KiB of headers that Envoy lets through (max_request_headers_kb), and what it adds. gRPC's own
# limits differ from each other, 8 and 16 KiB, and in between it refuses calls at random.
MAX_METADATA_BYTES = 80 * 1024


@dataclass(frozen=True, slots=True)
class Settings(EngineSettings):
    """Every setting with its default. Field `x_y` is variable `CHASQUI_X_Y` and flag `--x-y`."""

    host: str = setting(
        "127.0.0.1", "Address that the public port listens on; keep it on loopback while no API key is set."
    )
    port: int = setting(8080, "Public port, for REST and gRPC.", minimum=1, maximum=65535)
    default_max_tokens: int = setting(
        4096, "max_tokens of a request that sets none.", unit="tokens", minimum=1, maximum=1_000_000
    )
    price: str = setting(
        "0.055",
        "Price of all tokens, or the prices of prompt, cached prompt and completion tokens, separated by commas; it "
        "holds while CHASQUI_ACCOUNTS has none (`chasqui prices`).",
        unit="USD per million tokens",
    )
    priority_price: float = setting(
        1.5, "Price of calls with service_tier priority, in multiples of that of default.", minimum=0, maximum=5
    )
    flex_price: float = setting(
        0.8, "Price of calls with service_tier flex, in multiples of that of default.", minimum=0, maximum=5
    )
    flex_wait: float = setting(
        600.0,
        "A call with service_tier flex that finds no idle slot in this time is refused.",
        unit="seconds",
        minimum=0.01,
    )
    api_keys: str = setting(
        "",
        "API keys separated by commas, or file:PATH of a file with one SHA-256 hash (hexadecimal) per line; empty: "
        "no authentication.",
    )
    accounts: str = setting(
        "",
        "SQLite file, or postgresql:// URL, of keys (`chasqui keys`), which calls then need as they do those of "
        "CHASQUI_API_KEYS, of prices (`chasqui prices`), and of a ledger (`chasqui usage`). Empty: no accounts.",
    )
    accounts_journal: str = setting(
        "",
        "File that keeps the ledger's rows while the database is away, and beside it those of calls that run, for the "
        "next server if this one is killed; a number is added to its name. Empty: beside the SQLite file, or "
        "chasqui-ledger among the temporary files.",
    )
    admin_address: str = setting(
        "",
        "Where the chat server listens for KeyService and the UsageService of all keys: unix:PATH or HOST:PORT, which "
        "only the operator should reach. Empty: nowhere.",
    )
    admin_keys: str = setting(
        "", "The keys of that address, in the forms of CHASQUI_API_KEYS; they are valid nowhere else."
    )
    total_limits: str = setting(
        "",
        "Limits of all calls together, as calls_per_minute=600,tokens_per_minute=100000,concurrent_calls=64,"
        "usd_per_day=20,usd_per_month=300; any of them. Those of a key are set with `chasqui keys`.",
    )
    limits_store: str = setting(
        "",
        "redis:// or valkey:// URL of the server that counts for all replicas; empty: each replica counts by itself.",
    )
    limits_fail_open: bool = setting(
        False, "Let calls in without limits while that server is away; off: refuse them, and be not ready."
    )
    files: str = setting(
        "",
        "Directory with the contents of files, for `/v1/files` and `/v1/batches`, or the URL of a bucket, as "
        "s3://bucket/folder; empty: beside the SQLite file of CHASQUI_ACCOUNTS, and without files on PostgreSQL.",
    )
    max_file_bytes: int = setting(
        200 * 1024 * 1024, "Largest file that may be uploaded.", unit="bytes", minimum=1024, maximum=2 * 1024**3
    )
    file_days: float = setting(
        30.0, "A file is deleted after this time, unless a batch still reads it.", unit="days", minimum=0.001
    )
    batch_parallel: int = setting(
        64, "Lines of batches that are in flight at the same time, in this replica.", minimum=1, maximum=4096
    )
    response_days: float = setting(
        0.0,
        "A response is stored this long in the database of CHASQUI_ACCOUNTS, to be read and continued with "
        "previous_response_id, unless its request has store false; 0: none is stored.",
        unit="days",
        minimum=0,
    )
    keep_alive: float = setting(
        10.0, "Interval of `: keep-alive` comments in a silent SSE stream.", unit="seconds", minimum=0.01
    )
    reader_timeout: float = setting(
        60.0,
        "A streamed call is cancelled when its caller has read nothing for this long.",
        unit="seconds",
        minimum=0.1,
    )
    stall_timeout: float = setting(
        30.0,
        "The server is not ready while a busy engine has made no progress for this long.",
        unit="seconds",
        minimum=0.1,
    )
    drain_delay: float = setting(
        2.0,
        "Time between becoming unready and refusing new calls, for load balancers to notice; Envoy notices within "
        "0.5 s.",
        unit="seconds",
        minimum=0,
    )
    grace_period: float = setting(
        30.0, "Time that running calls have to finish after SIGTERM.", unit="seconds", minimum=0
    )
    edge_transport: str = setting(
        "relay",
        "How edge workers call the chat server: relay is one stream for all calls of a worker, stream-chat one RPC "
        "per call.",
        choices=("relay", "stream-chat"),
    )
    edge_workers: int = setting(1, "Edge processes, each with a socket of its own.", minimum=1, maximum=256)
    server_address: str = setting(
        "",
        "Where the chat server listens: unix:PATH or HOST:PORT; empty: a private socket. `envoy-config` takes "
        "those of all replicas, separated by commas.",
    )
    relay_address: str = setting(
        "", "Where the chat server listens for edge workers: unix:PATH or HOST:PORT; empty: a private socket."
    )
    edge_address: str = setting(
        "",
        "Where the edge listens: unix:PATH or HOST:PORT (worker i adds i to the port); empty: a private socket. "
        "`envoy-config` takes those of all workers, separated by commas.",
    )
    metrics_address: str = setting(
        "",
        "HOST:PORT of the Prometheus endpoint; `up` gives it to the server, the next ports to the edge workers, "
        "Envoy and the batch runner. Empty: none. OTLP export has OpenTelemetry's own variables.",
    )
    trace_content: bool = setting(False, "Record prompts and completions in traces.")
    trust_traceparent: bool = setting(
        False,
        "Let a caller's traceparent decide whether its call is sampled; off: OTEL_TRACES_SAMPLER decides, and the "
        "caller's trace is continued.",
    )
    page: bool = setting(True, "Serve the web pages: the playground at /, and the API at /docs.")
    trace_url: str = setting(
        "",
        "Address of a call's trace, to which the playground links below each answer, as "
        "https://jaeger.example.com/trace/{trace_id}. Empty: no links.",
    )
    cors_origins: tuple[str, ...] = setting(
        (),
        "Origins of web pages that may call the service from a browser, as https://example.com, separated by "
        "commas; * for all. Empty: none.",
    )
    tls_certificate: str = setting(
        "",
        "PEM file with the certificate chain of the public port, and of CHASQUI_ADMIN_ADDRESS if that is HOST:PORT. "
        "Empty: no TLS.",
    )
    tls_key: str = setting("", "PEM file with the private key of that certificate.")
    tls_client_ca: str = setting(
        "",
        "PEM file with the authorities of client certificates: gRPC callers must show one, REST callers need none. "
        "Empty: no client certificates.",
    )
    log_level: str = setting("info", "Lowest severity that is logged.", choices=("debug", "info", "warning", "error"))
    log_format: str = setting(
        "auto", "Format of log lines; auto: text on a terminal, JSON elsewhere.", choices=("auto", "text", "json")
    )

    @classmethod
    def read(cls, environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Settings:
        """Settings from the environment, overridden by `flags` (field name -> text).

        SettingsError if a `CHASQUI_*` variable is unknown or has a value that its field does not take.
        """
        names = {variable(name): name for name in cls.__dataclass_fields__}
        links = ignored_variables(environ)
        given: dict[str, tuple[str, str]] = {}
        for key, text in environ.items():
            if key in links or not key.startswith(PREFIX):
                continue
            if announces(text):
                raise SettingsError(
                    f"{key} is {text!r}: so Kubernetes announces a Service, but no setting has that form."
                )
            if key not in names:
                raise SettingsError(f"{key} is no setting of Chasqui; `chasqui up --help` lists them.")
            given[names[key]] = (key, text)
        for name, text in (flags or {}).items():
            given[name] = (flag(name), text)
        hints = get_type_hints(cls)
        parsed = {
            name: parse(source, text, hints[name], cls.__dataclass_fields__[name].metadata)
            for name, (source, text) in given.items()
        }
        return cls(**parsed)

    def to_environ(self) -> dict[str, str]:
        """The variables that make another process read these settings; defaults are left out."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            variable(name): text_of(value)
            for name, value in values.items()
            if value != self.__dataclass_fields__[name].default
        }

    def replace(self, **changes: Any) -> Settings:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def fields() -> Iterator[dataclasses.Field[Any]]:
    """The settings in the order in which they are documented."""
    return iter(dataclasses.fields(Settings))


def variable(name: str) -> str:
    """The environment variable of a field."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The command-line flag of a field."""
    return "--" + name.replace("_", "-")


def ignored_variables(environ: Mapping[str, str]) -> frozenset[str]:
    """The `CHASQUI_*` variables that are no settings: those that Kubernetes sets for a Service of that name."""
    links = service_links(environ, map(variable, Settings.__dataclass_fields__))
    return frozenset(name for name in links if name.startswith(PREFIX))


def read_environment(flags: Mapping[str, str] | None = None) -> Settings:
    """Settings of this process."""
    return Settings.read(os.environ, flags)
