"""Keeps the page within `metrics.max_series`: suppresses the least important series first.

First the instance families of the largest sets. Where the aggregates alone are too many, the counts
by what Azure writes freely (versions, extensions) of the sets that have most of them; at last all
but the series that tell how the polls stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from operator import attrgetter
from typing import NamedTuple

import structlog

from exporter.polling.target_state import TargetState
from exporter.runtime.rate_limited_log import RateLimitedLog

RETURN_SHARE = 0.95
"""A set gets series back when the page stays below this part of the limit with them: a set that
comes and goes with every poll would be worse than one that is away."""

_log = structlog.get_logger(__name__)


class Suppressed(IntEnum):
    """What of a set `metrics.max_series` suppresses; each level includes those before."""

    NOTHING = 0
    INSTANCES = 1
    OPEN_COUNTS = 2
    ALL_BUT_POLLS = 3


_EVENTS: Mapping[Suppressed, str] = {
    Suppressed.NOTHING: "instance series restored",
    Suppressed.INSTANCES: "instance series suppressed",
    Suppressed.OPEN_COUNTS: "instance series and counts by versions and names suppressed",
    Suppressed.ALL_BUT_POLLS: "all series but those of the polls suppressed",
}


class Size(NamedTuple):
    """The series of a set that may be suppressed.

    Attributes:
        key: tells the set from others; of sets of one size the first by it stays longest.
        level: what is suppressed now.
        instances: the series of its instances.
        open_counts: its counts by what Azure writes freely.
        others: its other counts, counters and model.
    """

    key: tuple[str, str, str]
    level: Suppressed
    instances: int
    open_counts: int
    others: int

    @property
    def total(self) -> int:
        """All of these series."""
        return self.instances + self.open_counts + self.others

    @property
    def hidden(self) -> int:
        """The series that are suppressed now."""
        parts = (0, self.instances, self.open_counts, self.others)
        return sum(parts[: self.level + 1])


def plan(sizes: Sequence[Size], polls: int, max_series: int) -> dict[Size, Suppressed]:
    """Decide what is suppressed; sets of which nothing is are left out.

    Args:
        polls: the series that are never suppressed.
    """
    levels: dict[Size, Suppressed] = {}
    total = polls + sum(size.open_counts + size.others for size in sizes)
    # As few sets as possible are suppressed, so the largest are.
    for part, level in (
        ("open_counts", Suppressed.OPEN_COUNTS),
        ("others", Suppressed.ALL_BUT_POLLS),
    ):
        if total <= max_series * RETURN_SHARE:
            break
        for size in _largest(sizes, part):
            if total <= _limit(size, level, max_series):
                break
            total -= getattr(size, part)
            levels[size] = level
    # The instances of a set that has any part suppressed are suppressed too.
    left = [size for size in sizes if size not in levels] if levels else sizes
    total += sum(size.instances for size in left)
    if total <= max_series * RETURN_SHARE:
        return levels
    for size in _largest(left, "instances"):
        if total <= _limit(size, Suppressed.INSTANCES, max_series):
            break
        total -= size.instances
        levels[size] = Suppressed.INSTANCES
    return levels


class SeriesLimit:
    """The limit on the series about Azure.

    Args:
        max_series: how many there may be; 0 for no limit.
    """

    def __init__(self, max_series: int) -> None:
        self.max_series = max_series
        self._sizes: dict[TargetState, Size] = {}
        self._has_room = False
        self._over = False
        # Of a fleet that is found above the limit, thousands of sets are suppressed in a minute.
        self._logs = {
            level: RateLimitedLog(_log, event, level="warning") for level, event in _EVENTS.items()
        }

    def forget(self, state: TargetState) -> None:
        """Let go of a target that is gone: others may get their series back."""
        self._sizes.pop(state, None)
        self._has_room = True

    def changes(
        self, sizes: Mapping[TargetState, Size], served: int
    ) -> list[tuple[TargetState, Suppressed]]:
        """The targets whose level of suppression changes; logged, at most once a minute.

        Args:
            sizes: of those that may have changed since the last time.
            served: the series that are served now.
        """
        if not self.max_series:
            return []
        changed = self._has_room or any(
            self._sizes.get(state) != size for state, size in sizes.items()
        )
        self._has_room = False
        self._sizes.update(sizes)
        if served <= self.max_series and not (changed and self._suppresses()):
            return []
        all_sizes = list(self._sizes.values())
        everything = served + sum(size.hidden for size in all_sizes if size.level)
        polls = everything - sum(size.total for size in all_sizes)
        levels = plan(all_sizes, polls, self.max_series)
        found = [
            (state, level)
            for state, size in self._sizes.items()
            if (level := levels.get(size, Suppressed.NOTHING)) != size.level
        ]
        for state, level in found:
            self._sizes[state] = self._sizes[state]._replace(level=level)
            self._logs[level](scale_set=str(state.target.scale_set), max_series=self.max_series)
        self._log_over(polls)
        return found

    def _suppresses(self) -> bool:
        return any(size.level for size in self._sizes.values())

    def _log_over(self, polls: int) -> None:
        over = polls > self.max_series
        if over and not self._over:
            _log.warning(
                "more series than metrics.max_series: how the polls stand is always served",
                series=polls,
                max_series=self.max_series,
            )
        self._over = over


def _limit(size: Size, level: Suppressed, max_series: int) -> float:
    return max_series * RETURN_SHARE if size.level >= level else max_series


def _largest(sizes: Iterable[Size], part: str) -> list[Size]:
    """The sets that have any series of a part, those with most of them first."""
    found = [size for size in sizes if getattr(size, part)]
    return sorted(found, key=attrgetter(part, "key"), reverse=True)
