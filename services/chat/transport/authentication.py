"""Authentication by bearer keys, of the accounts or of the settings, kept as SHA-256 hashes, and by scoped tokens."""

from __future__ import annotations

import hmac
import ipaddress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from services.accounts.keys.caller import Caller
from services.accounts.keys.secret import hash_of, unknown_key
from services.chat.transport.key_file import KeyFile
from services.chat.transport.known_callers import KnownCallers
from services.errors import InvalidApiKey
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.accounts.api import Accounts
    from services.accounts.keys.key import Key
    from services.accounts.keys.scoped_token import ScopedToken

_FILE = "file:"
_LISTED = "hash:"


class Authentication:
    """Checks credentials against the accounts and `CHASQUI_API_KEYS`: keys, or a file of hashes that may change."""

    def __init__(self, api_keys: str, accounts: Accounts | None = None, setting: str = "CHASQUI_API_KEYS") -> None:
        """SettingsError if there is no key, the file is missing, or a line of it is not a hash; it names `setting`."""
        self._file = KeyFile(Path(api_keys.removeprefix(_FILE)), setting) if api_keys.startswith(_FILE) else None
        keys = [] if self._file else [key.strip() for key in api_keys.split(",") if key.strip()]
        if api_keys and not keys and self._file is None:
            raise SettingsError(f"{setting} is {api_keys!r}, but has no key in it; unset it to do without.")
        self._hashes: Sequence[bytes] = [hash_of(key) for key in keys]
        self._accounts = accounts
        self._known = None if accounts is None else KnownCallers(accounts)
        self.required = bool(api_keys) or accounts is not None

    def caller(self, metadata: Mapping[str, str], endpoint: str = "") -> Caller:
        """Who makes a call with this metadata; a valid key is known by it, anyone else by the address that Envoy saw.

        `endpoint` is that of the RPC, unless the edge names another in `x-endpoint`. InvalidApiKey if a key is required
        and `authorization` is not `Bearer KEY` with a valid one, PermissionDenied if it may not use the endpoint.
        """
        endpoint = metadata.get("x-endpoint", endpoint)
        if not self.required:
            # An `authorization` that is not checked does not identify a caller.
            return Caller(f"address:{_network(metadata.get('x-client-address', ''))}", endpoint=endpoint)
        authorization = metadata.get("authorization", "")
        known = None if self._known is None else self._known.find(authorization, endpoint)
        if known is not None:
            return known
        secret = _secret(authorization)
        if not secret:
            raise InvalidApiKey("There is no API key: send the header 'Authorization: Bearer KEY'.")
        key, token = self._stored(secret)
        caller = Caller(key.name if key else _account(hash_of(secret)), key, endpoint, token=token)
        caller.check_endpoint(endpoint)
        if self._known is not None and key is not None and token is None:
            self._known.add(secret, authorization, endpoint, caller)
        return caller

    def secret(self, metadata: Mapping[str, str]) -> str:
        """The key in the metadata of a call that `caller` has let in."""
        return _secret(metadata.get("authorization", ""))

    def relayed(self, metadata: Mapping[str, str]) -> Caller:
        """Who makes a call over the Relay, whose other end is trusted: it may call for an account, `x-account`.

        Such a call may also have an id, `x-call-id`. Raises as `caller` does.
        """
        account = metadata.get("x-account", "")
        if not account:
            return self.caller(metadata)
        endpoint = metadata.get("x-endpoint", "")
        key = None
        if self._accounts is not None and not account.startswith(_LISTED):
            key = self._accounts.key_named(account)
        elif not any(_account(known) == account for known in self._listed()):
            raise InvalidApiKey("The API key is not known here.")
        caller = Caller(account, key, endpoint, metadata.get("x-call-id", ""))
        caller.check_endpoint(endpoint)
        return caller

    def _listed(self) -> Sequence[bytes]:
        return self._file.hashes() if self._file else self._hashes

    def _stored(self, secret: str) -> tuple[Key | None, ScopedToken | None]:
        """The key of the accounts, and its token if that is what is given; neither for a key of the settings.

        InvalidApiKey if it is none of them.
        """
        if self._accounts is not None:
            key = self._accounts.key(secret)
            if key is not None:
                return key, None
            if self._accounts.is_token(secret):
                return self._accounts.token(secret)
        self._check_listed(secret)
        return None, None

    def _check_listed(self, secret: str) -> None:
        """Takes the same time for every wrong key: all hashes are compared, each in constant time."""
        given = hash_of(secret)
        matches = [hmac.compare_digest(given, known) for known in self._listed()]
        if not any(matches):
            raise unknown_key()


def _account(digest: bytes) -> str:
    """The account of a key of the settings."""
    return f"{_LISTED}{digest.hex()[:16]}"


def _secret(authorization: str) -> str:
    """The key of `Bearer KEY`; empty if it is anything else."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """The subscriber of an IP address: of IPv6, the /64 network, all addresses of which belong to one subscriber."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed if parsed.version == 4 else ipaddress.ip_network((parsed, 64), strict=False))
