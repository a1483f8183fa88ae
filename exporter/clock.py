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


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """The Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; at once where `seconds` is not positive."""
        await asyncio.sleep(max(0.0, seconds))
