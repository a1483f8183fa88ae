"""Keeps the page within `metrics.max_series`: the largest sets' instance families give way."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.polling.record import Record

RETURN_SHARE = 0.95
"""A set gets its instance families back when the page stays below this part of the limit with
them: a set that comes and goes with every poll would be worse than one that is away."""

SERIES_BESIDE = 10
"""Series of every set beside those of its list: how its polls stand, and its facts."""


def suppressed_records(records: Sequence[Record], max_series: int) -> list[Record]:
    """The records whose instance families are to be kept back, the largest first.

    As few sets as possible give way, so the largest do; their counts always stay.

    Args:
        records: all targets' records.
        max_series: the limit on the series about Azure; 0 for none.
    """
    kept_back: list[Record] = []
    if not max_series:
        return kept_back
    total = SERIES_BESIDE * len(records)
    total += sum(record.snapshot.mapped.series for record in records if record.snapshot)
    total += sum(block.lines for record in records for block in record.counter_lines.values())
    if total <= max_series * RETURN_SHARE:
        return kept_back
    by_size = sorted(records, key=_size, reverse=True)
    for record in by_size:
        limit = max_series * RETURN_SHARE if record.poll.suppressed else max_series
        if total <= limit:
            break
        total -= _size(record)[0]
        kept_back.append(record)
    return [record for record in kept_back if _size(record)[0]]


def _size(record: Record) -> tuple[int, tuple[str, str, str]]:
    series = record.snapshot.mapped.instance_series if record.snapshot else 0
    return series, record.target.scale_set.key
