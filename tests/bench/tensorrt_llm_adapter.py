"""What the TensorRT-LLM adapter costs per token in Python: CPU time of its readers, measured on the double.

`python -m tests.bench.tensorrt_llm_adapter`. The double's thread is kept out: tokens are put into the results by the
loop itself. The same is done once more with readers that only iterate, as the API demands of every caller.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any

import uvloop

from services.engine.api import Generation
from services.engine.tensorrt_llm.generation import Progress, TensorRtLlmHandle
from services.engine.tensorrt_llm.silent_sink import SilentSink
from tests.support.tensorrt_llm.output import RequestOutput, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STREAMS = 128
TOKENS = 200
ROUNDS = 5


class NoExecutor:
    """Results need an engine to abort; this one has nothing to do."""

    def __init__(self, thread: int) -> None:
        self.thread = thread

    def cancel(self, request_id: int) -> None:
        """Nothing runs."""


class Parameters:
    """As much of SamplingParams as a result reads."""

    n = 1
    logprobs = None


async def measured(read: Callable[[RequestOutput], Awaitable[None]]) -> float:
    """Seconds of CPU time per token with all streams stepping together."""
    import threading

    executor: Any = NoExecutor(threading.get_ident())
    results = [RequestOutput(executor, index, [1], Parameters) for index in range(STREAMS)]
    tasks = [asyncio.ensure_future(read(result)) for result in results]
    await asyncio.sleep(0)
    began = time.process_time()
    for step in range(TOKENS):
        reason = "length" if step == TOKENS - 1 else None
        for result in results:
            result.put(Response(0, (step + 20,), finish_reason=reason))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return (time.process_time() - began) / (STREAMS * TOKENS)


async def through_adapter(result: RequestOutput) -> None:
    """The adapter's reader."""
    generation = Generation([1], TOKENS)
    released = asyncio.get_running_loop().create_future()
    handle = TensorRtLlmHandle(
        generation,
        SilentSink(),
        released,
        frozenset({1, 2, 3}),
        lambda *_: None,
        Progress(),
        lambda _: b"",
        copies=False,
    )
    await handle.read(0, result)


async def iterated(result: RequestOutput) -> None:
    """The least that a caller of the API can do."""
    async for _ in result:
        pass


async def main() -> None:
    """Print the median of some rounds."""
    adapter = statistics.median([await measured(through_adapter) for _ in range(ROUNDS)]) * 1e6
    api = statistics.median([await measured(iterated) for _ in range(ROUNDS)]) * 1e6
    print(f"{STREAMS} streams: {adapter:.2f} µs per token, {api:.2f} µs of it the API's, {adapter - api:.2f} µs ours")  # noqa: T201


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
