"""Python's garbage collector between the start of a process and its first call."""

from __future__ import annotations

import gc

from services.garbage import postpone, spare_startup


def test_a_process_collects_nothing_until_it_serves_and_then_nothing_of_its_start() -> None:
    try:
        postpone()
        starting = gc.isenabled()
        spare_startup()
        serving = gc.isenabled(), gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.enable()
    assert (starting, serving) == (False, (True, True))
