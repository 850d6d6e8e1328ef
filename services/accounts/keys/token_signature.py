"""Signs and verifies scoped tokens, JSON Web Tokens with HS256.

The secret is the SHA-256 hash of the key that signs (services/accounts/keys/secret.py): a server has it without having
the key, and the owner of a key needs no server to sign. A reader of the accounts' database can sign as well, as with
every symmetric signature. A key that may not use the endpoint `scoped-jwt` has no valid tokens.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Final

import jwt

from services.accounts.keys.key import is_past
from services.accounts.keys.scoped_token import MARK, MAX_TOKEN_BYTES, ScopedToken, ScopeError, hashed_id, token_of
from services.accounts.keys.secret import hash_of, is_prefix, prefix_of
from services.errors import InvalidApiKey

_ALGORITHM: Final = "HS256"
# `iat` is not checked, since the signer's clock may be ahead of ours; `aud` and `iss` are not ours.
_OPTIONS: Final[jwt.types.Options] = {"require": ["exp"], "verify_iat": False, "verify_aud": False, "verify_iss": False}
# Nesting and numbers that no JSON parser takes raise the last ones.
_MALFORMED: Final = (jwt.InvalidTokenError, ValueError, OverflowError, RecursionError)


def signed(secret: str, token: ScopedToken) -> str:
    """The text of a token that the key with this secret signs; ValueError if that is no secret of a key."""
    prefix = prefix_of(secret)
    if prefix is None:
        raise ValueError("no secret of a key")
    return MARK + jwt.encode(token.of_claims(), _jwk(hash_of(secret)), _ALGORITHM, {"kid": prefix})


def signer_of(text: str) -> str | None:
    """The prefix of the key by which a token says that it is signed; None if the text is no token."""
    return None if len(text) > MAX_TOKEN_BYTES else _signer(text)


def verified(text: str, signing_hash: bytes) -> ScopedToken:
    """The token, if a key with this hash has signed it; InvalidApiKey if not, or if it is not valid now."""
    if len(text) > MAX_TOKEN_BYTES:
        raise InvalidApiKey(f"The token is malformed: it has more than {MAX_TOKEN_BYTES:,} bytes.")
    try:
        token = _verified(text, signing_hash)
    except jwt.InvalidSignatureError:
        raise unknown_token() from None
    except jwt.ExpiredSignatureError:
        raise _expired() from None
    except jwt.ImmatureSignatureError:
        raise InvalidApiKey("The token is not valid yet.") from None
    except ScopeError as error:
        raise InvalidApiKey(f"The token is not valid. {error}") from None
    except _MALFORMED as error:
        raise InvalidApiKey(f"The token is malformed: {str(error)[:80]}.") from None
    if is_past(token.expires_at):
        raise _expired()
    return token


def unknown_token() -> InvalidApiKey:
    """The refusal of a token that no key has signed: the same for a wrong signature and for a key that is not known."""
    return InvalidApiKey("Incorrect token provided: it is not signed by a key that is known here.")


MOST_REMEMBERED: Final = 1024


# A caller sends its token with every call: it takes 80 us of CPU to parse and verify it, and 1 us to find it here. What
# is not valid is not kept.
@lru_cache(maxsize=MOST_REMEMBERED)
def _verified(text: str, signing_hash: bytes) -> ScopedToken:
    """The token; raises what PyJWT and `token_of` do. Only its end can make it invalid later."""
    bare = text.removeprefix(MARK)
    claims = jwt.decode(bare, _jwk(signing_hash), [_ALGORITHM], options=_OPTIONS)
    return token_of(claims, hashed_id(bare.rpartition(".")[0]))


@lru_cache(maxsize=MOST_REMEMBERED)
def _signer(text: str) -> str | None:
    try:
        kid = jwt.get_unverified_header(text.removeprefix(MARK)).get("kid")
    except _MALFORMED:
        return None
    return kid if isinstance(kid, str) and is_prefix(kid) else None


def _expired() -> InvalidApiKey:
    return InvalidApiKey("The token has expired.")


@lru_cache(maxsize=MOST_REMEMBERED)
def _jwk(signing_hash: bytes) -> jwt.PyJWK:
    """The hash as PyJWT takes it: given as bytes, one that looks like the beginning of a certificate is refused."""
    secret = urlsafe_b64encode(signing_hash).rstrip(b"=").decode()
    return jwt.PyJWK({"kty": "oct", "k": secret}, _ALGORITHM)
