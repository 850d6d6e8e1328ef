"""Shuts an LLM down within a deadline. `LLM.shutdown` has none and waits forever for a worker that died."""

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

# Time for the process to exit normally after a shutdown that hung.
_EXIT_SECONDS = 10.0


async def shut_down(llm: Any, workers: Workers, deadline: float) -> bool:
    """Shut down; returns False and kills the workers if that takes longer than `deadline` seconds."""
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
    """Exit with status 1 after a grace period, because the package's exit handlers also wait for the workers."""
    timer = threading.Timer(_EXIT_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
