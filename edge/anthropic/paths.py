"""Where Anthropic's API is: under OpenAI's prefix, and under the reference service's for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIXES: Final = ("/v1", "/anthropic/v1")
# As Envoy takes it, which matches whole paths, queries included.
PATTERN: Final = r"/anthropic/.*|/v1/messages(?:[/?].*)?"
_PATTERN: Final = re.compile(PATTERN)


def is_called(path: str, headers: Mapping[str, str]) -> bool:
    """Whether a request is of a client of this API, which sends its version; some of OpenAI's paths are shared."""
    return "anthropic-version" in headers or _PATTERN.fullmatch(path) is not None
