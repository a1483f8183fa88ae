"""Requests that are repeated: at most two more times, inside the walk's deadline, after a pause.

Which failures may pass by themselves is azure.md's and cloud-provider-azure's list: 408, 500, 502,
503 and 504, a time-out, a broken connection; and an answer whose end is missing. A 429 is none of
them: that waits for `Retry-After` (see `ratelimit/retry_after`). While the endpoint as a whole
fails, nothing is repeated (see `circuit_breaker`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from exporter.azure.circuit_breaker import CircuitBreaker
from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    ServerFailed,
    TimedOut,
    Unreachable,
)
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

RETRIES = 2
FIRST_PAUSE = 1.0
"""Seconds before the first retry, at most; the second waits up to `GROWTH` times as long."""

GROWTH = 4.0

PASSING = (408, 500, 502, 503, 504)
"""The statuses that may be another one the next time."""

T = TypeVar("T")


class Retries:
    """Repeats what may succeed the next time.

    Args:
        clock: what the pauses are slept by.
        breaker: whether the endpoint answers at all.
        count: how often a request is repeated at most.
        draw: a random number in [0, 1), so that many that failed together come back apart.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        telemetry: Telemetry,
        breaker: CircuitBreaker,
        count: int = RETRIES,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._breaker = breaker
        self._count = count
        self._draw = draw

    async def run(self, attempt: Callable[[], Awaitable[T]], *, until: float, operation: str) -> T:
        """Attempt it, and again if it fails for a reason that may pass.

        Args:
            attempt: makes one request.
            until: when all must be done, by the event loop's clock. No pause goes beyond it.
            operation: what is attempted, for the counter.

        Raises:
            AzureError: what the last attempt raised.
        """
        for number in range(self._count):
            try:
                return await attempt()
            except AzureError as error:
                pause = self._pause(number, error)
                now = asyncio.get_running_loop().time()
                if not may_pass(error) or self._breaker.is_open or now + pause >= until:
                    raise
            await self._clock.sleep(pause)
            self._telemetry.counter("azure_retries_total", operation=operation).inc()
        return await attempt()

    def _pause(self, number: int, error: AzureError) -> float:
        """Half of it is fixed, so that no retry follows at once; half of it is drawn."""
        pause = FIRST_PAUSE * GROWTH**number * (1 + self._draw()) / 2
        asked = error.retry_after if isinstance(error, ServerFailed) else None
        return pause if asked is None else asked + pause


def may_pass(error: AzureError) -> bool:
    """Whether the same request may succeed if it is made again soon."""
    if isinstance(error, ServerFailed):
        return error.status in PASSING
    if isinstance(error, BrokenAnswer):
        return error.cut
    return isinstance(error, TimedOut | Unreachable)
