"""What a process shows to Prometheus."""

from __future__ import annotations

import re

from tests.support.http import get


def metric(address: str, name: str) -> float:
    """The sum of a metric over its labels at the `metrics_address` of a process."""
    text = get(f"http://{address}/metrics").body.decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))
