"""The edge's upstream, with the moments at which its idea of the server's health changes made awaitable."""

from __future__ import annotations

import asyncio

from edge.upstream.client import Upstream


class WatchedUpstream(Upstream):
    """An upstream of which `is_serving` and `is_not_serving` can be awaited; they follow `serving`."""

    def __init__(self, address: str, relay_address: str = "") -> None:
        self.is_serving = asyncio.Event()
        self.is_not_serving = asyncio.Event()
        super().__init__(address, relay_address)

    @property
    def serving(self) -> bool:
        """Whether the server's health was good when it last reported."""
        return self.is_serving.is_set()

    @serving.setter
    def serving(self, value: bool) -> None:
        now, before = (self.is_serving, self.is_not_serving) if value else (self.is_not_serving, self.is_serving)
        before.clear()
        now.set()
