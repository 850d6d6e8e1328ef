"""The GPUs that CUDA would use, as nvidia-smi reports them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import huggingface_hub
import pytest

from services.engine.load_error import EngineLoadError
from services.engine.tensorrt_llm import gpus as gpus_module
from services.engine.tensorrt_llm.factory import build_tensorrt_llm
from services.engine.tensorrt_llm.gpus import Gpu, check_precision, read_gpus, settled_gpus, used_gpus
from services.settings import Settings
from tests.support.tensorrt_llm.modes import HOPPER, install, install_gpus
from tests.support.tensorrt_llm.release import Release, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

L4 = "NVIDIA L4, 23034, 22000, 8.9"


def test_the_gpus_are_those_that_nvidia_smi_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_gpus(monkeypatch, tmp_path, HOPPER, L4)
    assert [gpu.capability for gpu in read_gpus()] == ["9.0", "8.9"]
    assert read_gpus()[0].free_bytes == 80_000 << 20


@pytest.mark.parametrize(
    ("setting", "capabilities"),
    [
        ("1,0", ["8.9", "9.0"]),
        ("GPU-1aaa", ["8.9"]),
        ("GPU-1", ["8.9"]),
        ("0,7,1", ["9.0"]),  # what follows an invalid entry is not visible
    ],
)
def test_cuda_visible_devices_selects_and_orders_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str, capabilities: list[str]
) -> None:
    install_gpus(monkeypatch, tmp_path, HOPPER, L4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    assert [gpu.capability for gpu in read_gpus()] == capabilities


@pytest.mark.parametrize("setting", ["", "-1", "7", "MIG-9"])
def test_without_a_visible_gpu_the_reason_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    with pytest.raises(EngineLoadError, match=f"CUDA sees none with CUDA_VISIBLE_DEVICES={setting}, of the 1 that"):
        read_gpus()


@pytest.mark.parametrize("setting", [None, "MIG-0"])
def test_the_memory_of_a_mig_instance_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str | None
) -> None:
    install_gpus(monkeypatch, tmp_path, f"{HOPPER}, Enabled")
    if setting is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    (gpu,) = read_gpus()
    assert (gpu.free_bytes, gpu.capability) == (None, "9.0")
    assert settled_gpus(1) == [gpu]


def test_a_gpu_that_shares_the_machine_s_memory_has_that(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_gpus(monkeypatch, tmp_path, "NVIDIA GB10, [N/A], [N/A], 12.1, [N/A]")
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 125829120 kB\nMemFree: 1 kB\nMemAvailable: 115343360 kB\n")
    monkeypatch.setattr(gpus_module, "_MEMINFO", meminfo)
    assert read_gpus() == [Gpu("NVIDIA GB10", 120 << 30, 110 << 30, "12.1")]


def free_memory_of(monkeypatch: pytest.MonkeyPatch, folder: Path, *readings: tuple[int, ...]) -> None:
    """An nvidia-smi whose answers differ from call to call: for each call the free MiB of each GPU."""
    monkeypatch.setattr(gpus_module, "_SETTLE_SECONDS", 0.0)
    for call, reading in enumerate(readings):
        rows = [f"{i}, GPU-{i}, NVIDIA L4, 24000, {free}, 8.9, [N/A]\n" for i, free in enumerate(reading)]
        (folder / f"reading{call}").write_text("".join(rows))
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncd {folder}\nnext=$(ls reading* | head -n 1)\ncat $next\nrm $next\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_memory_that_is_being_freed_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free_memory_of(monkeypatch, tmp_path, (4000,), (9000,), (15000,), (15000,), (20000,))
    assert [(gpu.free_bytes or 0) >> 20 for gpu in settled_gpus(1)] == [15000]


def test_a_busy_gpu_that_the_model_does_not_use_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    free_memory_of(monkeypatch, tmp_path, (23900, 100))
    assert len(settled_gpus(1)) == 2


def test_too_few_gpus_are_refused_with_both_numbers() -> None:
    gpu = Gpu("NVIDIA L4", 1, 1, "8.9")
    assert used_gpus([gpu, gpu], 1) == [gpu]
    with pytest.raises(EngineLoadError, match=r"runs on 4 GPUs .* but CUDA sees 2"):
        used_gpus([gpu, gpu], 4)


@pytest.mark.parametrize("line", ["No devices were found", "NVIDIA L4, 24000, 1, eight", "NVIDIA L4, lots, 1, 8.9"])
def test_output_of_nvidia_smi_that_makes_no_sense_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    install_gpus(monkeypatch, tmp_path, line)
    with pytest.raises(EngineLoadError, match="output of nvidia-smi is not understood"):
        read_gpus()


def test_a_machine_without_a_driver_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineLoadError, match="needs an NVIDIA GPU"):
        read_gpus()


@pytest.mark.parametrize(
    ("precision", "capability", "fits"),
    [
        ("fp8", "8.0", False),
        ("fp8", "8.6", False),
        ("fp8", "8.9", True),
        ("fp8", "10.0", True),
        ("nvfp4", "9.0", False),
        ("nvfp4", "12.1", True),
        ("bfloat16", "8.0", True),
    ],
)
def test_a_gpu_that_cannot_compute_in_the_precision_of_the_weights_is_refused(
    precision: str, capability: str, fits: bool
) -> None:
    gpu = Gpu("NVIDIA A100", 1, 1, capability)
    if fits:
        check_precision(precision, [gpu])
        return
    with pytest.raises(EngineLoadError, match=f"weights are {precision.upper()}, .* NVIDIA A100 has {capability}"):
        check_precision(precision, [gpu])


@pytest.mark.parametrize(
    ("gpu", "tensor_parallel", "why"),
    [
        ("NVIDIA A100, 81920, 80000, 8.0", 1, "The weights are FP8"),
        (HOPPER, 2, "runs on 2 GPUs"),
    ],
)
def test_what_the_gpu_cannot_run_is_refused_before_the_weights_are_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gpu: str, tensor_parallel: int, why: str
) -> None:
    install(monkeypatch, Release())
    install_gpus(monkeypatch, tmp_path, gpu)
    snapshot = write_checkpoint(tmp_path / "snapshot")
    (snapshot / "hf_quant_config.json").write_text(json.dumps({"quantization": {"quant_algo": "FP8"}}))
    downloads: list[list[str]] = []

    def snapshot_download(repo: str, allow_patterns: list[str]) -> str:
        downloads.append(allow_patterns)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    name = "nvidia/Llama-3.1-8B-Instruct-FP8"
    with pytest.raises(EngineLoadError, match=why):
        build_tensorrt_llm(Settings(engine="tensorrt-llm", model=name, tensor_parallel=tensor_parallel))
    assert downloads == [["*.json", "*.jinja"]]
