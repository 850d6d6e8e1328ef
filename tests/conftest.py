"""What every test shares: generated examples are the same on every run, and a loaded machine is no reason to fail.

`pytest --hypothesis-profile=default` looks for new ones.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")
