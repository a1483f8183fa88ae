"""How many polls run at a time, and how a slow one gives way to the others."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from exporter.runtime.clock import Clock

PATIENCE = 5.0
"""Seconds that a poll may take before it is slow. Azure's answers take one or two."""

SLOW_SHARE = 4
"""Polls of slow sets get one slot in so many, and at least one."""

_FIRST, _IN_TURN = 0, 1

Work = Callable[[], Coroutine[Any, Any, None]]


class Slots:
    """Bounds the polls in flight, each of which has one request under way at most.

    Azure, or the way to it, may leave any number of sets without an answer. Their polls must not
    take all slots, and nobody knows beforehand which they are. So a poll that has lasted longer
    than the patience gives its slot up as soon as somebody waits for one: it is cut, and begins
    again among the slow ones, which have all the time they need and a quarter of the slots. A
    set whose last poll was slow goes there at once; those that were slow for the first time go
    first, so that one time-out of a healthy set does not put it behind all that hang for hours.
    Whose turn it is there gets the next slot: where more is due than can be polled, to wait for
    it behind all others, one slow set after the other, would take hours.

    Args:
        concurrency: `polling.concurrency`, the number of slots.
        clock: the time.
    """

    def __init__(self, concurrency: int, *, clock: Clock) -> None:
        self._clock = clock
        self._slots = _Turns(concurrency)
        slow_slots = max(1, concurrency // SLOW_SHARE)
        self._slow_turns = _Turns(slow_slots)
        # With a single slot the slow ones would have it all the time.
        self._slow_rank = _FIRST if slow_slots < concurrency else _IN_TURN
        self._waiting = 0
        self._wanted = asyncio.Event()

    async def run(self, work: Work, *, slow: int) -> int:
        """Run a poll in a slot. It may be cancelled and begun anew once.

        Args:
            work: the poll.
            slow: how many of the set's polls in a row were slow until now.

        Returns:
            The same number, this poll counted.
        """
        if not slow:
            async with self._slot(rank=_IN_TURN):
                begun = self._clock.monotonic()
                if await self._with_patience(work):
                    return int(self._clock.monotonic() - begun > PATIENCE)
        await self._slow_turns.acquire(slow)
        try:
            async with self._slot(rank=self._slow_rank):
                begun = self._clock.monotonic()
                await work()
                return slow + 1 if self._clock.monotonic() - begun > PATIENCE else 0
        finally:
            self._slow_turns.release()

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

    async def _with_patience(self, work: Work) -> bool:
        """Whether the work could end; False where it was cut for somebody who waits."""
        working = asyncio.create_task(work())
        patience = asyncio.create_task(self._clock.sleep(PATIENCE))
        wanted = asyncio.create_task(self._wanted.wait())
        try:
            await asyncio.wait({working, patience}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({working, wanted}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return True
            return False
        finally:
            for task in (working, patience, wanted):
                task.cancel()
            await asyncio.wait({working, patience, wanted})


class _Turns:
    """A semaphore whose waiters come by rank, the lowest first, then by arrival."""

    def __init__(self, free: int) -> None:
        self.free = free
        self._numbers = itertools.count()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []

    async def acquire(self, rank: int) -> None:
        if self.free:
            self.free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (rank, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        while self._waiters:
            _, _, turn = heapq.heappop(self._waiters)
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
