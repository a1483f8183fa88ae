"""When a scale set is due, and how long it backs off: pure arithmetic on Unix times.

Each set has a phase, a hash of its id, and is due wherever the time is its phase modulo the
interval. So the sets spread over the interval by themselves, and neither a restart nor a second
exporter changes who is due when. The first poll after a start comes earlier,
to show within seconds whether a configuration works.
"""

from __future__ import annotations

import hashlib
import math

from exporter.azure.errors import AzureError, Forbidden, ServerFailed
from exporter.model.scale_set import ScaleSetId

FORBIDDEN_FIRST = 60.0
FORBIDDEN_LONGEST = 300.0
"""Seconds after a 403, doubling from the first to the longest. A role must be granted first, and
Azure needs minutes to apply it; until then every call is wasted."""

START_SPACING = 0.1
"""Seconds between two first polls: a small fleet shows up at once, a large one spreads out."""


def phase_of(scale_set: ScaleSetId) -> float:
    """The set's place in the interval, in [0, 1): the same in every process and letter case."""
    digest = hashlib.sha256("/".join(scale_set.key).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def first_due(now: float, *, phase: float, interval: float, targets: int) -> float:
    """When a set is polled first, as Unix time.

    A fleet so large that it needs the whole interval for its start begins with its schedule.

    Args:
        now: the time of the start.
        phase: the set's phase.
        interval: seconds between two polls.
        targets: the number of sets that start together.
    """
    window = START_SPACING * targets
    if window >= interval:
        return next_due(now, phase=phase, interval=interval)
    return now + phase * window


def next_due(after: float, *, phase: float, interval: float) -> float:
    """The first time on the schedule that is later than `after`, as Unix time.

    Times that a slow poll has missed are skipped.
    """
    offset = phase * interval
    number = math.floor((after - offset) / interval) + 1
    due = number * interval + offset
    # Rounding may give back `after` itself, and no time may come twice.
    return due if due > after else due + interval


class Backoff:
    """The pause of one set: after a 403, and after a 5xx that names its end."""

    def __init__(self) -> None:
        self._forbidden = 0

    def after(self, error: AzureError | None) -> float:
        """Seconds from the end of a poll, or of a GET of the model, until the next at least.

        Args:
            error: what made it fail; None after a success.
        """
        if not isinstance(error, Forbidden):
            self._forbidden = 0
            return (error.retry_after or 0.0) if isinstance(error, ServerFailed) else 0.0
        pause = min(FORBIDDEN_LONGEST, FORBIDDEN_FIRST * 2.0**self._forbidden)
        # Beyond the longest pause there is nothing to count, and a power would overflow one day.
        self._forbidden += pause < FORBIDDEN_LONGEST
        return pause
