"""Watching the event loop: how late it comes to what is due."""

from __future__ import annotations

from exporter.runtime.clock import Clock

TICK = 0.05
"""Seconds between two looks: a pause as long as that is always seen at least in part."""

WINDOW = 60.0
"""Seconds for which the largest lag is shown at least: no scrape interval is longer."""


class LoopLag:
    """Measures the event loop's lag by coming back to it again and again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._window_end = clock.monotonic() + WINDOW
        self._largest = 0.0
        self._largest_before = 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            due = self._clock.monotonic() + TICK
            await self._clock.sleep(TICK)
            now = self._clock.monotonic()
            if now >= self._window_end:
                self._largest_before, self._largest = self._largest, 0.0
                self._window_end = now + WINDOW
            self._largest = max(self._largest, now - due)

    def largest(self) -> float:
        """The largest lag of this window and the one before, in seconds."""
        return max(self._largest, self._largest_before)
