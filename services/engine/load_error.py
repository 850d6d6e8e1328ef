"""The error of starting an engine."""

from __future__ import annotations


class EngineLoadError(Exception):
    """The engine or its model cannot be loaded; the message is one sentence for the terminal."""
