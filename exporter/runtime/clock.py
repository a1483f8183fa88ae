"""Time as the program sees it, so that tests can drive it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock for the times served, monotonic clock for everything measured."""

    def now(self) -> float:
        """The Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; at once where `seconds` is not positive."""
        ...


# Linux's monotonic clock stands still while the machine is suspended or hibernates, this one does
# not: data that were fetched before are as old as they are, and polls that were missed are due.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """The Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start; sleep of the machine counts."""
        return time.clock_gettime(_STEADY)

    async def sleep(self, seconds: float) -> None:
        """Wait; at once where `seconds` is not positive."""
        await asyncio.sleep(max(0.0, seconds))
