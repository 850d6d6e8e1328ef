"""What every test shares: how many examples are generated, and which.

They are the same on every run, and a loaded machine is no reason to fail. `pytest --hypothesis-profile=long`, which
`make test-long` runs, looks for new ones.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _PATIENT, derandomize=True, max_examples=100)
settings.register_profile("long", _PATIENT, max_examples=5000)
settings.load_profile("repeatable")

# gRPC's handlers of a fork can abort the child before it becomes another program, if a thread of this process is in a
# call at that moment. No process of Chasqui that has loaded gRPC forks; a test process does, and needs no gRPC there.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
