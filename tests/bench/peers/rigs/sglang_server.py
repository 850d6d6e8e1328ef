"""SGLang's HTTP server with a stand-in for its scheduler: a token per sequence and step, without a model.

`python sglang_server.py PACE ARGUMENT...` runs in the peers' environment; the arguments are those of SGLang's own
server. The HTTP server with the tokenizer manager, the detokenizer's process, and the messages between them are
SGLang's own. The scheduler's process is handed to `launch_server`, which has a parameter for it.
"""

from __future__ import annotations

import os
import sys
import time
from array import array
from typing import TYPE_CHECKING, Any

import torch

# The wheel of torchvision has its operators for CUDA alone, and importing it without them fails; none is called.
_VISION = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _VISION.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import msgspec  # noqa: E402
import setproctitle  # noqa: E402
import zmq  # noqa: E402
from sglang.srt.entrypoints.http_server import launch_server  # noqa: E402
from sglang.srt.managers.io_struct import (  # noqa: E402
    AbortReq,
    BatchTokenIDOutput,
    BatchTokenizedGenerateReqInput,
    TokenizedGenerateReqInput,
    sock_recv,
    sock_send,
)
from sglang.srt.server_args import prepare_server_args  # noqa: E402
from sglang.srt.utils.network import get_zmq_socket  # noqa: E402

if TYPE_CHECKING:
    from sglang.srt.server_args import PortArgs

# Plain text in the demo model's vocabulary begins here.
_FIRST_TOKEN, _TOKENS = 300, 2000
# The end of the prompt that SGLang's scheduler sends along with the first token, for the detokenizer.
_CONTEXT = 5
_PACE = "PACE"  # the scheduler's process gets it from the environment
_EMPTY: dict[str, Any] = {field.name: None for field in msgspec.structs.fields(BatchTokenIDOutput) if field.required}


class Sequence:
    """A running request."""

    def __init__(self, request: TokenizedGenerateReqInput) -> None:
        self.id = request.rid
        self.prompt = list(request.input_ids)
        self.length = request.sampling_params.max_new_tokens
        self.sampling = request.sampling_params
        self.sent = 0

    def advance(self) -> list[int]:
        """The ids that the detokenizer gets for the next token."""
        token = _FIRST_TOKEN + 7 * self.sent % _TOKENS
        self.sent += 1
        return [*self.prompt[-_CONTEXT:], token] if self.sent == 1 else [token]


class Scheduler:
    """Reads requests and sends a token per sequence and step; requests for one token are answered at once."""

    def __init__(self, ports: PortArgs, pace: float) -> None:
        context = zmq.Context(2)
        self._requests = get_zmq_socket(context, zmq.PULL, ports.scheduler_input_ipc_name, False)
        self._detokenizer = get_zmq_socket(context, zmq.PUSH, ports.detokenizer_ipc_name, False)
        self._seconds = 1 / pace
        self._running: dict[str, Sequence] = {}

    def run(self) -> None:
        """Step for ever."""
        due = 0.0
        while True:
            wait = max(due - time.monotonic(), 0) if self._running else None
            if self._requests.poll(None if wait is None else 1000 * wait):
                if not self._running:
                    due = time.monotonic() + self._seconds
                self._receive()
            if self._running and time.monotonic() >= due:
                due = max(due + self._seconds, time.monotonic())
                self._send([*self._running.values()])

    def _receive(self) -> None:
        """Take whatever has come."""
        short = []
        while self._requests.poll(0):
            message = sock_recv(self._requests)
            if isinstance(message, AbortReq):
                self._running.pop(message.rid, None)
            for request in message.batch if isinstance(message, BatchTokenizedGenerateReqInput) else [message]:
                if isinstance(request, TokenizedGenerateReqInput):
                    sequence = Sequence(request)
                    if sequence.length > 1:
                        self._running[sequence.id] = sequence
                    else:
                        short.append(sequence)
        if short:
            self._send(short)

    def _send(self, sequences: list[Sequence]) -> None:
        """One message for the whole step, as SGLang's scheduler sends it, without its optional statistics."""
        ids = [array("q", sequence.advance()) for sequence in sequences]
        count = len(sequences)
        ends = [{"type": "length", "length": each.length} if each.sent >= each.length else None for each in sequences]
        message = BatchTokenIDOutput(
            **_EMPTY
            | {
                "rids": [each.id for each in sequences],
                "http_worker_ipcs": [None] * count,
                "finished_reasons": ends,
                "decoded_texts": [""] * count,
                "decode_ids": ids,
                "read_offsets": [min(len(each.prompt), _CONTEXT) for each in sequences],
                "output_ids": [each[-1:] for each in ids],
                "skip_special_tokens": [each.sampling.skip_special_tokens for each in sequences],
                "spaces_between_special_tokens": [each.sampling.spaces_between_special_tokens for each in sequences],
                "no_stop_trim": [each.sampling.no_stop_trim for each in sequences],
                "prompt_tokens": [len(each.prompt) for each in sequences],
                "reasoning_tokens": [0] * count,
                "completion_tokens": [each.sent for each in sequences],
                "cached_tokens": [0] * count,
                "retraction_counts": [0] * count,
            }
        )
        sock_send(self._detokenizer, message)
        for sequence, end in zip(sequences, ends, strict=True):
            if end is not None:
                self._running.pop(sequence.id, None)


def run_scheduler(_: Any, ports: PortArgs, *arguments: Any) -> None:
    """What SGLang calls in the scheduler's process."""
    setproctitle.setproctitle("sglang::scheduler")
    ready = {"status": "ready", "max_total_num_tokens": 1 << 24, "max_req_input_len": 4000, "startup_time": {}}
    scheduler = Scheduler(ports, float(os.environ[_PACE]))
    writer = next(each for each in arguments if hasattr(each, "send"))
    writer.send(ready)
    scheduler.run()


if __name__ == "__main__":
    os.environ[_PACE] = sys.argv[1]
    launch_server(prepare_server_args(sys.argv[2:]), run_scheduler_process_func=run_scheduler)
