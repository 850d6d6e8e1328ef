"""What a process holds, to see whether anything is left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


@dataclass(frozen=True, slots=True)
class Holdings:
    """Counts, and the resident memory in bytes."""

    descriptors: int
    threads: int
    memory: int

    @classmethod
    def of(cls, process: psutil.Process) -> Holdings:
        """Of a process, now."""
        with process.oneshot():
            return cls(process.num_fds(), process.num_threads(), process.memory_info().rss)

    def leaks(self, before: Holdings, allowance: int) -> list[str]:
        """What is more than it was, as sentences; memory may have grown by `allowance` bytes."""
        found = []
        if self.descriptors > before.descriptors:
            found.append(f"{self.descriptors - before.descriptors} more descriptors")
        if self.threads > before.threads:
            found.append(f"{self.threads - before.threads} more threads")
        if self.memory > before.memory + allowance:
            found.append(f"{(self.memory - before.memory) / 2**20:.1f} MiB more memory")
        return found
