"""Callers whose key was verified, by the text of their credentials: SHA-256 and all that follows are needed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.accounts.api import Accounts
    from services.accounts.keys.caller import Caller

MOST_CALLERS: Final = 1024
# Of header and endpoint: a key is shorter, and blanks around it are no reason to keep kilobytes.
_MOST_CHARACTERS: Final = 256


class KnownCallers:
    """Callers with a key of the accounts that has no end. All are forgotten when keys have changed, or are too many.

    How long a look-up takes says nothing about the keys: Python compares two texts only if their hashes are the same,
    which are of 64 bits and of a function with a random key (SipHash) in each process.
    """

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._version = accounts.keys_version
        self._callers: dict[tuple[str, str], Caller] = {}

    def find(self, authorization: str, endpoint: str) -> Caller | None:
        """Who was verified by this header and may use the endpoint; None for anyone else."""
        version = self._accounts.keys_version
        if version != self._version:
            self._callers.clear()
            self._version = version
        return self._callers.get((authorization, endpoint))

    def add(self, secret: str, authorization: str, endpoint: str, caller: Caller) -> None:
        """Remember a caller who was verified by a secret, and may use the endpoint, since `find` was asked.

        If keys have changed in between, the next `find` sees that.
        """
        if not self._accounts.lasts(secret) or len(authorization) + len(endpoint) > _MOST_CHARACTERS:
            return
        if len(self._callers) >= MOST_CALLERS:
            self._callers.clear()
        self._callers[authorization, endpoint] = caller
