"""The container recipes, as far as they can be checked without Docker's daemon, and by Compose where it exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from services.engine.model.checkpoint import read_checkpoint
from services.engine.tensorrt_llm.memory import cache_tokens
from services.engine.tensorrt_llm.options import Options
from services.settings import Settings, fields, variable
from tests.support.extras import packages_of
from tests.support.tensorrt_llm.release import write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
FILES = ("compose.yaml", "compose.gpu.yaml", "compose.observability.yaml", "compose.batches.yaml")
COMPOSE = {name: yaml.safe_load((DOCKER / name).read_text()) for name in FILES}
SERVICES = [(name, service, given) for name, file in COMPOSE.items() for service, given in file["services"].items()]
OURS = ("server", "edge", "server-gpu")


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, continued lines joined and comments left out."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def stages(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Instructions by the name of their stage."""
    found: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for word, arguments in instructions(path):
        if word == "FROM":
            base, _, name = arguments.partition(" AS ")
            current = found.setdefault(name.strip() or f"last: {base}", [])
        current.append((word, arguments))
    return found


def variables_of(stage: list[tuple[str, str]]) -> dict[str, str]:
    """What ENV sets."""
    pairs = [part.partition("=") for word, arguments in stage if word == "ENV" for part in arguments.split()]
    return {name: value for name, _, value in pairs}


def stage_to_run(name: str) -> list[tuple[str, str]]:
    """The stage of an image of ours that runs."""
    wanted = {"server-gpu": "serve", "edge": "worker"}.get(name)
    found = stages(DOCKER / f"{name}.Dockerfile")
    return found[wanted] if wanted else list(found.values())[-1]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_an_image_copies_exists_and_is_not_ignored(path: Path) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [
        arguments.split() for word, arguments in instructions(path) if word == "COPY" and "--from=" not in arguments
    ]
    sources = [source for words in copies for source in words[:-1] if not source.startswith("--")]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists() or source not in allowed] == []


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_every_stage_that_is_named_exists(path: Path) -> None:
    names = stages(path)
    used = [re.findall(r"--from=(\S+)", arguments) for _, arguments in instructions(path)]
    assert [name for found in used for name in found if name not in names] == []


@pytest.mark.parametrize("name", OURS)
def test_an_image_runs_as_a_user_of_its_own_with_a_health_check(name: str) -> None:
    stage = dict(stage_to_run(name))
    assert stage["USER"] in ("chasqui", "10001:10001")
    assert json.loads(stage["ENTRYPOINT"])[-1] == "chasqui"
    assert json.loads(stage["HEALTHCHECK"].partition("CMD ")[2])[0] in ("chasqui", "bash")


@pytest.mark.skipif(shutil.which("ldd") is None, reason="not run: there is no ldd here, which glibc brings")
def test_the_server_s_image_has_the_libraries_that_the_packages_of_its_extra_leave_to_the_system() -> None:
    # Of python:3.12-slim-bookworm, beside those of glibc itself.
    base = {"libstdc++.so.6", "libgcc_s.so.1", "libz.so.1"}
    glibc = re.compile(r"(ld-linux.*|libc|libm|libdl|librt|libpthread|libutil|libresolv)\.so\.\d+")
    packages = {"libgomp1": "libgomp.so.1"}
    [installed] = [words for _, words in stage_to_run("server") if "apt-get install" in words]
    there = base | {library for package, library in packages.items() if package in installed.split()}
    needed = {name for name in system_libraries("llama-cpp") if not glibc.fullmatch(name)}
    assert "libgomp.so.1" in needed
    assert needed <= there


def system_libraries(extra: str) -> set[str]:
    """What the shared libraries in the packages of an extra need and do not bring."""
    files = [
        Path(str(file.locate()))
        for package in packages_of(extra)
        for file in package.files or ()
        if re.search(r"\.so(\.|$)", file.name)
    ]
    own = {file.name for file in files}
    shown = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607 - installed here
    return (
        {Path(name).name for name in re.findall(r"^\t(\S+) (?:=>|\()", shown, flags=re.MULTILINE)}
        - own
        - {"linux-vdso.so.1"}
    )


@pytest.mark.parametrize("name", OURS)
def test_the_variables_of_an_image_are_settings_with_possible_values(name: str) -> None:
    ours = {key: value for key, value in variables_of(stage_to_run(name)).items() if key.startswith("CHASQUI_")}
    settings = Settings.read(ours)
    assert settings.relay_address == "unix:/run/chasqui/relay.sock"


REPLICA = [
    *(("compose.yaml", service) for service in ("server", "edge", "envoy")),
    ("compose.batches.yaml", "batches"),
]


@pytest.mark.parametrize(("file", "service"), REPLICA)
def test_a_container_has_no_capability_and_nothing_to_write_to_but_tmp_and_its_volumes(file: str, service: str) -> None:
    given = COMPOSE[file]["services"][service]
    assert given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert (given["read_only"], given["tmpfs"]) == (True, ["/tmp"])  # noqa: S108 - a container's own


@pytest.mark.parametrize(("file", "service"), REPLICA)
def test_a_container_that_cannot_run_is_not_started_for_ever(file: str, service: str) -> None:
    assert COMPOSE[file]["services"][service]["restart"] == "on-failure:5"


def test_server_edge_and_runner_have_the_same_accounts_and_files_on_the_same_volume() -> None:
    services = COMPOSE["compose.batches.yaml"]["services"]
    for given in services.values():
        assert "data:/var/lib/chasqui" in given["volumes"]
        for name in ("CHASQUI_ACCOUNTS", "CHASQUI_FILES"):
            assert given["environment"][name] == services["server"]["environment"][name]


def test_both_sides_of_the_relay_have_one_user_who_alone_may_enter_its_directory() -> None:
    runs = [" ".join(arguments for word, arguments in stage_to_run(name) if word == "RUN") for name in OURS]
    assert all("useradd --uid 10001" in run and re.search(r"--mode 0700 /run/chasqui", run) for run in runs)


def test_the_gpu_image_is_the_release_that_the_engine_was_written_for() -> None:
    words = dict(instructions(DOCKER / "server-gpu.Dockerfile"))
    assert words["ARG"] == "TENSORRT_LLM=1.2.1"
    assert any("nvcr.io/nvidia/tensorrt-llm/release:${TENSORRT_LLM}" in a for _, a in instructions(DOCKERFILES[1]))


@pytest.mark.parametrize(
    ("file", "service", "given"), SERVICES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_service_is_built_from_a_stage_that_exists(file: str, service: str, given: dict[str, Any]) -> None:
    build = given.get("build", {})
    if "dockerfile" not in build:  # an image of somebody else, or an addition to a service of another file
        assert "image" in given or service in COMPOSE["compose.yaml"]["services"]
        return
    path = (DOCKER / build["context"] / build["dockerfile"]).resolve()
    assert path.is_file()
    assert build.get("target") in (None, *stages(path))


@pytest.mark.parametrize(
    ("file", "service", "given"), SERVICES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_service_gets_settings_that_exist(file: str, service: str, given: dict[str, Any]) -> None:
    passed = {name: value for name, value in given.get("environment", {}).items() if name.startswith("CHASQUI_")}
    Settings.read({name: str(value) for name, value in passed.items() if value is not None})
    assert sorted(set(passed) - {variable(setting.name) for setting in fields()}) == []


def test_every_setting_of_tensorrt_llm_reaches_the_gpu_container() -> None:
    passed = COMPOSE["compose.gpu.yaml"]["services"]["server"]["environment"]
    wanted = {variable(setting.name) for setting in fields() if setting.metadata["help"].startswith("TensorRT-LLM:")}
    assert wanted
    assert sorted(wanted - set(passed)) == []


def test_of_the_replica_only_envoy_has_a_port_and_all_are_on_loopback_by_default() -> None:
    ports = {service: given["ports"] for _, service, given in SERVICES if "ports" in given}
    assert ports.pop("envoy") == ["${CHASQUI_HOST:-127.0.0.1}:${CHASQUI_PORT:-8080}:8080"]
    # What operators look at is for this machine.
    assert sorted(ports) == ["grafana", "jaeger", "prometheus"]
    assert all(port.startswith("127.0.0.1:") for given in ports.values() for port in given)


def test_the_gpu_container_has_the_shared_memory_and_limits_that_nvidia_documents() -> None:
    server = COMPOSE["compose.gpu.yaml"]["services"]["server"]
    assert server["ipc"] == "host"
    assert server["ulimits"] == {"memlock": -1, "stack": 67108864}
    assert server["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


@pytest.mark.parametrize("files", [FILES[:1], FILES[:2], FILES], ids=["cpu", "gpu", "all"])
def test_compose_accepts_the_files(files: Sequence[str]) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:  # noqa: S603, PLW1510, RUF100
        pytest.skip("not run: there is no Docker client with Compose here")
    chosen = [word for file in files for word in ("--file", str(DOCKER / file))]
    result = subprocess.run([docker, "compose", *chosen, "config"], capture_output=True, text=True)  # noqa: S603, PLW1510, RUF100
    assert result.returncode == 0, result.stderr


def test_files_that_are_mounted_exist_and_are_read_only() -> None:
    mounted = [volume for _, _, given in SERVICES for volume in given.get("volumes", []) if volume.startswith("./")]
    assert len(mounted) == 6
    for volume in mounted:
        path, _, mode = volume.split(":")
        assert (DOCKER / path).is_file()
        assert mode == "ro"


def test_envoy_s_image_takes_every_argument_that_it_is_given() -> None:
    given = COMPOSE["compose.observability.yaml"]["services"]["envoy"]["build"]["args"]
    stage = stages(DOCKER / "edge.Dockerfile")["envoy-config"]
    taken = {pair.partition("=")[0] for word, arguments in stage if word == "ARG" for pair in arguments.split()}
    assert set(given) == taken


def test_prometheus_asks_the_port_at_which_parts_show_their_metrics() -> None:
    jobs = yaml.safe_load((DOCKER / "observability" / "prometheus.yaml").read_text())["scrape_configs"]
    asked = {tuple(sd["names"]): sd["port"] for job in jobs for sd in job["dns_sd_configs"]}
    services = COMPOSE["compose.observability.yaml"]["services"]
    shown = {("envoy",): services["envoy"]["build"]["args"]["CHASQUI_METRICS_ADDRESS"]}
    services = {**services, **{"batches": COMPOSE["compose.batches.yaml"]["services"]["batches"]}}
    names = ("server", "edge", "batches")
    shown |= {(name,): services[name]["environment"]["CHASQUI_METRICS_ADDRESS"] for name in names}
    assert {name: int(address.rpartition(":")[2]) for name, address in shown.items()} == asked


@pytest.mark.parametrize(
    ("free", "weights", "dtype", "said"),
    [
        (22.5, 15.0, "auto", "31,000"),
        (22.5, 8.5, "fp8", "153,000"),
        (79.6, 15.0, "auto", "429,000"),
        (79.6, 8.5, "fp8", "948,000"),
    ],
)
def test_the_readme_s_arithmetic_is_the_server_s(
    tmp_path: Path, free: float, weights: float, dtype: str, said: str
) -> None:
    path = write_checkpoint(tmp_path / "model")
    with (path / "model.safetensors").open("wb") as file:
        file.truncate(int(weights * 2**30))
    options = Options(context_length=0, parallel=1, kv_cache_dtype=dtype)
    tokens = cache_tokens(read_checkpoint(path), options, int(free * 2**30))
    assert said in (DOCKER / "README.md").read_text()
    assert f"{round(tokens, -3):,}" == said
