"""What every test shares: generated examples are the same on every run.

`pytest --hypothesis-profile=default` looks for new ones.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
