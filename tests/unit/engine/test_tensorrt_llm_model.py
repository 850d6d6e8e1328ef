"""Whether a model fits the machine and the release, and what the manifest of a compiled engine says of that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from services.cli import main
from services.engine.load_error import EngineLoadError
from services.engine.model.checkpoint import read_checkpoint
from services.engine.model.gguf_file import read_gguf
from services.engine.model.tokenizer import tokenizer_from_checkpoint, tokenizer_from_gguf
from services.engine.tensorrt_llm import memory as memory_module
from services.engine.tensorrt_llm.capability import PARAMETERS, Sampler, choose_sampler
from services.engine.tensorrt_llm.manifest import FILE, read_manifest
from services.engine.tensorrt_llm.memory import (
    Gpu,
    cache_tokens,
    context_that_fits,
    kv_bytes_per_token,
    read_gpus,
    settled_gpus,
)
from services.engine.tensorrt_llm.model import loadable_model
from services.engine.tensorrt_llm.options import Options, torch_arguments
from services.engine.tensorrt_llm.runtime import load_runtime
from services.engine.tensorrt_llm.workers import Workers
from services.settings import DEMO_MODEL
from tests.support.tensorrt_llm.modes import HOPPER, compiled, install, install_gpus
from tests.support.tensorrt_llm.release import Release, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30
H100 = Gpu("NVIDIA H100 80GB HBM3", 80 * GIB, 78 * GIB, "9.0")
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


def test_a_checkpoint_has_the_tokeniser_template_and_sizes_of_its_model(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model", end_ids=(5,)))
    gguf = read_gguf(DEMO_MODEL)
    assert checkpoint.chat_template == gguf.chat_template
    assert checkpoint.end_ids == (gguf.eos_id, 5)
    assert (checkpoint.layers, checkpoint.kv_heads, checkpoint.head_dim) == (32, 8, 128)
    ours, theirs = tokenizer_from_checkpoint(checkpoint), tokenizer_from_gguf(gguf)
    assert ours.special_tokens == theirs.special_tokens
    text = "Grüße aus 東京 <|eot_id|> \n\n  def f(): 🦙"
    ids = ours.encode(text)
    assert not set(ids) & set(ours.special_tokens.values())
    assert ours.decoder().push(ids) == text


def test_a_model_from_the_hub_has_the_name_of_its_repository(release: Release, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--nvidia--Llama-3.1--8B-FP8" / "snapshots" / "0e9e39f2"
    model = write_checkpoint(snapshot)
    assert read_checkpoint(model).name == "nvidia/Llama-3.1--8B-FP8"
    engine = compiled(model, tmp_path / "engine")
    assert loadable_model(engine, load_runtime(), options(), read_gpus()).name == "nvidia/Llama-3.1--8B-FP8"
    assert read_checkpoint(write_checkpoint(tmp_path / "my-model")).name == "my-model"


def test_modelopt_s_quantisation_is_seen(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "model")
    (path / "hf_quant_config.json").write_text(json.dumps({"quantization": {"quant_algo": "FP8"}}))
    assert read_checkpoint(path).quantization == "fp8"
    assert kv_bytes_per_token(read_checkpoint(path), "auto") == 128 * 1024
    both = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    (path / "hf_quant_config.json").write_text(json.dumps(both))
    assert kv_bytes_per_token(read_checkpoint(path), "auto") == 64 * 1024


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_checkpoint_without_one_of_its_files_is_a_sentence(tmp_path: Path, missing: str) -> None:
    path = write_checkpoint(tmp_path / "model")
    (path / missing).unlink()
    with pytest.raises(EngineLoadError, match=missing):
        read_checkpoint(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"vocab_size": 3}', '{"num_attention_heads": "x"}'])
def test_a_checkpoint_with_a_damaged_config_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = write_checkpoint(tmp_path / "model")
    (path / "config.json").write_text(text)
    with pytest.raises(EngineLoadError, match="is no checkpoint of a chat model"):
        read_checkpoint(path)


def test_the_cache_of_llama_8b_takes_128_kib_a_token_and_half_of_that_in_fp8(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model"))
    assert kv_bytes_per_token(checkpoint, "auto") == 128 * 1024
    assert kv_bytes_per_token(checkpoint, "fp8") == 64 * 1024


def test_the_cache_holds_what_weights_and_reserve_leave(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "model")
    with (path / "model.safetensors").open("wb") as weights:
        weights.truncate(15 * GIB)
    checkpoint = read_checkpoint(path)
    tokens = cache_tokens(checkpoint, options(kv_cache_fraction=0.5), H100)
    assert tokens == (78 - 15 - 3) * GIB // 2 // (128 * 1024)
    shared = cache_tokens(checkpoint, options(kv_cache_fraction=0.5, tensor_parallel=2), H100)
    assert shared == int((78 - 7.5 - 3) * GIB / 2 / (64 * 1024))


def test_the_default_context_is_the_model_s_or_what_memory_allows(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model", max_position_embeddings=131_072))
    assert context_that_fits(checkpoint, options(), [H100], 0) == 131_072
    small = Gpu("NVIDIA L4", 24 * GIB, 5 * GIB, "8.9")
    fitting = context_that_fits(checkpoint, options(), [H100, small], 0)
    assert fitting == int(2 * GIB * 0.85 / (128 * 1024)) // 1024 * 1024


def test_a_context_that_does_not_fit_is_refused_with_the_arithmetic(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model", max_position_embeddings=131_072))
    small = Gpu("NVIDIA L4", 24 * GIB, 5 * GIB, "8.9")
    with pytest.raises(EngineLoadError) as refusal:
        context_that_fits(checkpoint, options(), [small], 131_072)
    arithmetic = (
        "(5.0 GiB free - 0.0 GiB weights - 3 GiB reserve) x 0.85 / 128 KiB per token = 13,926 tokens on NVIDIA L4"
    )
    assert arithmetic in str(refusal.value)
    with pytest.raises(EngineLoadError, match="the model has 131,072"):
        context_that_fits(checkpoint, options(), [H100], 200_000)


def test_the_gpus_are_those_that_nvidia_smi_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_gpus(monkeypatch, tmp_path, HOPPER, "NVIDIA L4, 23034, 22000, 8.9")
    assert [gpu.architecture for gpu in read_gpus()] == ["9.0", "8.9"]
    assert read_gpus()[0].free_bytes == 80_000 << 20


def test_memory_that_is_being_given_back_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory_module, "_SETTLE_SECONDS", 0.0)
    answers = tmp_path / "answers"
    answers.write_text("".join(f"NVIDIA L4, 24000, {free}, 8.9\n" for free in (4000, 9000, 15000, 15000, 20000)))
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nhead -n 1 {answers}\nsed -i 1d {answers}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert [gpu.free_bytes >> 20 for gpu in settled_gpus()] == [15000]


@pytest.mark.parametrize("answer", ["No devices were found", "NVIDIA L4, [N/A], 1, 8.9"])
def test_an_answer_of_nvidia_smi_that_makes_no_sense_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str
) -> None:
    install_gpus(monkeypatch, tmp_path, answer)
    with pytest.raises(EngineLoadError, match="nvidia-smi answered"):
        read_gpus()


def test_a_machine_without_a_driver_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineLoadError, match="needs an NVIDIA GPU"):
        read_gpus()


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
