"""How long the last good answer is served while polls fail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from exporter.polling.target_state import ModelSnapshot, Snapshot

_Part = TypeVar("_Part", Snapshot, ModelSnapshot)

EXPIRY_CHECKS = (0.05, 5.0)
"""Seconds between two looks for data that are too old, at least and at most. At least: the sets of
an outage do not expire in one moment. At most: no timer notices that the machine was asleep."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long an answer is served while polls fail: `polling.keep_for` and `deadline`."""

    keep_for: float
    deadline: float

    def seconds(self, interval: float) -> float:
        """The time in force: never so short that two missed polls empty the page."""
        return max(self.keep_for, 2 * interval + self.deadline)

    def next_check(self, left: float) -> float:
        """Seconds until the next look for data that are too old.

        Args:
            left: seconds until the first that are known become so.
        """
        at_least, at_most = EXPIRY_CHECKS
        # Data that come meanwhile are kept for that long.
        return max(at_least, min(left, at_most, self.seconds(0.0)))

    def prolonged(self, part: _Part, interval: float) -> _Part:
        """The same data, kept as long as an interval in force asks for.

        Never shorter than before: a failing set is polled more often, and must not lose its
        data by it.
        """
        until = part.since + self.seconds(interval)
        return replace(part, served_until=until) if until > part.served_until else part
