"""An executor for vLLM that computes nothing: it yields one token per sequence and step.

`vllm serve --distributed-executor-backend vllm_engine.PacedExecutor` loads it, in the peers' environment; `PACE` in the
environment is in steps per second. API server, engine core with its scheduler, and what goes between the two processes
are vLLM's own.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import torch
from vllm.v1.executor.abstract import Executor
from vllm.v1.kv_cache_interface import FullAttentionSpec
from vllm.v1.outputs import ModelRunnerOutput

if TYPE_CHECKING:
    from vllm.v1.core.sched.output import SchedulerOutput

# Plain text in the demo model's vocabulary begins here.
_FIRST_TOKEN, _TOKENS = 300, 2000
_KV_CACHE_BYTES = 1 << 30  # none is allocated


class PacedExecutor(Executor):  # type: ignore[misc]
    """Runs no model. A request for one token is answered at once, all others share a clock of `PACE` steps a second."""

    def _init_executor(self) -> None:
        self._seconds = 1 / float(os.environ["PACE"])
        self._due = 0.0
        self._generated: dict[str, int] = {}
        self._paced: set[str] = set()

    def execute_model(self, scheduler_output: SchedulerOutput, non_block: bool = False) -> Any:
        """A token for each scheduled sequence; their prompts are never cut into chunks."""
        for request in scheduler_output.finished_req_ids:
            self._generated.pop(request, None)
            self._paced.discard(request)
        for new in scheduler_output.scheduled_new_reqs:
            self._generated[new.req_id] = 0
            if new.sampling_params.max_tokens > 1:
                self._paced.add(new.req_id)
        requests = list(scheduler_output.num_scheduled_tokens)
        if self._paced.intersection(requests):
            self._wait_for_step()
        tokens = []
        for request in requests:
            tokens.append([_FIRST_TOKEN + 7 * self._generated[request] % _TOKENS])
            self._generated[request] += 1
        output = ModelRunnerOutput(requests, {request: index for index, request in enumerate(requests)}, tokens)
        if not non_block:
            return output
        future: Future[Any] = Future()
        future.set_result(output)
        return future

    def _wait_for_step(self) -> None:
        now = time.monotonic()
        self._due = max(self._due + self._seconds, now)
        time.sleep(self._due - now)

    def get_kv_cache_specs(self) -> list[dict[str, Any]]:
        """One small layer, so that the scheduler has blocks to give to sequences."""
        size = self.cache_config.block_size
        return [{"layer": FullAttentionSpec(block_size=size, num_kv_heads=1, head_size=8, dtype=torch.float16)}]

    def get_supported_kv_cache_layouts(self) -> list[list[str]]:
        return [["LBNHC"]]

    def set_kv_cache_layout(self, layout_name: str, cp_kv_cache_interleave_size: int) -> None:
        self.cache_config.kv_cache_layout = layout_name

    def determine_available_memory(self) -> list[int]:
        return [_KV_CACHE_BYTES]

    def compile_or_warm_up_model(self) -> None:
        """Nothing to compile."""

    @property
    def supported_tasks(self) -> tuple[str, ...]:
        return ("generate",)

    def collective_rpc(self, *_: Any, non_block: bool = False, **__: Any) -> Any:
        """There is no worker to call."""
        if not non_block:
            return [None]
        future: Future[Any] = Future()
        future.set_result([None])
        return future

    def check_health(self) -> None:
        """Always well."""
