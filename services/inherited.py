"""What a process inherits from the one that starts it, made usable: standard streams, directory, limit of files."""

from __future__ import annotations

import logging
import os
import resource
import sys
from pathlib import Path

log = logging.getLogger(__name__)

# With fewer files a few hundred connections use them up.
_FEW_FILES = 1024


def open_standard_streams() -> None:
    """Open /dev/null in place of a standard stream that is closed.

    Otherwise the next file or socket would get its number, and log lines would be written into that.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:  # as Python leaves it if the descriptor was closed
            setattr(sys, name, open(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False))  # noqa: SIM115 - a descriptor, for the life of the process


def leave_missing_directory() -> None:
    """Change to / if the current directory has been removed; libraries ask for it."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/")


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard limit; each connection needs up to two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if 0 <= most < _FEW_FILES:
        log.warning("only %d files may be open at once, which limits connections; raise it with ulimit -n", most)
