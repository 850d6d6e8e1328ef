"""Generates the Python stubs of `chasqui.v1`, with their mypy types, next to the protos.

Hatch runs the hook at install time, so that stubs fit the protobuf runtime of the image that they are installed into:
protobuf refuses generated code that is newer than its runtime. `make proto` runs it by hand.
"""

from __future__ import annotations

import sys
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
    # The two mypy plugins are scripts beside the interpreter, which need not be on PATH.
    plugins = [
        f"--plugin={name}={Path(sys.executable).parent / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
    ]
    outputs = [f"--{kind}_out={PROTO_ROOT}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    arguments = ["protoc", f"-I{PROTO_ROOT}", f"-I{well_known}", *plugins, *outputs, *map(str, protos)]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc could not generate the stubs; its message is above")
    return sorted(path for pattern in ("*_pb2*.py", "*_pb2*.pyi") for path in PROTO_ROOT.rglob(pattern))


class StubsHook(BuildHookInterface[Any]):
    """Adds the generated stubs to a wheel, or puts them beside the protos of an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate before the files of the wheel are collected; `version` is "standard" or "editable"."""
        if self.target_name == "wheel":
            build_data["artifacts"] += [f"/proto/{path.relative_to(PROTO_ROOT)}" for path in generate()]
            build_data["pure_python"] = True


if __name__ == "__main__":
    generate()
