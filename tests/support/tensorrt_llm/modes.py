"""The ways in which the TensorRT-LLM engine runs: on the double here, on the package where there is a GPU."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from services.engine.tensorrt_llm.build import BuildPlan, build_engine
from services.engine.tensorrt_llm.gpus import read_gpus
from services.engine.tensorrt_llm.runtime import load_runtime
from services.settings import Settings
from tests.support.tensorrt_llm.release import Release, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

HOPPER = "NVIDIA H100 80GB HBM3, 81559, 80000, 9.0"


@dataclass(frozen=True, slots=True)
class TensorRtLlmMode:
    """`settings` are changes of the defaults; `version` is the release of the double, empty for the real package."""

    version: str
    compiled: bool
    settings: tuple[tuple[str, Any], ...] = ()

    def prepare(self, monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: Any) -> Settings:
        """Install the double with a GPU and a model to load, and return the settings that load it.

        With the real package the model has random weights, for which its directory needs none.
        """
        if self.version:
            install(monkeypatch, Release(self.version))
            install_gpus(monkeypatch, folder, HOPPER)
        else:
            settings["load_format"] = "dummy"
            if self.compiled:
                pytest.skip("compiling takes minutes and real weights: chasqui build-engine")
        # Two layers, because every test loads the model anew.
        model = write_checkpoint(folder / "model", num_hidden_layers=32 if self.version else 2)
        if self.compiled:
            model = compiled(model, folder / "engine")
        return Settings(engine="tensorrt-llm", model=str(model), **(dict(self.settings) | settings))


def compiled(model: Path, out: Path, kv_cache_dtype: str = "auto", **limits: int) -> Path:
    """An engine made from a checkpoint, in the way of `chasqui build-engine`."""
    plan = BuildPlan(
        model=model,
        out=out,
        precision="bfloat16",
        kv_cache_dtype=kv_cache_dtype,
        max_batch_size=limits.get("max_batch_size", 8),
        max_seq_len=limits.get("max_seq_len", 2048),
        max_num_tokens=8192,
        max_beam_width=1,
        tensor_parallel=limits.get("tensor_parallel", 1),
        pipeline_parallel=1,
    )
    build_engine(plan, load_runtime(), read_gpus(), lambda _: None)
    return out


def install(monkeypatch: pytest.MonkeyPatch, release: Release) -> Release:
    """Let `import tensorrt_llm` and `import torch` find the double until the test ends."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tensorrt_llm", "torch")]:
        monkeypatch.delitem(sys.modules, name)
    # None stands for a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "tensorrt_llm._tensorrt_engine", None)
    for name, module in release.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    return release


def install_gpus(monkeypatch: pytest.MonkeyPatch, folder: Path, *gpus: str) -> None:
    """An nvidia-smi that reports GPUs: lines of name, total MiB, free MiB and compute capability.

    A fifth word is the MIG mode; a GPU with "Enabled" has one instance, MIG-INDEX.
    """
    rows, listed = [], []
    for index, gpu in enumerate(gpus):
        mig = "" if gpu.count(",") == 4 else ", Disabled"
        rows.append(f"{index}, GPU-{index}aaa, {gpu}{mig}")
        listed.append(f"GPU {index}: {gpu.split(',')[0]} (UUID: GPU-{index}aaa)")
        if gpu.endswith("Enabled"):
            listed.append(f"  MIG 1g.10gb     Device  0: (UUID: MIG-{index})")
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    query, table = ("\n".join(lines) for lines in (rows, listed))
    script = f"#!/bin/sh\nif [ \"$1\" = -L ]; then cat <<'END'\n{table}\nEND\nelse cat <<'END'\n{query}\nEND\nfi\n"
    (tools / "nvidia-smi").write_text(script)
    (tools / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")


def _modes() -> dict[str, TensorRtLlmMode]:
    if importlib.util.find_spec("tensorrt_llm") is not None:
        return {
            "tensorrt-llm": TensorRtLlmMode("", compiled=False),
            "tensorrt-llm-torch-sampler": TensorRtLlmMode("", compiled=False, settings=(("sampler", "torch"),)),
        }
    return {
        "tensorrt-llm-double": TensorRtLlmMode("1.2.1", compiled=False),
        "tensorrt-llm-double-torch-sampler": TensorRtLlmMode("1.2.1", compiled=False, settings=(("sampler", "torch"),)),
        "tensorrt-llm-double-compiled": TensorRtLlmMode("1.2.1", compiled=True),
        "tensorrt-llm-double-later-release": TensorRtLlmMode("1.4.0", compiled=False),
    }


TENSORRT_LLM_MODES = _modes()
