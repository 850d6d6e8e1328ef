"""Where `make clients` puts the programs of others that the service is proven with."""

from __future__ import annotations

import os
from pathlib import Path

CLIENTS_BIN = Path(os.environ.get("CLIENTS_BIN") or Path(__file__).parents[2] / "build" / "clients" / "bin")
