"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class FakeClock:
    """Both clocks of the program; `advance` wakes the sleepers in their order."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.wall = now
        self.steady = 1_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.steady + seconds, next(self._numbers), waiting))
        await waiting

    async def advance(self, seconds: float) -> None:
        """Let that much time pass, with everything that happens in it."""
        end = self.steady + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, waiting = heapq.heappop(self._sleepers)
            self._move(max(moment, self.steady))
            if not waiting.done():
                waiting.set_result(None)
            await self.settle()
        self._move(end)
        await self.settle()

    async def settle(self) -> None:
        """Let all that can run now run."""
        for _ in range(30):
            await asyncio.sleep(0)

    def _move(self, moment: float) -> None:
        self.wall += moment - self.steady
        self.steady = moment
