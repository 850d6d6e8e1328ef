"""The ranges of numeric request fields: one table for gRPC, REST, the API documentation and the model's description."""

from __future__ import annotations

from dataclasses import dataclass

from services.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Limit:
    """The range of a field, from `minimum` (exclusive if marked so) to `maximum`, and its default."""

    parameter: str
    minimum: float
    maximum: float
    default: float | None
    integer: bool = False
    exclusive_minimum: bool = False

    def check(self, value: float, param: str | None = None) -> None:
        """InvalidValue, naming the field, the value and the range, if `value` lies outside; NaN always does."""
        low = value > self.minimum if self.exclusive_minimum else value >= self.minimum
        if not (low and value <= self.maximum):
            name = param or self.parameter
            raise InvalidValue(f"{name} is {value}, but must be {self}.", param=name)

    def __str__(self) -> str:
        kind = "a whole number" if self.integer else "a number"
        low, high = (
            f"{int(bound):,}" if bound == int(bound) else f"{bound:g}" for bound in (self.minimum, self.maximum)
        )
        return f"{kind} above {low}, at most {high}" if self.exclusive_minimum else f"{kind} from {low} to {high}"


_TABLE = (
    Limit("temperature", 0, 2, 1),
    Limit("top_p", 0, 1, 1, exclusive_minimum=True),
    Limit("top_k", -1, 999, 0, integer=True),
    Limit("min_p", 0, 1, 0),
    Limit("repetition_penalty", 0.01, 5, 1),
    Limit("presence_penalty", -2, 2, 0),
    Limit("frequency_penalty", -2, 2, 0),
    Limit("seed", 0, 2**63 - 1, None, integer=True),
    Limit("max_tokens", 0, 1_000_000, None, integer=True),
    Limit("min_tokens", 0, 1_000_000, 0, integer=True),
    Limit("n", 1, 4, 1, integer=True),
    Limit("top_logprobs", 0, 20, 0, integer=True),
)
LIMITS = {limit.parameter: limit for limit in _TABLE}
LOGIT_BIAS = Limit("logit_bias", -100, 100, None)

MAX_STOPS = 16
MAX_PROMPTS = 16
MAX_LOGIT_BIASES = 300
# Messages, content parts, tools and tool calls of a request, in all.
MAX_REQUEST_ITEMS = 16_384
# Of a message over gRPC, those of the messages in it included.
MAX_MESSAGE_FIELDS = 131_072
# Of each JSON text in a request: a tool's parameters, a schema, the arguments of a call.
MAX_JSON_CHARACTERS = 1024 * 1024
MAX_JSON_DEPTH = 64
