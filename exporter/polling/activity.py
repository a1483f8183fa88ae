"""Whether a set is worth polling often: its instances change, or its polls fail."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from exporter.azure.errors import BrokenAnswer, NoAnswer, ServerFailed, TimedOut, Unreachable
from exporter.metrics.mapper import MappedInstances

ACTIVE_FOR = 600.0
"""Seconds after which a set without any change is idle again."""

STUCK = 3600.0
"""Seconds after which a state that should pass no longer counts as activity by itself."""

_PASSING = (BrokenAnswer, ServerFailed, TimedOut, Unreachable)


@dataclass(slots=True)
class Activity:
    """Whether a set is active: its instances change, or its polls fail.

    Attributes:
        fingerprint: of the instances' states in the last walk; None before the first.
        changed: the monotonic time when that was another for the last time.
        until: the monotonic time until which the set counts as active.
    """

    fingerprint: int | None = None
    changed: float = -inf
    until: float = -inf

    def observe(self, mapped: MappedInstances, now: float) -> None:
        """Record a walk."""
        first = self.fingerprint is None
        if mapped.fingerprint != self.fingerprint:
            self.fingerprint = mapped.fingerprint
            self.changed = now
            if not first:
                self.until = now + ACTIVE_FOR
        if mapped.unsettled and now < self.changed + STUCK:
            self.until = now + ACTIVE_FOR

    def failed(self, error: NoAnswer, now: float) -> None:
        """Record a failed poll: one whose reason may pass is worth looking again."""
        if isinstance(error, _PASSING):
            self.until = now + ACTIVE_FOR
