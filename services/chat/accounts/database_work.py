"""Work that waits for the accounts' database, off the event loop; what cannot be done as the caller's error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from services.accounts.keys.key import AccountsError, KeyExists, KeyIsRevoked, NoSuchKey, WrongKey
from services.errors import AlreadyExists, FailedPrecondition, InvalidValue, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.errors import ChasquiError

Result = TypeVar("Result")

_RETRY_SECONDS: Final = 5.0


async def done(work: Callable[[], Result]) -> Result:
    """What `work` returns, in a thread; the ChasquiError of an AccountsError, Unavailable if the database is away."""
    try:
        return await asyncio.to_thread(work)
    except AccountsError as error:
        raise _refusal(error) from error


def _refusal(error: AccountsError) -> ChasquiError:
    words = str(error)
    if isinstance(error, NoSuchKey):
        return NotFound(words, param="name")
    if isinstance(error, KeyExists):
        return AlreadyExists(words, param="name")
    if isinstance(error, KeyIsRevoked):
        return FailedPrecondition(words, param="name")
    if isinstance(error, WrongKey):
        return InvalidValue(words, param=error.field if error.field == "name" else f"rights.{error.field}")
    return Unavailable(words, reason="UNAVAILABLE", retry_after=_RETRY_SECONDS)
