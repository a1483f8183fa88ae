"""The quota of a client of Resource Graph, over all subscriptions: so many queries in a window.

Source: "Guidance for throttled requests in Azure Resource Graph" of Microsoft's documentation.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from exporter.runtime.clock import Clock

QUERIES = 15
"""Queries of a client in a window, where Azure has not given it more."""

WINDOW = 5.0
"""Seconds."""

_MOMENT = 0.01


class UserQuota:
    """When the next query may go out.

    Args:
        share: tells the part of the quota that may be used; the rest is left to other programs of
            the same client.
    """

    def __init__(self, *, clock: Clock, share: Callable[[], float]) -> None:
        self._clock = clock
        self._share = share
        self._sent: deque[float] = deque()
        self._paused_until = 0.0

    async def send(self) -> None:
        """Wait until one query may go out, and count it."""
        while wait := self._wait():
            await self._clock.sleep(wait)
        self._sent.append(self._clock.monotonic())

    def seen(self, remaining: int, resets_after: float) -> None:
        """Record what remains by an answer's headers, and in how many seconds it is full again.

        Where others have used what is not this client's share, it waits for the next window.
        """
        if remaining <= QUERIES - self._allowed():
            self._paused_until = self._clock.monotonic() + resets_after

    def _allowed(self) -> int:
        return max(1, math.floor(QUERIES * self._share()))

    def _wait(self) -> float:
        now = self._clock.monotonic()
        while self._sent and self._sent[0] <= now - WINDOW:
            self._sent.popleft()
        wait = self._paused_until - now
        if len(self._sent) >= self._allowed():
            wait = max(wait, self._sent[0] + WINDOW - now)
        return wait + _MOMENT if wait > 0 else 0.0
