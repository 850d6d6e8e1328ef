"""Tokens per second of the TensorRT-LLM engine with random weights, beside `trtllm-bench` on the same directory.

`python -m tests.bench.gpu_throughput` inside the GPU image. Only the sizes of Llama 3.1 8B matter here: the tokeniser
is the demo model's, and no weights are downloaded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from services.engine.api import Generation, Sampling
from services.engine.factory import build_engine
from services.settings import Settings
from tests.support.recording_sink import RecordingSink
from tests.support.tensorrt_llm.release import write_checkpoint

CONTEXT = 4096
_THROUGHPUT = re.compile(r"Output Throughput \(tokens/sec\):\s*([\d.,]+)")


async def ours(model: Path, prompts: list[list[int]], tokens: int, streams: int) -> float:
    """Output tokens per second of our engine, with everything submitted at once."""
    settings = Settings(
        engine="tensorrt-llm", model=str(model), load_format="dummy", parallel=streams, context_length=CONTEXT
    )
    engine = build_engine(settings)
    await engine.start()
    try:
        sampling = Sampling(temperature=1.0)
        wanted = [Generation(prompt, tokens, sampling, ignore_eos=True) for prompt in prompts]
        sinks = [RecordingSink() for _ in prompts]
        # A first round tunes and warms up.
        await asyncio.wait([engine.submit(one, RecordingSink()).released for one in wanted[:streams]])
        began = time.monotonic()
        await asyncio.wait([engine.submit(one, sink).released for one, sink in zip(wanted, sinks, strict=True)])
        seconds = time.monotonic() - began
    finally:
        await engine.close()
    errors = [sink.ends[0].error for sink in sinks if sink.ends[0].error]
    if errors:
        raise RuntimeError(f"{len(errors)} calls failed: {errors[0]}")
    return sum(sink.ends[0].completion_tokens for sink in sinks) / seconds


def theirs(model: Path, prompts: list[list[int]], tokens: int, streams: int, folder: Path) -> float | None:
    """The same load through `trtllm-bench`; None with a line that says why if there is no number."""
    tool = shutil.which("trtllm-bench")
    if tool is None:
        sys.stdout.write("trtllm-bench: not run, it is not on PATH\n")
        return None
    lines = [
        json.dumps({"task_id": i, "input_ids": prompt, "output_tokens": tokens}) for i, prompt in enumerate(prompts)
    ]
    (folder / "requests.jsonl").write_text("\n".join(lines))
    (folder / "options.yaml").write_text("load_format: dummy\nenable_chunked_prefill: true\n")
    command = [tool, "--model", "meta-llama/Llama-3.1-8B", "--model_path", str(model), "throughput"]
    command += ["--backend", "pytorch", "--dataset", str(folder / "requests.jsonl"), "--streaming"]
    command += ["--max_batch_size", str(streams), "--max_num_tokens", "8192", "--max_seq_len", str(CONTEXT)]
    command += ["--extra_llm_api_options", str(folder / "options.yaml")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)  # noqa: S603 - ours
    match = _THROUGHPUT.search(answer.stdout)
    if match is None:
        sys.stdout.write(f"trtllm-bench: no result\n{(answer.stdout + answer.stderr)[-2000:]}\n")
        return None
    return float(match[1].replace(",", ""))


def main() -> None:
    """Print both numbers and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=256)
    parser.add_argument("--streams", type=int, default=64, help="answers at the same time")
    parser.add_argument("--prompt", type=int, default=128, help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of an answer")
    asked = parser.parse_args()
    # Prompts that share nothing, so that no cache helps either side.
    prompts = [[(call * 131 + i * 7) % 900 + 50 for i in range(asked.prompt)] for call in range(asked.calls)]
    with tempfile.TemporaryDirectory() as folder:
        model = write_checkpoint(Path(folder) / "llama-8b", vocab_size=128256, max_position_embeddings=131072)
        mine = asyncio.run(ours(model, prompts, asked.tokens, asked.streams))
        sys.stdout.write(f"chasqui: {mine:,.0f} tokens/s\n")
        other = theirs(model, prompts, asked.tokens, asked.streams, Path(folder))
    if other is not None:
        sys.stdout.write(f"trtllm-bench: {other:,.0f} tokens/s; chasqui has {mine / other:.1%} of that\n")


if __name__ == "__main__":
    main()
