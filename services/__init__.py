"""Chasqui: the shared leaves (settings, errors, telemetry, command line), the chat server and its engines."""

__version__ = "0.1.0"
