"""The settings of every part: one frozen dataclass, read once from `CHASQUI_*` variables and flags of the same name."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "CHASQUI_"
ENGINES = ("llama-cpp", "tensorrt-llm", "simulated")
DEMO_MODEL = Path(__file__).parent / "engine" / "model" / "demo" / "chasqui-demo.gguf"

# The largest request body, counted by the edge as it comes.
MAX_BODY_BYTES = 8 * 1024 * 1024
# The largest gRPC message either side accepts: a body of that size in protobuf, with room for its framing.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class SettingsError(Exception):
    """A setting is unknown or has a value that it cannot have; the message is one sentence for the terminal."""


def _setting(
    default: Any,
    help_text: str,
    *,
    unit: str = "",
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """Declare a field; the bounds are inclusive and belong to numbers."""
    metadata = {"help": help_text, "unit": unit, "choices": choices, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default. Field `x_y` is variable `CHASQUI_X_Y` and flag `--x-y`."""

    host: str = _setting("127.0.0.1", "Address of the public port; leave it on loopback while no key is set.")
    port: int = _setting(8080, "Public port, REST and gRPC alike.", minimum=1, maximum=65535)
    engine: str = _setting("llama-cpp", "What generates the answers.", choices=ENGINES)
    model: str = _setting(
        "",
        "A GGUF file or org/repo[:file] on the Hugging Face hub; empty: the demo model. For TensorRT-LLM a checkpoint "
        "directory, org/repo, or a compiled engine.",
    )
    model_name: str = _setting("", "The name that answers carry; empty: the one in the model file.")
    model_aliases: tuple[str, ...] = _setting(
        ("meta-llama/Meta-Llama-3.1-8B-Instruct",), "Other names that reach the model, separated by commas."
    )
    context_length: int = _setting(
        0, "Tokens of prompt and answer together; 0: the model's own.", unit="tokens", minimum=0, maximum=1_048_576
    )
    parallel: int = _setting(4, "Answers generated at the same time.", minimum=1, maximum=4096)
    max_queue: int = _setting(
        256,
        "Answers that may wait for a free place, n of a call; more are refused. One caller alone may fill half.",
        minimum=0,
    )
    max_queue_tokens: int = _setting(
        2_097_152,
        "Tokens that may wait: the prompt and max_tokens of every waiting answer.",
        unit="tokens",
        minimum=1,
    )
    threads: int = _setting(0, "CPU threads of llama.cpp; 0: one per core.", minimum=0, maximum=1024)
    tensor_parallel: int = _setting(
        1,
        "TensorRT-LLM: GPUs that share every layer; less time per token and less memory on each.",
        minimum=1,
        maximum=64,
    )
    pipeline_parallel: int = _setting(
        1,
        "TensorRT-LLM: groups of GPUs that share the layers between them; less memory on each.",
        minimum=1,
        maximum=64,
    )
    batch_tokens: int = _setting(
        8192,
        "TensorRT-LLM: tokens of a step, prompts included; more is faster on long prompts and takes memory.",
        unit="tokens",
        minimum=64,
        maximum=1_048_576,
    )
    kv_cache_fraction: float = _setting(
        0.85,
        "TensorRT-LLM: part of the GPU memory beside the weights that becomes KV cache; more holds more calls.",
        minimum=0.01,
        maximum=0.98,
    )
    kv_cache_dtype: str = _setting(
        "auto",
        "TensorRT-LLM: numbers of the KV cache; fp8 halves its size, auto is as the checkpoint says.",
        choices=("auto", "fp8"),
    )
    kv_cache_reuse: str = _setting(
        "on", "TensorRT-LLM: whether prompts that begin alike are computed once.", choices=("on", "off")
    )
    chunked_prefill: str = _setting(
        "on",
        "TensorRT-LLM: long prompts in pieces, so that answers flow meanwhile; off: no prompt longer than a step.",
        choices=("on", "off"),
    )
    guided_decoding: str = _setting(
        "on", "TensorRT-LLM: whether grammars are enforced; off refuses structured output.", choices=("on", "off")
    )
    sampler: str = _setting(
        "auto",
        "TensorRT-LLM: trtllm honours penalties, min_p and seed on release 1.2, torch does not; auto takes what "
        "honours most.",
        choices=("auto", "trtllm", "torch"),
    )
    speculative: str = _setting(
        "none",
        "TensorRT-LLM: drafts that are verified in one step, faster at small loads; ngram takes them from the text, "
        "eagle3 from a draft model.",
        choices=("none", "ngram", "eagle3"),
    )
    speculative_model: str = _setting("", "TensorRT-LLM: directory of the eagle3 draft model.")
    speculative_tokens: int = _setting(4, "TensorRT-LLM: most tokens of a draft.", unit="tokens", minimum=1, maximum=64)
    load_format: str = _setting(
        "auto", "TensorRT-LLM: dummy fills the model with random weights, to measure speed.", choices=("auto", "dummy")
    )
    simulated_rate: float = _setting(
        50.0, "Pace of the simulated engine per answer; 0: as fast as it can.", unit="tokens/s", minimum=0.0
    )
    simulated_shape: str = _setting(
        "step",
        "What the simulated engine wakes: the server once per step, or each call by itself, as TensorRT-LLM does.",
        choices=("step", "call"),
    )
    default_max_tokens: int = _setting(
        4096, "Longest answer when a request names none.", unit="tokens", minimum=1, maximum=1_000_000
    )
    price: float = _setting(0.055, "Price of prompt and completion tokens.", unit="USD per million tokens", minimum=0.0)
    api_keys: str = _setting(
        "", "Keys separated by commas, or file:PATH with one SHA-256 hash (hex) a line; empty: everyone is let in."
    )
    keep_alive: float = _setting(
        10.0, "Time between `: keep-alive` comments in a silent stream.", unit="seconds", minimum=0.01
    )
    reader_timeout: float = _setting(
        60.0, "A caller that reads nothing of its answer for this long is cut off.", unit="seconds", minimum=0.1
    )
    stall_timeout: float = _setting(
        30.0, "A working engine without progress for this long is not ready.", unit="seconds", minimum=0.1
    )
    drain_delay: float = _setting(
        2.0,
        "Time between turning unready and refusing calls; Envoy notices within 0.5 s and sends calls elsewhere.",
        unit="seconds",
        minimum=0,
    )
    grace_period: float = _setting(
        30.0, "Time that running answers have to end after SIGTERM.", unit="seconds", minimum=0
    )
    edge_transport: str = _setting(
        "relay",
        "How the edge reaches the chat server: one stream for all calls of a worker, or one RPC per call.",
        choices=("relay", "stream-chat"),
    )
    edge_workers: int = _setting(1, "Edge processes, each with a socket of its own.", minimum=1, maximum=256)
    server_address: str = _setting(
        "",
        "Where the chat server listens: unix:PATH or HOST:PORT; empty: a private socket. For an Envoy in front of "
        "several replicas those of all, separated by commas.",
    )
    relay_address: str = _setting(
        "", "Where the chat server takes edge workers, unix:PATH or HOST:PORT; empty: a private socket."
    )
    edge_address: str = _setting(
        "",
        "Where the edge listens: unix:PATH or HOST:PORT (worker i adds i to the port); empty: a private socket. For an "
        "Envoy in front of several workers those of all, separated by commas.",
    )
    metrics_address: str = _setting(
        "",
        "HOST:PORT where a part shows Prometheus its metrics; `up` counts on from it: server, edge workers, Envoy. "
        "Empty: nowhere. OTLP has OpenTelemetry's own variables.",
    )
    trace_content: str = _setting(
        "off", "Whether traces carry what was said: prompts and answers.", choices=("on", "off")
    )
    trust_traceparent: str = _setting(
        "off",
        "Whether a caller's traceparent decides that a call is traced; off: its trace is continued, and "
        "OTEL_TRACES_SAMPLER decides.",
        choices=("on", "off"),
    )
    tls_certificate: str = _setting("", "PEM file with the public port's certificate and its chain; empty: no TLS.")
    tls_key: str = _setting("", "PEM file with that certificate's key.")
    tls_client_ca: str = _setting(
        "",
        "PEM file with authorities of client certificates: gRPC callers need one of theirs, REST callers none. "
        "Empty: nobody does.",
    )
    log_level: str = _setting("info", "Least severity that is logged.", choices=("debug", "info", "warning", "error"))
    log_format: str = _setting(
        "auto", "Form of log lines; auto: text on a terminal, JSON elsewhere.", choices=("auto", "text", "json")
    )

    @classmethod
    def read(cls, environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Settings:
        """Settings from the environment, overridden by `flags` (field name -> text).

        SettingsError if a `CHASQUI_*` variable is unknown or a value is not what its field takes.
        """
        names = {variable(name): name for name in cls.__dataclass_fields__}
        given: dict[str, tuple[str, str]] = {}
        for key, text in environ.items():
            if key in names:
                given[names[key]] = (key, text)
            elif key.startswith(PREFIX):
                raise SettingsError(f"{key} is no setting of Chasqui; `chasqui up --help` lists them.")
        for name, text in (flags or {}).items():
            given[name] = (flag(name), text)
        hints = get_type_hints(cls)
        parsed = {
            name: _parse(source, text, hints[name], cls.__dataclass_fields__[name].metadata)
            for name, (source, text) in given.items()
        }
        return cls(**parsed)

    def to_environ(self) -> dict[str, str]:
        """The variables that make another process read these settings; defaults are left out."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            variable(name): ",".join(value) if isinstance(value, tuple) else str(value)
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


def read_environment(flags: Mapping[str, str] | None = None) -> Settings:
    """Settings of this process."""
    return Settings.read(os.environ, flags)


def _parse(source: str, text: str, kind: Any, metadata: Mapping[str, Any]) -> Any:
    """The value of `text`, which came from `source`; SettingsError names both and what was expected."""
    if kind is str:
        if metadata["choices"] and text not in metadata["choices"]:
            raise SettingsError(f"{source} is {text!r}, but must be one of {', '.join(metadata['choices'])}.")
        return text
    if kind in (int, float):
        return _parse_number(source, text, kind, metadata)
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _parse_number(source: str, text: str, kind: type[int] | type[float], metadata: Mapping[str, Any]) -> int | float:
    low, high = metadata["minimum"], metadata["maximum"]
    bounds = f" from {low:g} to {high:,}" if high is not None else f" of at least {low:g}"
    expected = ("a whole number" if kind is int else "a number") + bounds
    try:
        value = kind(text)
    except ValueError:
        raise SettingsError(f"{source} is {text!r}, but must be {expected}.") from None
    # The comparison is written so that NaN fails it.
    if not (value >= low and (high is None or value <= high)) or value == float("inf"):
        raise SettingsError(f"{source} is {text!r}, but must be {expected}.")
    return value
