"""Builds the images of docker/compose.yaml as a user does, and notes how long that took."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from tests.images.deployment import BUILT, ROOT, Deployment, docker

if TYPE_CHECKING:
    from pathlib import Path

# In place of NVIDIA's image, of which 30 GB would have to be fetched: its entry point, and packages of its age that
# chasqui needs in other versions or must leave alone.
_NVIDIA_STAND_IN = """
FROM python:3.12-slim-bookworm
RUN pip install --quiet numpy==1.26.4 typing_extensions==4.12.2 protobuf==4.25.8 grpcio==1.62.3 \\
    opentelemetry-sdk==1.26.0
RUN mkdir /opt/nvidia && printf '#!/bin/sh\\nexec "$@"\\n' > /opt/nvidia/nvidia_entrypoint.sh && \\
    chmod 755 /opt/nvidia/nvidia_entrypoint.sh
"""


def main() -> None:
    """Build."""
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    Deployment(_network_of_builds()).compose("build", "--quiet")
    BUILT.write_text(json.dumps({"seconds": round(time.monotonic() - began, 1)}), encoding="utf-8")
    _build_gpu_image()


def _build_gpu_image() -> None:
    context = BUILT.with_name("nvidia-stand-in")
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(_NVIDIA_STAND_IN, encoding="utf-8")
    network = ("--network", os.environ.get("CHASQUI_TEST_BUILD_NETWORK", "default"))
    docker("build", "--quiet", *network, "--tag", "nvcr.io/nvidia/tensorrt-llm/release:stand-in", str(context))
    recipe = ("--file", "docker/server-gpu.Dockerfile", "--build-arg", "TENSORRT_LLM=stand-in", "--target", "serve")
    docker("build", "--quiet", *network, *recipe, "--tag", "chasqui-test/server-gpu", str(ROOT))


def _network_of_builds() -> list[Path]:
    """A Compose file, where the daemon of the test has no network of its own to build in."""
    network = os.environ.get("CHASQUI_TEST_BUILD_NETWORK")
    if not network:
        return []
    services = {name: {"build": {"network": network}} for name in ("server", "edge", "envoy")}
    path = BUILT.with_name("network.json")
    path.write_text(json.dumps({"services": services}), encoding="utf-8")
    return [path]


if __name__ == "__main__":
    main()
