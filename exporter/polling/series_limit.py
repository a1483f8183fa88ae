"""Keeps the page within `metrics.max_series`: suppresses the least important series first.

First the instance families of the largest sets. Where the aggregates alone are too many, the counts
by what Azure writes freely (versions, extensions) of the sets that have most of them; at last all
but the series that tell how the polls stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

import structlog

from exporter.model.scale_set import ScaleSetId
from exporter.polling.target_state import Suppressed, TargetState

RETURN_SHARE = 0.95
"""A set gets series back when the page stays below this part of the limit with them: a set that
comes and goes with every poll would be worse than one that is away."""

_log = structlog.get_logger(__name__)


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
        others: its other counts, counters and facts.
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
        sizes: of all sets.
        polls: the series that are never suppressed.
        max_series: the limit.
    """
    levels: dict[Size, Suppressed] = {}
    total = polls + sum(size.open_counts + size.others for size in sizes)
    # As few sets as possible are suppressed, so the largest are.
    for part, level in (
        ("open_counts", Suppressed.OPEN_COUNTS),
        ("others", Suppressed.ALL_BUT_POLLS),
    ):
        for size in _largest(sizes, part):
            if total <= _limit(size, level, max_series):
                break
            total -= getattr(size, part)
            levels[size] = level
    # The instances of a set that has any part suppressed are suppressed too.
    total += sum(size.instances for size in sizes if size not in levels)
    for size in _largest([size for size in sizes if size not in levels], "instances"):
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
        self._over = False

    def changes(
        self, records: Iterable[TargetState], served: int
    ) -> list[tuple[TargetState, Suppressed]]:
        """The records whose level of suppression changes; logged.

        Args:
            records: those that may have changed since the last time.
            served: the series that are served now.
        """
        if not self.max_series:
            return []
        changed = False
        for record in records:
            size = _size(record)
            changed |= self._sizes.get(record) != size
            self._sizes[record] = size
        if served <= self.max_series and not (changed and self._suppresses()):
            return []
        by_size = {size: record for record, size in self._sizes.items()}
        everything = served + sum(size.hidden for size in by_size)
        polls = everything - sum(size.total for size in by_size)
        levels = plan(tuple(by_size), polls, self.max_series)
        found = [
            (record, level)
            for size, record in by_size.items()
            if (level := levels.get(size, Suppressed.NOTHING)) != size.level
        ]
        for record, level in found:
            self._sizes[record] = self._sizes[record]._replace(level=level)
            self._say(record.target.scale_set, level)
        self._say_over(polls)
        return found

    def _suppresses(self) -> bool:
        return any(size.level for size in self._sizes.values())

    def _say(self, scale_set: ScaleSetId, level: Suppressed) -> None:
        _log.warning(_EVENTS[level], scale_set=str(scale_set), max_series=self.max_series)

    def _say_over(self, polls: int) -> None:
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


def _size(record: TargetState) -> Size:
    mapped = record.snapshot.mapped if record.snapshot else None
    instances = mapped.instance_series if mapped else 0
    open_counts = sum(block.lines for block in mapped.open_lines.values()) if mapped else 0
    others = mapped.series - instances - open_counts if mapped else 0
    others += sum(block.lines for block in record.counter_lines.values())
    if record.model_is_shown and record.facts:
        others += sum(block.lines for block in record.facts.lines.values())
    return Size(record.target.scale_set.key, record.suppressed, instances, open_counts, others)
