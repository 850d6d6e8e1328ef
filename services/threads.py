"""Python's threads beside an event loop: who has the global interpreter lock (GIL), and for how long."""

from __future__ import annotations

import sys
from typing import Final

# Python's default is 5 ms. Beside a thread that computes, the loop waits this long again after each of its system
# calls. And a thread beside a busy loop gets the GIL only if the loop keeps it this long between two system calls:
# until then each of them wakes the thread for nothing.
_SWITCH_SECONDS: Final = 0.0002


def share_interpreter() -> None:
    """Have the thread that holds the GIL hand it over soon after another one has asked for it."""
    sys.setswitchinterval(_SWITCH_SECONDS)
