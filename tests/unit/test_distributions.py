"""What the wheels and the source distributions hold: all that a user needs, and no recipe, test or stray file."""

from __future__ import annotations

import re
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from services import __version__
from tests.support.distributions import ROOT, build

PROTOS = sorted(path.stem for path in (ROOT / "proto" / "chasqui" / "v1").glob("*.proto"))


OF_A_PROTO = (".proto", "_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def stubs(protos: list[str]) -> set[str]:
    return {f"chasqui/v1/{proto}{end}" for proto in protos for end in OF_A_PROTO} | {"chasqui/v1/py.typed"}


def wheel(path: Path) -> set[str]:
    """The files of a wheel beside its metadata."""
    with zipfile.ZipFile(path) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def sdist(path: Path) -> set[str]:
    """The files of a source distribution, without the folder that they are in."""
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def tracked(*folders: str) -> set[str]:
    """The source files of folders."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {
        path.relative_to(ROOT).as_posix()
        for path in paths
        if "__pycache__" not in path.parts and not re.search(r"_pb2(_grpc)?\.pyi?$", path.name)
    }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    out = tmp_path_factory.mktemp("service")
    return wheel(build(".", "wheel", out)), sdist(build(".", "sdist", out))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("client")


def test_the_service_s_wheel_holds_its_code_data_and_stubs_and_nothing_else(service: tuple[set[str], set[str]]) -> None:
    expected = {name for name in tracked("services", "edge") if PurePosixPath(name).suffix != ".md"}
    assert service[0] == expected | stubs(PROTOS)


def test_the_service_s_source_distribution_can_build_that_wheel_and_holds_no_tests(
    service: tuple[set[str], set[str]],
) -> None:
    beside = {"README.md", "LICENSE", "constraints.txt", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert service[1] == tracked("services", "edge", "proto") | beside


def test_the_client_s_wheel_holds_the_public_stubs_with_types_in_300_kb(client: Path) -> None:
    path = build("proto", "wheel", client)
    assert wheel(path) == stubs([proto for proto in PROTOS if proto != "relay_service"])
    assert path.stat().st_size < 300_000
    with zipfile.ZipFile(path) as archive:
        [info] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        required = re.findall(r"^Requires-Dist: ([\w-]+)", archive.read(info).decode(), re.MULTILINE)
    assert sorted(required) == ["grpcio", "protobuf"]


def test_the_client_s_source_distribution_can_build_that_wheel(client: Path) -> None:
    built = sdist(build("proto", "sdist", client))
    protos = {f"chasqui/v1/{proto}.proto" for proto in PROTOS}
    assert built >= protos | {"pyproject.toml", "build_stubs.py", "README.md", "LICENSE", "chasqui/v1/py.typed"}


def test_service_and_client_have_one_version_one_generator_and_one_licence() -> None:
    whole, alone = (
        tomllib.loads(path.read_text(encoding="utf-8"))
        for path in (ROOT / "pyproject.toml", ROOT / "proto" / "pyproject.toml")
    )
    assert alone["project"]["version"] == __version__
    assert alone["build-system"] == whole["build-system"]
    assert alone["project"]["dependencies"] == whole["project"]["dependencies"]
    assert (ROOT / "proto" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_generator_is_the_oldest_that_the_dependencies_allow() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [generator] = [name for name in project["build-system"]["requires"] if name.startswith("grpcio-tools")]
    [runtime] = [name for name in project["project"]["dependencies"] if name.startswith("grpcio")]
    assert generator.removeprefix("grpcio-tools==").removesuffix(".*") == runtime.removeprefix("grpcio>=")
