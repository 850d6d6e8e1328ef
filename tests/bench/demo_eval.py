"""Asks the demo model the held-out sets through the running service: Envoy, edge, server and llama.cpp.

Prints the table of the README; `make demo-eval` runs it. `--show` prints the replies that are not right, too.
"""

from __future__ import annotations

import sys

from tests.demo_model.answerers import Service as Client
from tests.demo_model.evaluate import evaluate
from tests.demo_model.spec import NAME
from tests.support.service import Service


def main() -> None:
    """Start the service with its defaults, evaluate, and stop it."""
    with Service(log_level="error") as service:
        client = Client(service.url + "/v1", NAME, "unused")
        sys.stdout.write(evaluate(client, show="--show" in sys.argv) + "\n")


if __name__ == "__main__":
    main()
