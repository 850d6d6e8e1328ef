"""Tokens per second of the TensorRT-LLM engine with random weights, beside `trtllm-bench` and `trtllm-serve`.

`python -m tests.bench.gpu_throughput` inside the GPU image. All three load the same directory. Only the sizes of Llama
3.1 8B matter here: the tokenizer is the demo model's, and no weights are downloaded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from services.engine.api import Generation, Sampling
from services.engine.factory import build_engine
from services.settings import Settings
from tests.support.recording_sink import RecordingSink
from tests.support.tensorrt_llm.release import write_checkpoint

CONTEXT = 4096
_THROUGHPUT = re.compile(r"Output Throughput \(tokens/sec\):\s*([\d.,]+)")
_START_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Load:
    """How many calls, how many of them at the same time, and the tokens of each prompt and answer."""

    calls: int
    streams: int
    prompt: int
    tokens: int

    def prompts(self) -> list[list[int]]:
        """Prompts that share nothing, so that no cache helps."""
        return [[(call * 131 + i * 7) % 900 + 50 for i in range(self.prompt)] for call in range(self.calls)]


def throughput(folder: Path, load: Load) -> dict[str, float | str]:
    """Output tokens per second of each, or a sentence why there is no number."""
    model = write_checkpoint(folder / "llama-8b", vocab_size=128256, max_position_embeddings=131072)
    (folder / "options.yaml").write_text("load_format: dummy\nenable_chunked_prefill: true\n")
    return {
        "chasqui": asyncio.run(_chasqui(model, load)),
        "trtllm-bench": _trtllm_bench(model, load, folder),
        "trtllm-serve": _trtllm_serve(model, load, folder),
    }


async def _chasqui(model: Path, load: Load) -> float:
    settings = Settings(
        engine="tensorrt-llm", model=str(model), load_format="dummy", parallel=load.streams, context_length=CONTEXT
    )
    engine = build_engine(settings)
    await engine.start()
    try:
        wanted = [Generation(prompt, load.tokens, Sampling(), ignore_eos=True) for prompt in load.prompts()]
        sinks = [RecordingSink() for _ in wanted]
        # A first round tunes and warms up.
        await asyncio.wait([engine.submit(one, RecordingSink()).released for one in wanted[: load.streams]])
        began = time.monotonic()
        await asyncio.wait([engine.submit(one, sink).released for one, sink in zip(wanted, sinks, strict=True)])
        seconds = time.monotonic() - began
    finally:
        await engine.close()
    errors = [sink.ends[0].error for sink in sinks if sink.ends[0].error]
    if errors:
        raise RuntimeError(f"{len(errors)} calls failed: {errors[0]}")
    return sum(sink.ends[0].completion_tokens for sink in sinks) / seconds


def _limits(load: Load, folder: Path) -> list[str]:
    return [
        *("--max_batch_size", str(load.streams), "--max_num_tokens", "8192", "--max_seq_len", str(CONTEXT)),
        *("--extra_llm_api_options", str(folder / "options.yaml")),
    ]


def _trtllm_bench(model: Path, load: Load, folder: Path) -> float | str:
    tool = shutil.which("trtllm-bench")
    if tool is None:
        return "trtllm-bench: not on PATH"
    requests = [
        json.dumps({"task_id": i, "input_ids": prompt, "output_tokens": load.tokens})
        for i, prompt in enumerate(load.prompts())
    ]
    (folder / "requests.jsonl").write_text("\n".join(requests))
    command = [tool, "--model", "meta-llama/Llama-3.1-8B", "--model_path", str(model), "throughput"]
    command += ["--backend", "pytorch", "--dataset", str(folder / "requests.jsonl"), "--streaming"]
    command += _limits(load, folder)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)  # noqa: S603 - ours
    match = _THROUGHPUT.search(done.stdout)
    if match is None:
        return f"trtllm-bench: no result: {(done.stdout + done.stderr)[-1000:]}"
    return float(match[1].replace(",", ""))


def _trtllm_serve(model: Path, load: Load, folder: Path) -> float | str:
    tool = shutil.which("trtllm-serve")
    if tool is None:
        return "trtllm-serve: not on PATH"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    command = [tool, str(model), "--backend", "pytorch", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen([*command, *_limits(load, folder)], stdout=log, stderr=log)  # noqa: S603 - ours
        try:
            return _http_throughput(f"http://127.0.0.1:{port}", model.name, load, server)
        except OSError as error:
            return f"trtllm-serve: {error}: {(folder / 'serve.log').read_text(errors='replace')[-1000:]}"
        finally:
            server.terminate()
            server.wait(60)


def _http_throughput(url: str, model: str, load: Load, server: subprocess.Popen[bytes]) -> float:
    """Completions over HTTP, without streaming; OSError if the server does not get ready."""

    def complete(prompt: list[int]) -> int:
        body = {"model": model, "prompt": prompt, "max_tokens": load.tokens, "ignore_eos": True, "temperature": 1.0}
        call = urllib.request.Request(  # noqa: S310 - http, and ours
            f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(call, timeout=600) as response:  # noqa: S310 - http, and ours
            count: int = json.load(response)["usage"]["completion_tokens"]
            return count

    limit = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310 - http, and ours
            break
        except OSError:
            if server.poll() is not None or time.monotonic() > limit:
                raise
            time.sleep(2)
    prompts = load.prompts()
    with ThreadPoolExecutor(load.streams) as pool:
        list(pool.map(complete, prompts[: load.streams]))  # warms up
        began = time.monotonic()
        tokens = sum(pool.map(complete, prompts))
        return tokens / (time.monotonic() - began)


def main() -> None:
    """Print the numbers, and ours as a share of each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=256)
    parser.add_argument("--streams", type=int, default=64, help="calls at the same time")
    parser.add_argument("--prompt", type=int, default=128, help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of a completion")
    with tempfile.TemporaryDirectory() as folder:
        measured = throughput(Path(folder), Load(**vars(parser.parse_args())))
    ours = measured["chasqui"]
    for name, value in measured.items():
        if isinstance(value, str) or isinstance(ours, str):
            sys.stdout.write(f"{value}\n")
        else:
            sys.stdout.write(f"{name}: {value:,.0f} tokens/s; chasqui has {ours / value:.1%} of that\n")


if __name__ == "__main__":
    main()
