"""Which sampler runs, what reaches the LLM's constructor, and which processes are killed at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from services.engine.load_error import EngineLoadError
from services.engine.tensorrt_llm.capability import PARAMETERS, Sampler, choose_sampler
from services.engine.tensorrt_llm.options import Options, torch_arguments
from services.engine.tensorrt_llm.runtime import load_runtime
from services.engine.tensorrt_llm.workers import Workers
from tests.support.tensorrt_llm.modes import HOPPER, install, install_gpus
from tests.support.tensorrt_llm.release import Release, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

EVERYWHERE = {"temperature", "top_p", "top_k", "logit_bias", "n", "ignore_eos", "stop_token_ids"}
PENALTIES = {"repetition_penalty", "presence_penalty", "frequency_penalty"}


def options(**changes: Any) -> Options:
    return Options(**({"context_length": 1024, "parallel": 4} | changes))


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Release:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    return install(monkeypatch, Release())


# setting, compiled, the release lets choose, drafts -> sampler, and what it honours beyond the fields of all
@pytest.mark.parametrize(
    ("setting", "is_compiled", "takes_sampler_type", "speculative", "sampler", "beyond"),
    [
        ("auto", False, True, False, Sampler.TRTLLM, PENALTIES | {"min_p", "seed"}),
        ("trtllm", False, True, False, Sampler.TRTLLM, PENALTIES | {"min_p", "seed"}),
        ("torch", False, True, False, Sampler.TORCH, set()),
        ("auto", False, True, True, Sampler.TORCH, set()),
        ("auto", True, True, False, Sampler.COMPILED, PENALTIES | {"min_p", "seed"}),
        ("auto", False, False, False, Sampler.TORCH_ALONE, PENALTIES | {"min_p"}),
        ("torch", False, False, True, Sampler.TORCH_ALONE, PENALTIES | {"min_p"}),
    ],
)
def test_the_sampler_that_runs_decides_what_is_honoured(
    setting: str, is_compiled: bool, takes_sampler_type: bool, speculative: bool, sampler: Sampler, beyond: set[str]
) -> None:
    chosen = choose_sampler(
        setting, compiled=is_compiled, takes_sampler_type=takes_sampler_type, speculative=speculative
    )
    assert chosen is sampler
    assert PARAMETERS[chosen] == EVERYWHERE | beyond


@pytest.mark.parametrize(
    ("setting", "is_compiled", "takes_sampler_type", "speculative", "why"),
    [
        ("torch", True, True, False, "its own sampler"),
        ("trtllm", False, False, False, "no C\\+\\+ sampler any more"),
        ("trtllm", False, True, True, "needs the PyTorch sampler"),
    ],
)
def test_a_sampler_that_cannot_run_is_refused(
    setting: str, is_compiled: bool, takes_sampler_type: bool, speculative: bool, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        choose_sampler(setting, compiled=is_compiled, takes_sampler_type=takes_sampler_type, speculative=speculative)


def test_every_option_reaches_the_constructor(release: Release, tmp_path: Path) -> None:
    runtime, model = load_runtime(), write_checkpoint(tmp_path / "model")
    chosen = options(
        context_length=2048,
        batch_tokens=4096,
        kv_cache_fraction=0.7,
        kv_cache_dtype="fp8",
        kv_cache_reuse=False,
        speculative="eagle3",
        speculative_model="/drafts",
        speculative_tokens=3,
        traces_endpoint="http://collector:4317",
    )
    llm = runtime.llm_class(**torch_arguments(runtime, chosen, Sampler.TORCH, model))
    args = llm.args
    llm.shutdown()
    cache = args.kv_cache_config
    assert (cache.free_gpu_memory_fraction, cache.dtype, cache.enable_block_reuse) == (0.7, "fp8", False)
    assert (args.max_seq_len, args.max_num_tokens, args.max_batch_size) == (2048, 4096, 4)
    assert (args.speculative_config.speculative_model_dir, args.speculative_config.max_draft_len) == ("/drafts", 3)
    assert (args.sampler_type, args.otlp_traces_endpoint) == ("TorchSampler", "http://collector:4317")
    assert (args.enable_lora, args.guided_decoding_backend) == (False, None)


def test_eagle3_without_a_draft_model_is_refused(release: Release, tmp_path: Path) -> None:
    with pytest.raises(EngineLoadError, match="CHASQUI_SPECULATIVE_MODEL"):
        torch_arguments(load_runtime(), options(speculative="eagle3"), Sampler.TORCH, tmp_path)


def test_workers_that_were_found_are_killed_and_others_are_not() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:  # noqa: S603 - constant
        assert parent.stdout is not None
        parent.stdout.readline()
        workers = Workers()
        workers.find()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as later:
            workers.kill()
            assert parent.wait(30) == -9
            assert parent.stdout.read() == b""  # the grandchild has let go of it, too
            assert later.poll() is None
            later.kill()
    assert os.getpid() not in workers._found
