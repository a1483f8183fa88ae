"""Memory that clients have left behind goes back to the system."""

from __future__ import annotations

import asyncio
import ctypes

MANY = 20
"""Readers that left in mid-answer, after which it is worth the while."""

AFTER = 5.0
"""Seconds from the last of those clients on: others may be about to leave too."""


class MemoryReturn:
    """Gives freed memory back after many clients have left in mid-answer.

    The C library keeps freed chunks for later as long as something in use lies behind them: after
    300 slow clients that was all they had held, 60 MB, for good.
    """

    def __init__(self) -> None:
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None
        self._trimming: asyncio.Future[None] | None = None

    def reader_left(self) -> None:
        """A client has left in mid-answer."""
        self._left += 1
        if self._left >= MANY:
            if self._timer is not None:
                self._timer.cancel()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(AFTER, self._begin)

    def _begin(self) -> None:
        self._left, self._timer = 0, None
        self._trimming = asyncio.get_running_loop().run_in_executor(None, give_back)


def give_back() -> None:
    """Give freed memory back, where the C library can; takes some milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
