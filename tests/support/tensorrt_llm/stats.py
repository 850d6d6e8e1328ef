"""The double's iteration statistics: one shared queue, drained on read, that ends after silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.tensorrt_llm.executor import Executor

_POLL_SECONDS = 0.005
# Of the KV cache; a running request takes one.
_BLOCKS = 100


class IterationResult:
    """An async iterator of records; without an executor it is empty."""

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._seen = 0
        self._timeout: float | None = None

    def with_timeout(self, timeout: float | None) -> IterationResult:
        """The same object, with the silence in seconds that ends it."""
        self._timeout = timeout
        return self

    def __aiter__(self) -> IterationResult:
        return self

    async def __anext__(self) -> dict[str, Any]:
        if self._executor is None:
            raise StopAsyncIteration
        waited = 0.0
        while self._executor.iterations == self._seen:
            if self._timeout is not None and waited >= self._timeout:
                raise StopAsyncIteration
            await asyncio.sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
        self._seen = self._executor.iterations
        blocks = {"maxNumBlocks": _BLOCKS, "usedNumBlocks": min(self._executor.running, _BLOCKS)}
        return {"iter": self._seen, "kvCacheStats": blocks}
