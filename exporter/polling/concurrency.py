"""The concurrency limit: how many polls run at a time, and how a slow one frees its slot."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from exporter.runtime.clock import Clock

PATIENCE = 5.0
"""Seconds that a poll may take before it is slow. Azure's answers take one or two."""

SLOW_SHARE = 4
"""Polls of slow sets get one slot in so many, and at least one."""

_FIRST, _BY_ARRIVAL = 0, 1

Result = TypeVar("Result")


class Slots:
    """Bounds the polls in flight, each of which has one request under way at most.

    Azure, or the way to it, may leave any number of sets without an answer. Their polls must not
    take all slots, and which they are is not known beforehand. So a poll that has lasted longer
    than the patience frees its slot as soon as another poll waits for one: it is cut, and begins
    again among the slow ones, which have all the time they need and a quarter of the slots. A
    set whose last poll was slow goes there at once; those that were slow for the first time go
    first, so that one time-out of a healthy set does not put it behind all that hang for hours.
    The first of them gets the next slot: where more is due than can be polled, to wait for
    it behind all others, one slow set after the other, would take hours.

    Args:
        concurrency: `polling.concurrency`, the number of slots.
    """

    def __init__(self, concurrency: int, *, clock: Clock) -> None:
        self._clock = clock
        # How many runs in a row were slow, of those whose last run was.
        self._slow: dict[Hashable, int] = {}
        self._slots = _RankedSemaphore(concurrency)
        slow_slots = max(1, concurrency // SLOW_SHARE)
        self._slow_slots = _RankedSemaphore(slow_slots)
        # With a single slot the slow ones would have it all the time.
        self._slow_rank = _FIRST if slow_slots < concurrency else _BY_ARRIVAL
        self._waiting = 0
        self._wanted = asyncio.Event()

    def is_slow(self, key: Hashable) -> bool:
        """Whether the last run under a key was slow."""
        return key in self._slow

    def forget(self, key: Hashable) -> None:
        """Let go of what is remembered of a key."""
        self._slow.pop(key, None)

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run work in a slot. It may be cancelled and begun anew once.

        Args:
            key: tells who is slow from run to run.

        Returns:
            What the work returns.
        """
        slow = self._slow.get(key, 0)
        if not slow:
            async with self._slot(rank=_BY_ARRIVAL):
                begun = self._clock.monotonic()
                done = await self._with_patience(work)
                if done is not None:
                    self._remember(key, slow, begun)
                    return done.result()
        await self._slow_slots.acquire(slow)
        try:
            async with self._slot(rank=self._slow_rank):
                begun = self._clock.monotonic()
                result = await work()
                self._remember(key, slow, begun)
                return result
        finally:
            self._slow_slots.release()

    def _remember(self, key: Hashable, slow: int, begun: float) -> None:
        if self._clock.monotonic() - begun > PATIENCE:
            self._slow[key] = slow + 1
        else:
            self._slow.pop(key, None)

    @asynccontextmanager
    async def _slot(self, *, rank: int) -> AsyncIterator[None]:
        self._waiting += 1
        if not self._slots.free:
            self._wanted.set()
        try:
            await self._slots.acquire(rank)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._wanted.clear()
        try:
            yield
        finally:
            self._slots.release()

    async def _with_patience(
        self, work: Callable[[], Coroutine[Any, Any, Result]]
    ) -> asyncio.Task[Result] | None:
        """The work, once it has ended; None where it was cancelled for one that waits."""
        working = asyncio.create_task(work())
        patience = asyncio.create_task(self._clock.sleep(PATIENCE))
        wanted = asyncio.create_task(self._wanted.wait())
        try:
            await asyncio.wait({working, patience}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({working, wanted}, return_when=asyncio.FIRST_COMPLETED)
            return working if working.done() else None
        finally:
            for task in (working, patience, wanted):
                task.cancel()
            await asyncio.wait({working, patience, wanted})


class _RankedSemaphore:
    """A semaphore whose waiters come by rank, the lowest first, then by arrival."""

    def __init__(self, free: int) -> None:
        self.free = free
        self._numbers = itertools.count()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []

    async def acquire(self, rank: int) -> None:
        if self.free:
            self.free -= 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (rank, next(self._numbers), waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()
            raise

    def release(self) -> None:
        while self._waiters:
            _, _, waiter = heapq.heappop(self._waiters)
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1
