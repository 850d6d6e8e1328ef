"""Builds the images of docker/compose.yaml as a user does, and notes how long that took."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from tests.images.deployment import BUILT, Deployment

if TYPE_CHECKING:
    from pathlib import Path


def main() -> None:
    """Build."""
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    Deployment(_network_of_builds()).compose("build", "--quiet")
    BUILT.write_text(json.dumps({"seconds": round(time.monotonic() - began, 1)}), encoding="utf-8")


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
