"""A real Prometheus with the rules and jobs of docker/observability; what takes minutes there takes seconds here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import yaml

from tests.support.http import get
from tests.support.ports import free_port
from tests.support.replicas import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

OBSERVABILITY: Final = Path(__file__).parents[2] / "docker" / "observability"
# Found now: some tests have a PATH of their own.
_BINARY: Final = shutil.which("prometheus") or "prometheus"
_SCRAPE: Final = "500ms"
_WINDOW: Final = "10s"


class Prometheus:
    """A context manager; `targets` are addresses by the job that scrapes them."""

    def __init__(self, folder: Path, targets: Mapping[str, list[str]]) -> None:
        self._folder = folder
        self._port = free_port()
        rules = (OBSERVABILITY / "alerts.yaml").read_text(encoding="utf-8")
        (folder / "alerts.yaml").write_text(_quickened(rules), encoding="utf-8")
        config = yaml.safe_load((OBSERVABILITY / "prometheus.yaml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": _SCRAPE, "scrape_timeout": _SCRAPE, "evaluation_interval": _SCRAPE}
        config["rule_files"] = [f"{folder}/alerts.yaml"]
        for job in config["scrape_configs"]:
            del job["dns_sd_configs"]
            job["static_configs"] = [{"targets": targets.get(job["job_name"], [])}]
        self.config = folder / "prometheus.yaml"
        self.config.write_text(yaml.safe_dump(config), encoding="utf-8")

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        command = [
            *(_BINARY, f"--config.file={self.config}", f"--storage.tsdb.path={self._folder}/data"),
            *(f"--web.listen-address=127.0.0.1:{self._port}", "--log.level=warn"),
        ]
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - installed here
        wait_until(self._ready)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._process.terminate()
        self._process.wait()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an expression now; Grafana's variables are filled in."""
        filled = _quickened(expression.replace("$__rate_interval", _WINDOW))
        answer = self._get(f"/api/v1/query?query={quote(filled)}")
        result: list[dict[str, Any]] = answer["result"]
        return result

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        alerts = self._get("/api/v1/alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def _ready(self) -> bool:
        try:
            return get(f"http://127.0.0.1:{self._port}/-/ready").status == 200
        except OSError:
            return False

    def _get(self, path: str) -> Any:
        answer = json.loads(get(f"http://127.0.0.1:{self._port}{path}").body)
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        return answer["data"]


def _quickened(rules: str) -> str:
    """The same rules over seconds: windows, and how long a state must last. Thresholds stay."""
    return re.sub(r"\[5m\]", f"[{_WINDOW}]", re.sub(r"for: \w+", "for: 1s", rules))
