"""Compiled engines: building, their manifest, and where they fit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from services.cli import main
from services.engine.load_error import EngineLoadError
from services.engine.tensorrt_llm.gpus import Gpu, read_gpus
from services.engine.tensorrt_llm.manifest import FILE, read_manifest
from services.engine.tensorrt_llm.model import loadable_model
from services.engine.tensorrt_llm.options import Options
from services.engine.tensorrt_llm.runtime import load_runtime
from tests.support.tensorrt_llm.modes import HOPPER, compiled, install, install_gpus
from tests.support.tensorrt_llm.release import Release, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30
H100 = Gpu("NVIDIA H100 80GB HBM3", 80 * GIB, 78 * GIB, "9.0")


def options(**changes: Any) -> Options:
    return Options(**({"context_length": 1024, "parallel": 4} | changes))


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Release:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    return install(monkeypatch, Release())


def test_an_engine_runs_where_it_was_built(release: Release, tmp_path: Path) -> None:
    engine = compiled(write_checkpoint(tmp_path / "model"), tmp_path / "engine", max_seq_len=2048)
    model = loadable_model(engine, load_runtime(), options(context_length=0), read_gpus())
    assert model.options.context_length == 2048
    assert model.quantization == "bfloat16"
    assert not model.guided


def test_the_context_of_an_engine_is_what_memory_allows(
    release: Release, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = compiled(write_checkpoint(tmp_path / "model"), tmp_path / "engine", max_seq_len=4096)
    with (engine / "rank0.engine").open("ab") as weights:
        weights.truncate(8 * GIB)
    install_gpus(monkeypatch, tmp_path, f"{H100.name}, 81559, {12 * 1024 - 640}, 9.0")
    model = loadable_model(engine, load_runtime(), options(context_length=0), read_gpus())
    assert model.options.context_length == 2048  # 0.375 GiB x 0.85 / 128 KiB, in whole 1,024s
    with pytest.raises(EngineLoadError, match=r"8\.0 GiB weights"):
        loadable_model(engine, load_runtime(), options(context_length=4096), read_gpus())


def test_an_engine_with_an_fp8_cache_does_not_reuse_it(release: Release, tmp_path: Path) -> None:
    engine = compiled(write_checkpoint(tmp_path / "model"), tmp_path / "engine", kv_cache_dtype="fp8")
    assert not loadable_model(engine, load_runtime(), options(), read_gpus()).options.kv_cache_reuse


@pytest.mark.parametrize(
    ("gpu", "version", "changes", "why"),
    [
        ("NVIDIA L4, 23034, 22000, 8.9", "1.2.1", {}, "compute capability 9.0 .* and this machine has 8.9"),
        (HOPPER, "1.2.0", {}, "built with TensorRT-LLM 1.2.1, and this is 1.2.0"),
        (HOPPER, "1.4.0", {}, "no longer runs"),
        (HOPPER, "1.2.1", {"parallel": 9}, "CHASQUI_PARALLEL is 9, and it was built for at most 8"),
        (HOPPER, "1.2.1", {"context_length": 4096}, "CHASQUI_CONTEXT_LENGTH is 4,096"),
        (HOPPER, "1.2.1", {"tensor_parallel": 2}, "CHASQUI_TENSOR_PARALLEL is 2, and it was built for 1"),
        (HOPPER, "1.2.1", {"speculative": "ngram"}, "cannot take a draft model"),
        (HOPPER, "1.2.1", {"kv_cache_dtype": "fp8"}, "CHASQUI_KV_CACHE_DTYPE is fp8, and it was built with auto"),
    ],
)
def test_an_engine_that_does_not_fit_is_refused_with_the_reason(
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    gpu: str,
    version: str,
    changes: dict[str, Any],
    why: str,
) -> None:
    engine = compiled(write_checkpoint(tmp_path / "model"), tmp_path / "engine")
    install_gpus(monkeypatch, tmp_path, gpu)
    install(monkeypatch, Release(version))
    with pytest.raises(EngineLoadError, match=why):
        loadable_model(engine, load_runtime(), options(**changes), read_gpus())


def test_an_engine_for_more_gpus_than_there_are_is_refused(release: Release, tmp_path: Path) -> None:
    engine = compiled(write_checkpoint(tmp_path / "model"), tmp_path / "engine", tensor_parallel=2)
    with pytest.raises(EngineLoadError, match="it runs on 2 GPUs, and this machine has 1"):
        loadable_model(engine, load_runtime(), options(), read_gpus())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tensorrt_llm": 1}'])
def test_an_engine_with_a_damaged_manifest_is_refused(release: Release, tmp_path: Path, text: str) -> None:
    engine = compiled(write_checkpoint(tmp_path / "model"), tmp_path / "engine")
    (engine / FILE).write_text(text)
    with pytest.raises(EngineLoadError, match="is damaged"):
        read_manifest(engine)


def test_an_engine_without_a_manifest_is_refused(release: Release, tmp_path: Path) -> None:
    engine = compiled(write_checkpoint(tmp_path / "model"), tmp_path / "engine")
    (engine / FILE).unlink()
    with pytest.raises(EngineLoadError, match=r"without a chasqui-engine\.json"):
        loadable_model(engine, load_runtime(), options(), read_gpus())


def build(model: Path, out: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["build-engine", str(model), str(out), *more])
    return result.exit_code, result.output


def test_build_engine_compiles_once_and_again_only_for_other_limits(release: Release, tmp_path: Path) -> None:
    model, out = write_checkpoint(tmp_path / "model"), tmp_path / "engines" / "8b"
    limits = ("--max-seq-len", "2048", "--precision", "fp8", "--kv-cache-dtype", "fp8")
    status, said = build(model, out, *limits)
    assert (status, said.splitlines()[-1]) == (0, f"{out} is ready")
    assert read_manifest(out).precision == "fp8"
    given = release.llms[0].args
    assert (given.quant_config.quant_algo, given.quant_config.kv_cache_quant_algo) == ("FP8", "FP8")
    assert (given.build_config.max_seq_len, given.build_config.max_batch_size) == (2048, 64)
    assert build(model, out, *limits) == (0, f"{out} is up to date\n")
    assert build(model, out, *limits, "--max-batch-size", "16")[0] == 0
    assert read_manifest(out).max_batch_size == 16
    assert len(release.llms) == 2
    assert [path.name for path in out.parent.iterdir()] == ["8b"]


def test_build_engine_leaves_other_files_alone(release: Release, tmp_path: Path) -> None:
    out = tmp_path / "precious"
    out.mkdir()
    (out / "thesis.txt").write_text("…")
    status, said = build(write_checkpoint(tmp_path / "model"), out, "--max-seq-len", "100")
    assert status == 2
    assert "holds other files" in said
    assert (out / "thesis.txt").exists()


def test_build_engine_says_why_it_cannot(release: Release, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = write_checkpoint(tmp_path / "model")
    assert "the model has 4,096" in build(model, tmp_path / "engine", "--max-seq-len", "5000")[1]
    release.load_error = RuntimeError("out of memory")
    assert "cannot compile" in build(model, tmp_path / "engine", "--max-seq-len", "100")[1]
    assert not (tmp_path / "engine").exists()
    install(monkeypatch, Release("1.4.0"))
    assert "has no compiled engines" in build(model, tmp_path / "engine")[1]


def test_without_the_package_the_message_says_where_it_is_to_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_llm", None)
    status, said = build(write_checkpoint(tmp_path / "model"), tmp_path / "engine")
    assert status == 2
    assert "docker/server-gpu.Dockerfile" in said
