"""What a command raises when the service does not do what it asks for."""

from __future__ import annotations


class CallFailed(Exception):
    """The service cannot be reached, or refused or failed a call; the message is one sentence for the terminal."""
