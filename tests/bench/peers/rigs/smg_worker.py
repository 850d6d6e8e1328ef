"""A worker that speaks TensorRT-LLM's gRPC protocol to smg, without a model.

`python smg_worker.py PORT TOKENISER_DIRECTORY PACE` runs in the peers' environment. All streams share one clock of PACE
steps a second, as the sequences of a batch do, and each gets one message per token, as the protocol wants it: the least
that such a worker costs in Python. A request for one token is answered at once.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import grpc
import uvloop
from smg_grpc_proto.generated import trtllm_service_pb2 as pb
from smg_grpc_proto.generated import trtllm_service_pb2_grpc as rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Plain text in the demo model's vocabulary begins here.
_FIRST_TOKEN, _TOKENS = 300, 2000


class Clock:
    """Wakes everybody who waits for the next step."""

    def __init__(self, pace: float) -> None:
        self._seconds = 1 / pace
        self._step = asyncio.Event()

    async def run(self) -> None:
        """Step for ever, without drift."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self._seconds
            await asyncio.sleep(due - loop.time())
            done, self._step = self._step, asyncio.Event()
            done.set()

    async def step(self) -> None:
        """Wait for the next step."""
        await self._step.wait()


class Worker(rpc.TrtllmServiceServicer):  # type: ignore[misc]
    """Answers every request with tokens in a fixed order."""

    def __init__(self, clock: Clock, directory: str) -> None:
        self._clock = clock
        self._directory = directory

    async def Generate(self, request: Any, _: Any) -> AsyncIterator[Any]:  # noqa: N802 - gRPC's name
        """One chunk per step, then the end."""
        prompt = len(request.tokenized.input_token_ids)
        tokens = [_FIRST_TOKEN + 7 * index % _TOKENS for index in range(request.max_tokens)]
        for count, token in enumerate(tokens, 1):
            if len(tokens) > 1:
                await self._clock.step()
            chunk = pb.GenerateStreamChunk(token_ids=[token], prompt_tokens=prompt, completion_tokens=count)
            yield pb.GenerateResponse(request_id=request.request_id, chunk=chunk)
        end = pb.GenerateComplete(
            output_token_ids=tokens, finish_reason="length", prompt_tokens=prompt, completion_tokens=len(tokens)
        )
        yield pb.GenerateResponse(request_id=request.request_id, complete=end)

    async def HealthCheck(self, *_: Any) -> Any:  # noqa: N802 - gRPC's name
        """Always well."""
        return pb.HealthCheckResponse(status="OK")

    async def GetModelInfo(self, *_: Any) -> Any:  # noqa: N802 - gRPC's name
        """As smg has it, the model is named after the directory of its tokeniser."""
        return pb.GetModelInfoResponse(
            model_id=self._directory, max_input_len=100_000, max_seq_len=131_072, max_batch_size=4096
        )

    async def GetServerInfo(self, *_: Any) -> Any:  # noqa: N802 - gRPC's name
        """One process without parallelism."""
        return pb.GetServerInfoResponse(
            version="1.3.0",
            backend="pytorch",
            tensor_parallel_size=1,
            pipeline_parallel_size=1,
            context_parallel_size=1,
            world_size=1,
        )

    async def Abort(self, *_: Any) -> Any:  # noqa: N802 - gRPC's name
        """The end of the call's stream has ended it already."""
        return pb.AbortResponse(success=True)


async def main() -> None:
    """Serve until a signal ends the process."""
    port, directory, pace = sys.argv[1:]
    clock = Clock(float(pace))
    server = grpc.aio.server()
    rpc.add_TrtllmServiceServicer_to_server(Worker(clock, directory), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await clock.run()


if __name__ == "__main__":
    uvloop.run(main())
