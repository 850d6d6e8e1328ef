"""The command `chasqui` on the double: `python -m tests.support.tensorrt_llm.command server ...`; SIGUSR1 breaks it.

With LOADS_FOR_EVER=1 its model never gets ready.
"""

from __future__ import annotations

import os
import signal
import sys

from services.cli import main
from tests.support.tensorrt_llm.release import Release


def run() -> None:
    """Install the double and run the command."""
    release = Release()
    release.loads_for_ever = os.environ.get("LOADS_FOR_EVER") == "1"
    sys.modules.update(release.modules())

    def break_engine(*_: object) -> None:
        for llm in release.llms:
            llm.faults.fatal = RuntimeError("CUDA error: an illegal memory access was encountered")

    signal.signal(signal.SIGUSR1, break_engine)
    main()


if __name__ == "__main__":
    run()
