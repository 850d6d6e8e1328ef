"""Builds the web programs of `tests/page/web_clients/` as their users would: stubs, packages of npm, one bundle."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import google.rpc

from tests.support.npm import installed, node
from tests.support.readme import ROOT

_SOURCES: Final = Path(__file__).parent / "web_clients"
_PACKAGES: Final = (
    *("@connectrpc/connect@2.3.0", "@connectrpc/connect-web@2.3.0", "@bufbuild/protobuf@2.17.0"),
    *("@bufbuild/protoc-gen-es@2.17.0", "grpc-web@2.1.1", "esbuild@0.28.2"),
)
_PROTOS: Final = ("chasqui/v1/*.proto", "google/rpc/error_details.proto")


def bundle(folder: Path) -> Path:
    """The programs as one script, for Node.js and browsers alike; made in `folder`."""
    packages = installed(_PACKAGES) / "node_modules"
    (folder / "node_modules").symlink_to(packages)
    for source in _SOURCES.glob("*.mjs"):
        shutil.copy(source, folder)
    roots = [ROOT / "proto", Path(next(iter(google.rpc.__path__))).parents[1]]
    protos = [str(path) for root in roots for pattern in _PROTOS for path in sorted(root.glob(pattern))]
    plugin = f"protoc-gen-es={packages / '.bin' / 'protoc-gen-es'}"
    compiler = [sys.executable, "-m", "grpc_tools.protoc", *(f"--proto_path={root}" for root in roots)]
    _run([*compiler, f"--plugin={plugin}", f"--es_out={folder}", "--es_opt=target=js,import_extension=js", *protos])
    out = folder / "bundle.mjs"
    bundler = [node(), str(packages / "esbuild" / "bin" / "esbuild"), str(folder / "entry.mjs")]
    _run([*bundler, "--bundle", "--format=esm", f"--outfile={out}"])
    return out


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=120)  # noqa: S603
