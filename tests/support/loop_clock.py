"""A clock that the event loop's own timers follow, for tests with real sockets."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from contextvars import Context
from math import inf
from typing import Any

import pytest

from support.clock import FakeClock

QUIET = 20
"""Turns of the event loop without a call on the wire, after which all that can run has run."""

PATIENCE = 60.0
"""Real seconds after which a call on the wire will never end; they take milliseconds."""


class LoopClock(FakeClock):
    """Time stands still while a call is on the wire, and the loop's timers wait for the test.

    So a time-out of a minute comes when the test lets a minute pass: neither at once, nor because
    the machine is slow.

    Attributes:
        busy: whether a call is on the wire that will go on by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.busy: Callable[[], bool] = lambda: False
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._counter = itertools.count()

    def drive(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the running loop's timers follow this clock, until the patch is undone."""
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", self.monotonic)
        monkeypatch.setattr(loop, "call_at", self._call_at)

    async def settle(self) -> None:
        """Let all that can run now run, calls on the wire included."""
        begun, quiet = time.monotonic(), 0
        while quiet < QUIET:
            await asyncio.sleep(0)
            quiet = 0 if self.busy() else quiet + 1
            assert time.monotonic() < begun + PATIENCE, "a call on the wire does not end"

    def _next(self) -> float:
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        heads = (heap[0][0] for heap in (self._timers, self._sleepers) if heap)
        return min(heads, default=inf)

    def _wake(self) -> None:
        while self._next() <= self.steady:
            if self._sleepers and self._sleepers[0][0] <= self.steady:
                heapq.heappop(self._sleepers)[2].set_result(None)
            else:
                asyncio.get_running_loop().call_soon(_run, heapq.heappop(self._timers)[2])

    def _call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        handle = asyncio.TimerHandle(when, callback, args, loop, context)
        heapq.heappush(self._timers, (when, next(self._counter), handle))
        return handle


def _run(handle: asyncio.TimerHandle) -> None:
    if not handle.cancelled():
        handle._run()
