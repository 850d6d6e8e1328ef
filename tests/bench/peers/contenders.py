"""What `make bench-peers` compares: Chasqui, and the peers that are installed under `build/bench/peers`.

Every one streams the same number of tokens at the same pace and runs no model. Of a peer's engine the smallest piece
that cannot run here is replaced (see `rigs/`); the process of the engine is measured, but not counted. A request for
one token is answered at once everywhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.peer_process import Peer, PeerError
from tests.bench.serving import OUTPUT, PACE, cpu_of
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.service import Service

ENGINE = "engine"  # the process that stands for a peer's engine
_ENVIRONMENTS = (OUTPUT / "peers").resolve()
_RIGS = Path(__file__).with_name("rigs").resolve()
_OFFLINE = {"HF_HUB_OFFLINE": "1"}
# The device is vLLM's own switch for machines without an accelerator.
_VLLM_ENVIRON = {
    **_OFFLINE,
    "VLLM_TARGET_DEVICE": "cpu",
    "VLLM_NO_USAGE_STATS": "1",
    "PACE": str(PACE),
    "PYTHONPATH": str(_RIGS),
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where calls go; `cpu` returns the seconds that each process has worked, by its name."""

    port: int
    model: str
    cpu: Callable[[], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Contender:
    """`paced` is for streams, `single` for calls of one token: two services where the pace is a setting."""

    paced: Target
    single: Target


@dataclass(frozen=True, slots=True)
class Stage:
    """What peers are made for: a directory with a tokenizer, which names the model, and both services of Chasqui."""

    directory: Path
    paced: Service
    single: Service

    @property
    def chasqui(self) -> Contender:
        """Chasqui itself."""
        model = str(self.directory)
        paced, single = (Target(each.port, model, partial(cpu_of, each)) for each in (self.paced, self.single))
        return Contender(paced, single)


def _of_peer(peer: Peer) -> Contender:
    """A peer whose engine answers calls of one token at once by itself."""
    target = Target(peer.port, peer.model, peer.cpu)
    return Contender(target, target)


def _of_proxy(proxy: Peer) -> Contender:
    """A proxy in front of Chasqui, which finds each of its services by the name of a model."""
    return Contender(Target(proxy.port, "paced", proxy.cpu), Target(proxy.port, "single", proxy.cpu))


@dataclass(frozen=True, slots=True)
class Entry:
    """A peer that may be installed.

    `environment` is its folder, `packages` are what is measured of it. `processes` are counted, `engine` is not;
    `replaced` is what is not the peer's own.
    """

    environment: str
    packages: tuple[str, ...]
    processes: str
    engine: str
    replaced: str
    peer: Callable[[Stage], Peer]
    contender: Callable[[Peer], Contender] = _of_peer

    def versions(self) -> dict[str, str]:
        """The version of each of its packages that is installed."""
        path = [str(found) for found in (_ENVIRONMENTS / self.environment).glob("lib/python*/site-packages")]
        found = {each.name.replace("_", "-").lower(): each.version for each in distributions(path=path)}
        return {name: found[name] for name in self.packages if name in found}

    def installed(self, stage: Stage) -> Peer:
        """The peer, to be started. PeerError if it is not installed."""
        absent = set(self.packages) - set(self.versions())
        if absent:
            raise PeerError(f"{', '.join(sorted(absent))} not installed in {_ENVIRONMENTS / self.environment}")
        return self.peer(stage)

    def described(self) -> dict[str, Any]:
        """What `peers.json` has about it."""
        return {
            "versions": self.versions(),
            "counted": self.processes,
            "not_counted": self.engine,
            "replaced": self.replaced,
        }


def _litellm(stage: Stage) -> Peer:
    port, config = free_port(), OUTPUT / "litellm.yaml"
    upstream = {"model": f"openai/{stage.directory}", "api_key": "none"}
    models = [
        {"model_name": name, "litellm_params": upstream | {"api_base": f"{service.url}/v1"}}
        for name, service in (("paced", stage.paced), ("single", stage.single))
    ]
    settings = {"dangerously_permit_weak_or_unset_master_key": True}
    config.write_text(json.dumps({"model_list": models, "general_settings": settings}))  # JSON is YAML, too
    command = [_program("gateways", "litellm"), "--config", config, "--host", "127.0.0.1", "--port", port]
    return Peer(port, "single", {"proxy": command}, environ={"LITELLM_LOCAL_MODEL_COST_MAP": "True"})


def _vllm(stage: Stage) -> Peer:
    port = free_port()
    return Peer(
        port,
        str(stage.directory),
        {"API server": _vllm_command(stage.directory, port)},
        environ=_VLLM_ENVIRON,
        children={"VLLM::EngineCore": ENGINE},
    )


def _vllm_in_rust(stage: Stage) -> Peer:
    port = free_port()
    return Peer(
        port,
        str(stage.directory),
        {"API server": _vllm_command(stage.directory, port)},
        environ={**_VLLM_ENVIRON, "VLLM_USE_RUST_FRONTEND": "1"},
        children={"VLLM::EngineCore": ENGINE},
    )


def _vllm_command(directory: Path, port: int) -> list[object]:
    """Prompts are taken whole and all at once, as the simulated engine takes them."""
    return [
        *(_program("vllm", "vllm"), "serve", directory, "--host", "127.0.0.1", "--port", port),
        *("--distributed-executor-backend", "vllm_engine.PacedExecutor", "--max-model-len", 4096),
        *("--max-num-seqs", 1024, "--max-num-batched-tokens", 262144, "--no-enable-chunked-prefill"),
    ]


def _sglang(stage: Stage) -> Peer:
    port = free_port()
    server = (_program("sglang", "python"), _RIGS / "sglang_server.py", PACE)
    command = [*server, "--model-path", stage.directory, "--device", "cpu", "--host", "127.0.0.1", "--port", port]
    children = {"sglang::scheduler": ENGINE, "sglang::detokenizer": "detokenizer"}
    return Peer(port, str(stage.directory), {"API server": command}, environ=_OFFLINE, children=children)


def _smg_with_vllm(stage: Stage) -> Peer:
    """The worker's warm-up, which fills the caches of a real engine, is left out: it takes 30 seconds."""
    port, worker_port = free_port(), free_port()
    worker = [*_vllm_command(stage.directory, worker_port), "--grpc"]
    return Peer(
        port,
        str(stage.directory),
        {"worker": worker, "gateway": _smg("vllm", port, worker_port, stage.directory)},
        environ={**_VLLM_ENVIRON, "SMG_VLLM_SERVICER_WARMUP": "off"},
        children={"VLLM::EngineCore": ENGINE},
    )


def _smg_with_bare_worker(stage: Stage) -> Peer:
    port, worker_port = free_port(), free_port()
    worker = [_program("gateways", "python"), _RIGS / "smg_worker.py", worker_port, stage.directory, PACE]
    return Peer(
        port, str(stage.directory), {"worker": worker, "gateway": _smg("gateways", port, worker_port, stage.directory)}
    )


def _smg(environment: str, port: int, worker_port: int, directory: Path) -> list[object]:
    """The gateway, which names the model after the directory of its tokenizer."""
    return [
        *(_program(environment, "smg"), "launch", "--host", "127.0.0.1", "--port", port, "--log-level", "warn"),
        *("--prometheus-host", "127.0.0.1", "--prometheus-port", free_port()),
        *("--worker-urls", f"grpc://127.0.0.1:{worker_port}", "--model-path", directory, "--tokenizer-path", directory),
    ]


def _program(environment: str, name: str) -> Path:
    return _ENVIRONMENTS / environment / "bin" / name


PEERS = {
    "vLLM": Entry(
        environment="vllm",
        packages=("vllm",),
        processes="API server in Python",
        engine="engine core with the scheduler",
        replaced="the executor, which would run the model",
        peer=_vllm,
    ),
    "vLLM, Rust front end": Entry(
        environment="vllm",
        packages=("vllm",),
        processes="API server in Rust, opted in by VLLM_USE_RUST_FRONTEND=1",
        engine="engine core with the scheduler",
        replaced="the executor, which would run the model",
        peer=_vllm_in_rust,
    ),
    "SGLang": Entry(
        environment="sglang",
        packages=("sglang",),
        processes="HTTP server with the tokenizer manager; detokenizer",
        engine="scheduler",
        replaced="the scheduler, which would run the model",
        peer=_sglang,
    ),
    "smg, vLLM's worker": Entry(
        environment="vllm",
        packages=("smg", "smg-grpc-servicer", "vllm"),
        processes="gateway in Rust; worker in Python, as `vllm serve --grpc` starts smg's servicer",
        engine="engine core with the scheduler",
        replaced="the executor, which would run the model",
        peer=_smg_with_vllm,
    ),
    "smg, bare worker": Entry(
        environment="gateways",
        packages=("smg", "smg-grpc-proto"),
        processes="gateway in Rust; worker in Python",
        engine="none",
        replaced="the worker of TensorRT-LLM's protocol, which does the least that such a worker can",
        peer=_smg_with_bare_worker,
    ),
    "LiteLLM": Entry(
        environment="gateways",
        packages=("litellm",),
        processes="proxy; Chasqui, which stands behind it, is not counted",
        engine="none",
        replaced="nothing",
        peer=_litellm,
        contender=_of_proxy,
    ),
}
