"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from math import inf


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
        moment = self._moment(self.steady + seconds)
        heapq.heappush(self._sleepers, (moment, next(self._numbers), waiting))
        await waiting

    async def advance(self, seconds: float) -> None:
        """Let that much time pass, with everything that happens in it."""
        end = self.steady + seconds
        await self.settle()
        while (moment := self._next()) <= end:
            self._move(max(moment, self.steady))
            self._wake()
            await self.settle()
        self._move(end)
        await self.settle()

    async def settle(self) -> None:
        """Let all that can run now run."""
        for _ in range(30):
            await asyncio.sleep(0)

    def _moment(self, wanted: float) -> float:
        """When a sleeper wakes that wants to at that time."""
        return wanted

    def _next(self) -> float:
        """When something is due next."""
        return self._sleepers[0][0] if self._sleepers else inf

    def _wake(self) -> None:
        """Wake who is due; the others of the same moment may come one after the other."""
        _, _, waiting = heapq.heappop(self._sleepers)
        if not waiting.done():
            waiting.set_result(None)

    def _move(self, moment: float) -> None:
        self.wall += moment - self.steady
        self.steady = moment
