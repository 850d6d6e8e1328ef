"""Which sampler runs, what reaches the LLM's constructor, and which processes are killed at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from services.engine.load_error import EngineLoadError
from services.engine.tensorrt_llm.capability import PARAMETERS, Sampler, choose_sampler
from services.engine.tensorrt_llm.options import Options, torch_arguments
from services.engine.tensorrt_llm.runtime import load_runtime
from services.engine.tensorrt_llm.workers import Workers
from tests.support.tensorrt_llm import table
from tests.support.tensorrt_llm.modes import HOPPER, install, install_gpus
from tests.support.tensorrt_llm.release import Release, write_checkpoint


def options(**changes: Any) -> Options:
    return Options(**({"context_length": 1024, "parallel": 4} | changes))


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Release:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    return install(monkeypatch, Release())


def test_the_readme_has_a_mark_for_each_parameter_that_a_sampler_supports() -> None:
    names = sorted(frozenset().union(*PARAMETERS.values()))
    rows = [
        f"| `{name}` | " + " | ".join("yes" if name in PARAMETERS[one] else "" for one in Sampler) for name in names
    ]
    head = f"| parameter | {' | '.join(one.value for one in Sampler)} |"
    text = Path("services/engine/tensorrt_llm/README.md").read_text()
    assert "\n".join([head, "| --- |" + " --- |" * len(Sampler), *(f"{row} |" for row in rows)]) in text


@pytest.mark.parametrize(
    ("setting", "is_compiled", "has_cpp_sampler", "speculative", "sampler"),
    [
        ("auto", False, True, "none", Sampler.TRTLLM),
        ("trtllm", False, True, "none", Sampler.TRTLLM),
        ("torch", False, True, "none", Sampler.TORCH),
        ("auto", False, True, "ngram", Sampler.NGRAM),
        ("torch", False, True, "eagle3", Sampler.EAGLE3),
        ("auto", True, True, "none", Sampler.COMPILED),
        ("trtllm", True, True, "none", Sampler.COMPILED),
        ("auto", False, False, "none", Sampler.TORCH_ALONE),
        ("torch", False, False, "none", Sampler.TORCH_ALONE),
        ("torch", False, False, "ngram", Sampler.NGRAM),
    ],
)
def test_the_sampler_follows_from_model_release_and_settings(
    setting: str, is_compiled: bool, has_cpp_sampler: bool, speculative: str, sampler: Sampler
) -> None:
    chosen = choose_sampler(setting, compiled=is_compiled, has_cpp_sampler=has_cpp_sampler, speculative=speculative)
    assert chosen is sampler


@pytest.mark.parametrize(
    ("setting", "is_compiled", "has_cpp_sampler", "speculative", "why"),
    [
        ("torch", True, True, "none", "its own sampler"),
        ("trtllm", False, False, "none", "no longer has the C\\+\\+ sampler"),
        ("trtllm", False, True, "ngram", "needs the PyTorch sampler"),
    ],
)
def test_a_sampler_that_cannot_run_is_refused(
    setting: str, is_compiled: bool, has_cpp_sampler: bool, speculative: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        choose_sampler(setting, compiled=is_compiled, has_cpp_sampler=has_cpp_sampler, speculative=speculative)


def test_a_release_that_only_kept_the_argument_has_no_c_sampler(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_runtime().has_cpp_sampler
    install(monkeypatch, Release("1.4.0"))
    later = load_runtime()
    assert "sampler_type" in later.llmapi.TorchLlmArgs.model_fields
    assert not later.has_cpp_sampler


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
    llm = runtime.llm_class(**torch_arguments(runtime, chosen, Sampler.EAGLE3, model))
    args = llm.args
    llm.shutdown()
    cache = args.kv_cache_config
    assert (cache.free_gpu_memory_fraction, cache.dtype, cache.enable_block_reuse) == (0.7, "fp8", False)
    assert (args.max_seq_len, args.max_num_tokens, args.max_batch_size) == (2048, 4096, 4)
    assert (args.speculative_config.speculative_model, args.speculative_config.max_draft_len) == ("/drafts", 3)
    assert (args.sampler_type, args.otlp_traces_endpoint) == ("TorchSampler", "http://collector:4317")
    assert (args.enable_lora, args.guided_decoding_backend) == (False, None)


def test_batches_of_every_size_run_in_a_cuda_graph(release: Release, tmp_path: Path) -> None:
    runtime, model = load_runtime(), write_checkpoint(tmp_path / "model")
    llm = runtime.llm_class(**torch_arguments(runtime, options(parallel=64), Sampler.TRTLLM, model))
    assert [llm.graph_for(batch) for batch in (1, 31, 33, 63, 64)] == [1, 32, 40, 64, 64]
    llm.shutdown()


def test_without_padding_some_batches_run_without_a_graph(release: Release, tmp_path: Path) -> None:
    llm = load_runtime().llm_class(model=str(write_checkpoint(tmp_path / "model")))
    assert [llm.graph_for(batch) for batch in (31, 33, 63, 64)] == [31, None, None, 64]
    llm.shutdown()


@pytest.mark.parametrize(
    ("has_field", "expected"),
    [(True, {"allow_advanced_sampling": True, "eagle3_one_model": True}), (False, {"eagle3_one_model": False})],
)
def test_eagle3_samples_as_the_release_allows(
    release: Release, monkeypatch: pytest.MonkeyPatch, has_field: bool, expected: dict[str, bool]
) -> None:
    if not has_field:
        monkeypatch.delitem(table.EAGLE_DECODING_CONFIG, "allow_advanced_sampling")
        install(monkeypatch, Release())
    chosen = options(speculative="eagle3", speculative_model="/drafts")
    config = torch_arguments(load_runtime(), chosen, Sampler.EAGLE3, Path("model"))["speculative_config"]
    assert {name: getattr(config, name) for name in expected} == expected


def test_eagle3_without_a_draft_model_is_refused(release: Release, tmp_path: Path) -> None:
    with pytest.raises(EngineLoadError, match="CHASQUI_SPECULATIVE_MODEL"):
        torch_arguments(load_runtime(), options(speculative="eagle3"), Sampler.TORCH, tmp_path)


def test_workers_that_were_found_are_killed_and_others_are_not() -> None:
    # The parent does not end by itself when its child is killed, which may be first.
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()']); input()"
    command, other = [sys.executable, "-c", script], [sys.executable, "-c", "input()"]
    with ExitStack() as stack:
        earlier = stack.enter_context(subprocess.Popen(other, stdin=subprocess.PIPE))  # noqa: S603 - constant
        workers = Workers()
        parent = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))  # noqa: S603
        assert parent.stdout is not None
        parent.stdout.readline()
        workers.find()
        later = stack.enter_context(subprocess.Popen(other, stdin=subprocess.PIPE))  # noqa: S603 - constant
        workers.kill()
        assert parent.wait(30) == -9
        assert parent.stdout.read() == b""  # the grandchild has let go of it, too
        assert (earlier.poll(), later.poll()) == (None, None)
        earlier.kill()
        later.kill()
    assert os.getpid() not in workers._found
