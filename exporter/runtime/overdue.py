"""How late periodic work is: what is due and has not begun."""

from __future__ import annotations

from collections.abc import Hashable

from exporter.runtime.clock import Clock


class Overdue:
    """The work that waits, with the time at which it is due. Whoever does the work records it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[Hashable, float] = {}

    def waits(self, work: Hashable, due: float) -> None:
        """Record that work is due at a monotonic time and has not begun."""
        self._due[work] = due

    def begins(self, work: Hashable) -> None:
        """Record that work begins, or is not to be done any more."""
        self._due.pop(work, None)

    def largest(self) -> float:
        """The largest delay of work that is due and has not begun, in seconds."""
        now = self._clock.monotonic()
        return max((0.0, *(now - due for due in self._due.values())))
