"""The errors that a caller can see, independent of the transport, which translates them.

ChasquiError                     code               reason
├── InvalidValue                 INVALID_ARGUMENT   INVALID_VALUE
│   ├── UnsupportedParameter     INVALID_ARGUMENT   UNSUPPORTED_PARAMETER
│   ├── ContextLengthExceeded    INVALID_ARGUMENT   CONTEXT_LENGTH_EXCEEDED
│   └── PreviousResponseNotFound INVALID_ARGUMENT   PREVIOUS_RESPONSE_NOT_FOUND
├── ModelNotFound                NOT_FOUND          MODEL_NOT_FOUND
├── NoAccounts                   NOT_FOUND          NO_ACCOUNTS
├── NotFound                     NOT_FOUND          NOT_FOUND
├── AlreadyExists                ALREADY_EXISTS     ALREADY_EXISTS
├── FailedPrecondition           FAILED_PRECONDITION FAILED_PRECONDITION
├── InvalidApiKey                UNAUTHENTICATED    INVALID_API_KEY
├── PermissionDenied             PERMISSION_DENIED  PERMISSION_DENIED
├── DeadlineExceeded             DEADLINE_EXCEEDED  DEADLINE_EXCEEDED
├── SlowReader                   RESOURCE_EXHAUSTED SLOW_READER
├── RateLimitExceeded            RESOURCE_EXHAUSTED RATE_LIMIT_EXCEEDED
│   └── InsufficientQuota        RESOURCE_EXHAUSTED INSUFFICIENT_QUOTA
├── AnswerTooLarge               RESOURCE_EXHAUSTED ANSWER_TOO_LARGE
├── FlexUnavailable              RESOURCE_EXHAUSTED RESOURCE_UNAVAILABLE
├── Cancelled                    CANCELLED          CANCELLED
├── Unavailable                  UNAVAILABLE        (its argument: OVERLOADED, DRAINING, NOT_READY,
│                                                    UPSTREAM_UNAVAILABLE, LIMITS_UNAVAILABLE,
│                                                    STORAGE_FULL, STORE_UNAVAILABLE)
├── Interrupted                  UNAVAILABLE        INTERRUPTED
└── EngineFailed                 INTERNAL           ENGINE_FAILED
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# The `domain` of every google.rpc.ErrorInfo of ours.
ERROR_DOMAIN = "chasqui"
# Response header, or trailing metadata of an RPC, of a call that this replica did not start and another may take. The
# proxy in front retries the call at another replica and removes the header.
NOT_ADMITTED: Final = ("x-not-admitted", "1")
_NOT_ADMITTED_REASONS: Final = frozenset({"DRAINING", "NOT_READY"})


# Characters of a caller's text that an error message quotes.
_LONGEST_QUOTE: Final = 80


def quoted(text: str) -> str:
    """A caller's text for an error message: in quotation marks, and only its beginning if it is long."""
    return repr(text) if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]!r}..."


class Code(Enum):
    """The canonical status codes that we use; names and numbers as in google.rpc.Code."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class ChasquiError(Exception):
    """An error with a canonical `code`, a `reason` in upper snake case and, if a field caused it, its path in `param`.

    `retry_after` is in seconds, and set where a retry makes sense. `rate_limits` are the headers `x-ratelimit-...` that
    say how the limits of the caller's key stand, empty unless one of them refused the call.
    """

    code: ClassVar[Code] = Code.INTERNAL
    reason: str = "INTERNAL"

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.rate_limits: Mapping[str, str] = {}

    @property
    def not_admitted(self) -> bool:
        """Whether the call was not started and another replica may take it. An overload may affect all of them."""
        return self.reason in _NOT_ADMITTED_REASONS


class InvalidValue(ChasquiError):
    """A field of the request has a wrong type or value; `param` is its path, e.g. `messages[0].content[1]`."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_VALUE"


class UnsupportedParameter(InvalidValue):
    """A known field that the running engine or this service does not honour."""

    reason = "UNSUPPORTED_PARAMETER"


class ContextLengthExceeded(InvalidValue):
    """The prompt alone does not fit the model's context."""

    reason = "CONTEXT_LENGTH_EXCEEDED"


class PreviousResponseNotFound(InvalidValue):
    """The response that a request continues, or one before it, is not stored."""

    reason = "PREVIOUS_RESPONSE_NOT_FOUND"


class ModelNotFound(ChasquiError):
    """No served model has that id or alias."""

    code = Code.NOT_FOUND
    reason = "MODEL_NOT_FOUND"


class NoAccounts(ChasquiError):
    """The server has no accounts, and so no ledger, files or batches."""

    code = Code.NOT_FOUND
    reason = "NO_ACCOUNTS"


class NotFound(ChasquiError):
    """There is no file, batch, stored response or key of that id or name that the caller may see."""

    code = Code.NOT_FOUND
    reason = "NOT_FOUND"


class AlreadyExists(ChasquiError):
    """There is a key of that name."""

    code = Code.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"


class FailedPrecondition(ChasquiError):
    """The key is in a state in which this cannot be done."""

    code = Code.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"


class InvalidApiKey(ChasquiError):
    """The call carries no API key, or an unknown one."""

    code = Code.UNAUTHENTICATED
    reason = "INVALID_API_KEY"


class PermissionDenied(ChasquiError):
    """The API key is valid, but may not do this."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class DeadlineExceeded(ChasquiError):
    """The deadline passed before the response was complete."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class SlowReader(ChasquiError):
    """A streamed call was ended because its caller left too much unread, or read nothing for too long."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "SLOW_READER"

    def __init__(self) -> None:
        super().__init__("The answer was not read as fast as it came, and was ended.")


class AnswerTooLarge(ChasquiError):
    """An answer that was to come in one message does not fit into it; its tokens were generated and count."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "ANSWER_TOO_LARGE"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The answer does not fit into one message of {most:,} bytes: call StreamChat, or ask for less "
            "(max_tokens, n, top_logprobs)."
        )


class FlexUnavailable(ChasquiError):
    """A call of the service tier flex found no idle slot in its time. The reason is OpenAI's."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "RESOURCE_UNAVAILABLE"

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "No slot was idle in the time that a flex call waits; try again later, or with another service_tier.",
            param="service_tier",
            retry_after=retry_after,
        )


class RateLimitExceeded(ChasquiError):
    """A limit of the caller's key, or of all calls together, does not allow the call; `limit` names it.

    Without `retry_after` the call exceeds the limit by itself.
    """

    code = Code.RESOURCE_EXHAUSTED
    reason = "RATE_LIMIT_EXCEEDED"

    def __init__(
        self, message: str, limit: str, rate_limits: Mapping[str, str], *, retry_after: float | None = None
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.limit = limit
        self.rate_limits = rate_limits


class InsufficientQuota(RateLimitExceeded):
    """The call could cost more than the budget of the day or the month, or of the scoped token, has left."""

    reason = "INSUFFICIENT_QUOTA"


class Cancelled(ChasquiError):
    """The caller cancelled the call."""

    code = Code.CANCELLED
    reason = "CANCELLED"


class Unavailable(ChasquiError):
    """The call cannot be taken now and was not started: a retry, here or elsewhere, is safe."""

    code = Code.UNAVAILABLE

    def __init__(self, message: str, *, reason: str, retry_after: float) -> None:
        super().__init__(message, retry_after=retry_after)
        self.reason = reason


class Interrupted(ChasquiError):
    """The service stopped before the call had ended. Tokens were generated: a retry is for the caller to decide."""

    code = Code.UNAVAILABLE
    reason = "INTERRUPTED"

    def __init__(self) -> None:
        super().__init__("The service has shut down before the answer was complete.")


class EngineFailed(ChasquiError):
    """The engine failed during the call."""

    reason = "ENGINE_FAILED"
