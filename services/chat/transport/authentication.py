"""Authentication by bearer keys, of which the server keeps only the SHA-256 hashes."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

from services.chat.transport.key_file import KeyFile
from services.errors import InvalidApiKey
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE = "file:"


class Authentication:
    """Checks credentials against `CHASQUI_API_KEYS`: keys, or a file of hashes that is read again when it changes."""

    def __init__(self, api_keys: str) -> None:
        """SettingsError if there is no key, the file is missing, or a line of it is not a hash."""
        self._file = KeyFile(Path(api_keys.removeprefix(_FILE))) if api_keys.startswith(_FILE) else None
        keys = [] if self._file else [key.strip() for key in api_keys.split(",") if key.strip()]
        if api_keys and not keys and self._file is None:
            raise SettingsError(
                f"CHASQUI_API_KEYS is {api_keys!r}, but has no key in it; unset it to accept calls without a key."
            )
        self._hashes: Sequence[bytes] = [_digest(key) for key in keys]
        self.required = bool(api_keys)

    def check(self, authorization: str | None) -> None:
        """InvalidApiKey unless `authorization` is `Bearer KEY` with a known key, or no keys are required.

        Takes the same time for every wrong key: all hashes are compared, each in constant time.
        """
        if not self.required:
            return
        key = _key(authorization)
        if not key:
            raise InvalidApiKey("There is no API key: send the header 'Authorization: Bearer KEY'.")
        given = _digest(key)
        matches = [hmac.compare_digest(given, known) for known in (self._file.hashes() if self._file else self._hashes)]
        if not any(matches):
            raise InvalidApiKey("Incorrect API key provided: the key is not known here.")

    def caller(self, authorization: str | None, address: str) -> str:
        """Whom an admitted call is counted for: its key where keys are required, otherwise the address that Envoy saw.

        An `authorization` that is not checked does not identify a caller.
        """
        if self.required:
            return f"key {_digest(_key(authorization)).hex()[:16]}"
        return f"address {_network(address)}"


def _key(authorization: str | None) -> str:
    """The key of `Bearer KEY`; empty if it is anything else."""
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _network(address: str) -> str:
    """The subscriber of an IP address: of IPv6, the /64 network, all addresses of which belong to one subscriber."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed if parsed.version == 4 else ipaddress.ip_network((parsed, 64), strict=False))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
