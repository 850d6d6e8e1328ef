"""The NVIDIA GPUs that CUDA would use, as nvidia-smi reports them.

CUDA itself is not asked: once started in this process it would take memory and forbid a later fork.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.engine.load_error import EngineLoadError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEMINFO = Path("/proc/meminfo")
_MIB: Final = 1 << 20
_MOSTLY_FREE: Final = 0.95
_SETTLE_SECONDS: Final = 3.0
_QUERY: Final = "index,uuid,name,memory.total,memory.free,compute_cap,mig.mode.current"
# The compute capability from which on a GPU computes in that format.
_NEEDED_CAPABILITY: Final = {"fp8": (8, 9), "nvfp4": (10, 0)}


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or an instance of one (MIG); `capability` is the compute capability, "9.0" for Hopper."""

    name: str
    total_bytes: int
    free_bytes: int | None  # None: unknown, as nvidia-smi does not report the memory of a MIG instance
    capability: str


@dataclass(frozen=True, slots=True)
class _Row:
    """One GPU of nvidia-smi's list, with the names that CUDA_VISIBLE_DEVICES may give it."""

    index: str
    uuid: str
    gpu: Gpu


def read_gpus() -> list[Gpu]:
    """The GPUs that CUDA sees, in its order; EngineLoadError if there are none, or no driver.

    CUDA_VISIBLE_DEVICES lists indexes or UUIDs, and ends at the first entry that is not valid. nvidia-smi rejects some
    of the entries that CUDA accepts, such as UUIDs of MIG instances, so the list is applied here.
    """
    rows = [_row(line) for line in _nvidia_smi(f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits")]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [row.gpu for row in rows] if visible is None else _visible(rows, visible)
    if not gpus:
        listed = f", of the {len(rows)} that nvidia-smi lists" if rows else ""
        hidden = "" if visible is None else f" with CUDA_VISIBLE_DEVICES={visible}{listed}"
        raise EngineLoadError(f"TensorRT-LLM needs an NVIDIA GPU, but CUDA sees none{hidden}.")
    return gpus


def used_gpus(gpus: Sequence[Gpu], count: int) -> Sequence[Gpu]:
    """The first `count` GPUs, which are the ones that TensorRT-LLM takes; EngineLoadError if there are fewer."""
    if len(gpus) < count:
        raise EngineLoadError(
            f"The model runs on {count} GPUs (CHASQUI_TENSOR_PARALLEL x CHASQUI_PIPELINE_PARALLEL), but CUDA sees "
            f"{len(gpus)}."
        )
    return gpus[:count]


def settled_gpus(count: int) -> list[Gpu]:
    """The GPUs, read again until the free memory of the first `count` stops growing; blocks for some seconds.

    When a failed server is restarted its old workers may still be ending. The memory that they are about to free would
    count as used and shrink the context.
    """
    gpus = read_gpus()
    while any(_is_busy(gpu) for gpu in used_gpus(gpus, count)):
        time.sleep(_SETTLE_SECONDS)
        before, gpus = gpus, read_gpus()
        pairs = zip(gpus[:count], before[:count], strict=True)
        if all((now.free_bytes or 0) <= (then.free_bytes or 0) for now, then in pairs):
            break
    return gpus


def check_precision(precision: str, gpus: Sequence[Gpu]) -> None:
    """EngineLoadError if a GPU cannot compute in `precision`, a name of weights' formats such as "fp8"."""
    needed = _NEEDED_CAPABILITY.get(precision)
    if needed is None:
        return
    for gpu in gpus:
        if tuple(int(part) for part in gpu.capability.split(".")) < needed:
            raise EngineLoadError(
                f"The weights are {precision.upper()}, which needs a GPU of compute capability "
                f"{needed[0]}.{needed[1]} or higher; {gpu.name} has {gpu.capability}. Use a bfloat16 checkpoint."
            )


def _is_busy(gpu: Gpu) -> bool:
    return gpu.free_bytes is not None and gpu.free_bytes < _MOSTLY_FREE * gpu.total_bytes


def _nvidia_smi(*arguments: str) -> list[str]:
    try:
        result = subprocess.run(  # noqa: S603 - arguments are constants
            ["nvidia-smi", *arguments],  # noqa: S607 - where the driver has put it
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineLoadError(f"TensorRT-LLM needs an NVIDIA GPU, but nvidia-smi failed: {error}.") from error
    return [line for line in result.stdout.splitlines() if line.strip()]


def _row(line: str) -> _Row:
    try:
        index, uuid, rest = (part.strip() for part in line.split(",", 2))
        name, total, free, capability, mig = (part.strip() for part in rest.rsplit(",", 4))
        if not re.fullmatch(r"\d+\.\d+", capability):
            raise ValueError(capability)
        return _Row(index, uuid, Gpu(name, *_memory(total, free, mig), capability))
    except ValueError as error:
        raise EngineLoadError(f"The output of nvidia-smi is not understood: {line.strip()!r}.") from error


def _memory(total: str, free: str, mig: str) -> tuple[int, int | None]:
    """Total and free bytes. A GPU without memory of its own, such as GB10, has "[N/A]" and shares the machine's."""
    if mig == "Enabled":
        return 0, None
    if "[N/A]" in (total, free):
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        return tuple(int(fields[name].removesuffix("kB")) * 1024 for name in ("MemTotal", "MemAvailable"))  # type: ignore[return-value]  # two numbers
    return int(total) * _MIB, int(free) * _MIB


def _visible(rows: Sequence[_Row], setting: str) -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES names, in its order."""
    found: list[Gpu] = []
    for entry in (part.strip() for part in setting.split(",")):
        gpu = _instance(rows, entry) if entry.startswith("MIG-") else _gpu(rows, entry)
        if gpu is None:
            break
        found.append(gpu)
    return found


def _gpu(rows: Sequence[_Row], entry: str) -> Gpu | None:
    """The GPU with that index, or whose UUID begins so."""
    return next((row.gpu for row in rows if entry and (row.index == entry or row.uuid.startswith(entry))), None)


def _instance(rows: Sequence[_Row], uuid: str) -> Gpu | None:
    """A MIG instance, found in the list of `nvidia-smi -L` under its GPU."""
    parent = ""
    for line in _nvidia_smi("-L"):
        if match := re.match(r"GPU (\d+):", line):
            parent = match[1]
        elif uuid in line and (gpu := _gpu(rows, parent)) is not None:
            return replace(gpu, name=f"{gpu.name} {uuid}", total_bytes=0, free_bytes=None)
    return None
