"""What one HTTP request asks for: the calls to submit, and how their results are written."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from services.errors import ChasquiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from edge.api.whole_answer import WholeAnswer
    from edge.api.writer import Writer

# A field that an error may name beside its own, and for which most callers have another name.
_BESIDE: Final = "response_format"


class Keeping(Protocol):
    """Keeps the answer of a request for later ones. What is written after that may say whether it was kept."""

    async def keep(self, error: ChasquiError | None = None) -> None:
        """Keep an answer that is complete or has failed with an error; never raises one of its own."""

    def leave(self) -> None:
        """Keep what there is of an answer whose caller has gone away; nothing is written after that."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The calls of one HTTP request, each with `n` choices.

    `requests` are taken out as they are submitted. What is needed for longer, as `field_of` is, holds no copy of a
    prompt. `ignored` holds the paths of unknown fields. `field_of` gives the path in the request for one in the chat
    server's errors, which name fields of `ChatRequest`. A streamed answer is written by a `new_writer`, any other
    collected in a `new_answer`. Without `keeping` the answer is not kept.
    """

    requests: list[ChatRequest]
    n: int
    streamed: bool
    ignored: Sequence[str]
    field_of: Callable[[str], str]
    new_writer: Callable[[], Writer]
    new_answer: Callable[[], WholeAnswer]
    keeping: Keeping | None = None


@contextmanager
def errors_named(field_of: Callable[[str], str]) -> Iterator[None]:
    """Names the caller's fields in errors of the chat server that are raised inside."""
    try:
        yield
    except ChasquiError as error:
        if error.param is not None:
            for path in (error.param, _BESIDE):
                error.message = error.message.replace(path, field_of(path))
            error.param = field_of(error.param)
        raise


def with_left_out(ignored: Sequence[str], left_out: Sequence[str]) -> list[str]:
    """The paths of unknown fields, and of items that are left out in place of what is in them."""
    inside = tuple(f"{path}." for path in left_out)
    return [*left_out, *(path for path in ignored if not path.startswith(inside))]
