"""How many polls run at a time, and how many of them may be slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TROUBLED_SHARE = 4
"""Sets in trouble share one slot in so many."""


class Lanes:
    """Bounds the polls in flight, each of which has one request under way at most.

    A set whose last poll failed is likely to wait for a timeout. Such sets share a quarter of
    the slots, so that however many of them hang, a healthy set finds a slot.

    Args:
        concurrency: `polling.concurrency`, the number of slots.
    """

    def __init__(self, concurrency: int) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._troubled = asyncio.Semaphore(max(1, concurrency // TROUBLED_SHARE))

    @asynccontextmanager
    async def slot(self, *, troubled: bool) -> AsyncIterator[None]:
        """Hold a slot for the length of a poll."""
        if troubled:
            async with self._troubled, self._slots:
                yield
        else:
            async with self._slots:
                yield
