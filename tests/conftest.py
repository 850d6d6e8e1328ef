"""What every test shares: how many examples are generated, and which.

They are the same on every run, and a loaded machine is no reason to fail. `pytest --hypothesis-profile=long`, which
`make test-long` runs, looks for new ones.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _PATIENT, derandomize=True, max_examples=100)
settings.register_profile("long", _PATIENT, max_examples=5000)
settings.load_profile("repeatable")
