"""Generates the Python stubs of `chasqui.v1`, with their mypy types, next to the protos.

Hatch runs the hook when a wheel or an editable install is built, of the service (`pyproject.toml`) or of the client
package (`proto/pyproject.toml`). protobuf and grpcio refuse generated code that is newer than they are: the generator
is the oldest that the dependencies allow, or comes from `constraints.txt` as the runtime does. `make proto` runs this
by hand.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTO_ROOT = Path(__file__).resolve().parent


def generate() -> list[Path]:
    """Write the stubs of every proto below this folder and return their paths; RuntimeError if protoc fails."""
    import grpc_tools
    from grpc_tools import protoc

    protos = sorted(path.relative_to(PROTO_ROOT) for path in PROTO_ROOT.rglob("*.proto"))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    plugins = [f"--plugin={path.name}={path}" for path in _mypy_plugins()]
    outputs = [f"--{kind}_out={PROTO_ROOT}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    arguments = ["protoc", f"-I{PROTO_ROOT}", f"-I{well_known}", *plugins, *outputs, *map(str, protos)]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc could not generate the stubs; its message is above")
    return sorted(path for pattern in ("*_pb2*.py", "*_pb2*.pyi") for path in PROTO_ROOT.rglob(pattern))


def _mypy_plugins() -> list[Path]:
    """The scripts of mypy-protobuf, which in pip's build environment are not beside the interpreter."""
    names = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
    scripts = [file for file in metadata.files("mypy-protobuf") or () if file.name in names]
    return [Path(str(script.locate())).resolve() for script in scripts]


class StubsHook(BuildHookInterface[Any]):
    """Adds the generated stubs to a wheel, or puts them beside the protos of an editable install.

    The hook's option `private` lists the protos, by their names without suffix, whose stubs are left out.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate before the files of the wheel are collected; `version` is "standard" or "editable"."""
        if self.target_name == "wheel":
            private = tuple(f"{name}_pb2" for name in self.config.get("private", ()))
            stubs = [path for path in generate() if not path.name.startswith(private)]
            build_data["artifacts"] += [f"/{path.relative_to(self.root)}" for path in stubs]
            build_data["pure_python"] = True


if __name__ == "__main__":
    generate()
