"""The counters of a record: written after each good walk, and when a new failure code may count.

A counter that begins at 1 has never risen for Prometheus: `increase()` misses the first. So a new
code is served as 0 first, for so long that every Prometheus that reads has had it.
"""

from __future__ import annotations

from collections.abc import Collection

from exporter.metrics.mapper import Mapper
from exporter.polling.target_state import TargetState
from exporter.telemetry import NEW_LABELS_WAIT

NEW_CODE_WAITS = NEW_LABELS_WAIT
"""Seconds for which a new failure code is served as 0 before it counts, however often it is read
meanwhile."""


def show_counters(record: TargetState, mapper: Mapper, monotonic: float) -> None:
    """Write the counters anew; codes that wait for the first time do so from now on.

    Where no counter is served, there is nothing to remember either.
    """
    if not mapper.counter_families:
        record.memory.transitions = None
    record.counter_lines = mapper.counters(record.target, record.memory)
    transitions = record.memory.transitions
    record.codes_until = {
        code: record.codes_until.get(code, monotonic + NEW_CODE_WAITS)
        for code in (transitions.waiting if transitions else ())
    }


def count_codes(
    record: TargetState, codes: Collection[str], mapper: Mapper, monotonic: float
) -> None:
    """Count what waited under these codes."""
    if transitions := record.memory.transitions:
        record.memory.transitions = transitions.released(codes)
    show_counters(record, mapper, monotonic)
