"""Tells objects that are freed as soon as nothing refers to them from those that wait for the garbage collector."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Without a garbage collector inside, an object in a reference cycle stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
