"""The secret of a key: made once, shown once, and kept as a hash that is found by the secret's prefix."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import Final

from services.errors import InvalidApiKey

_ALPHABET: Final = string.ascii_letters + string.digits
_PREFIX_LENGTH: Final = 8
# Of 62 characters: 333 bits, which no slow hash needs to protect. The whole is longer than 64 bytes, and a longer key
# HMAC-SHA256 replaces by its SHA-256 hash (RFC 2104, section 2), which is what is kept here. So a token can be signed
# with the key itself, as callers of other services know it, and is verified with the hash.
_SECRET_LENGTH: Final = 56
_PREFIX: Final = re.compile(rf"[A-Za-z0-9]{{{_PREFIX_LENGTH}}}")
_FORM: Final = re.compile(rf"chasqui_([A-Za-z0-9]{{{_PREFIX_LENGTH}}})_[A-Za-z0-9]{{40,{_SECRET_LENGTH}}}")


def new_secret() -> str:
    """A new random secret, as `chasqui_PREFIX_REST`."""
    return f"chasqui_{_random(_PREFIX_LENGTH)}_{_random(_SECRET_LENGTH)}"


def prefix_of(secret: str) -> str | None:
    """The prefix, which may be shown and logged; None if the text does not have the form of a secret."""
    found = _FORM.fullmatch(secret)
    return None if found is None else found[1]


def shown_prefix(prefix: str) -> str:
    """The beginning of a secret, by which it is recognised."""
    return f"chasqui_{prefix}_"


def is_prefix(text: str) -> bool:
    """Whether a text has the form of a prefix."""
    return _PREFIX.fullmatch(text) is not None


def hash_of(secret: str) -> bytes:
    """The SHA-256 hash that is kept."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def unknown_key() -> InvalidApiKey:
    """The refusal of a secret that no key has."""
    return InvalidApiKey("Incorrect API key provided: the key is not known here.")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
