"""How long the last good answer is served while polls fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """How long an answer is served while polls fail: `polling.keep_for` and `deadline`."""

    keep_for: float
    deadline: float

    def seconds(self, interval: float) -> float:
        """The time in force: never so short that two missed polls empty the page."""
        return max(self.keep_for, 2 * interval + self.deadline)
