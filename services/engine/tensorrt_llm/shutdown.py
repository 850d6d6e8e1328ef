"""The end of an LLM within a deadline: `LLM.shutdown` has none, and waits for ever on a worker that died."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from services.engine.tensorrt_llm.blocking import in_daemon_thread

if TYPE_CHECKING:
    from services.engine.tensorrt_llm.workers import Workers

log = logging.getLogger(__name__)

# For the process to end by itself after a shutdown that hung.
_EXIT_SECONDS = 10.0


async def shut_down(llm: Any, workers: Workers, deadline: float) -> bool:
    """Whether the LLM has shut down within `deadline` seconds; if not, its workers are killed.

    The call gets a thread that nobody has to wait for.
    """
    try:
        await asyncio.wait_for(in_daemon_thread(llm.shutdown), deadline)
    except TimeoutError:
        log.error("TensorRT-LLM did not shut down within %.0f s; its workers are killed", deadline)  # noqa: TRY400, RUF100
        workers.kill()
        return False
    except Exception:
        log.exception("TensorRT-LLM failed to shut down")
    return True


def end_process_soon() -> None:
    """Make sure that this process ends: the package's exit handlers wait for the workers, too."""
    timer = threading.Timer(_EXIT_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
