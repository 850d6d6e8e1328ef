"""The slots of an engine, the generations that hold them, and those that wait for them, in first-come order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator


class SlotHolder(Protocol):
    """A generation that needs `slots` slots, one for each sequence; `released` is done when it holds none any more."""

    released: asyncio.Future[None]

    @property
    def slots(self) -> int:
        """How many sequences the engine generates for it."""


Holder = TypeVar("Holder", bound=SlotHolder)


class Slots(Generic[Holder]):
    """`free` slots at first. Iterating yields the running generations, then the waiting ones, oldest first."""

    def __init__(self, free: int) -> None:
        self._parallel = free
        self._free = free
        self._held: dict[Holder, int] = {}  # by running generation, in the order of their start
        self._waiting: deque[Holder] = deque()

    def __bool__(self) -> bool:
        """Whether there is work."""
        return bool(self._held or self._waiting)

    def __iter__(self) -> Iterator[Holder]:
        """A snapshot, so that generations may start and end meanwhile."""
        return iter([*self._held, *self._waiting])

    @property
    def held(self) -> int:
        """How many slots are held; may be read in any thread."""
        return self._parallel - self._free

    @property
    def running(self) -> list[Holder]:
        """The generations that hold slots, in the order of their start."""
        return list(self._held)

    @property
    def waiting(self) -> list[Holder]:
        """The generations that wait, oldest first."""
        return list(self._waiting)

    def queue(self, holder: Holder) -> None:
        """Queue a generation behind those that wait."""
        self._waiting.append(holder)

    def start_next(self) -> Holder | None:
        """Give the oldest waiting generation its slots; None if none waits, or if too few slots are free for it.

        No generation overtakes another: one with many choices would wait for ever.
        """
        if not self._waiting or self._waiting[0].slots > self._free:
            return None
        holder = self._waiting.popleft()
        self._held[holder] = holder.slots
        self._free -= holder.slots
        return holder

    def release(self, holder: Holder, slots: int | None = None) -> None:
        """Free `slots` of those that a running generation holds, by default all; or remove a waiting generation."""
        held = self._held.get(holder)
        if held is None:
            self._waiting.remove(holder)
            holder.released.set_result(None)
            return
        freed = held if slots is None else slots
        self._free += freed
        self._held[holder] = held - freed
        if freed == held:
            del self._held[holder]
            holder.released.set_result(None)
