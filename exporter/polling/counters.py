"""The counters of a target: a new failure code is served as 0 before it counts.

A counter that begins at 1 has never risen for Prometheus: `increase()` misses the first. So a new
code is served as 0 first, for so long that every Prometheus that reads has had it.
"""

from __future__ import annotations

from collections.abc import Collection

from exporter.metrics.mapper import Mapper
from exporter.polling.target_state import TargetData
from exporter.telemetry import NEW_LABELS_WAIT

NEW_CODE_WAITS = NEW_LABELS_WAIT
"""Seconds for which a new failure code is served as 0 before it counts, however often it is read
meanwhile."""


def update_waiting_codes(data: TargetData, mapper: Mapper, monotonic: float) -> None:
    """Let codes that are new wait from now on.

    Where no counter is served, there is nothing to remember either.
    """
    if not mapper.counter_families:
        data.memory.transitions = None
    transitions = data.memory.transitions
    data.codes_until = {
        code: data.codes_until.get(code, monotonic + NEW_CODE_WAITS)
        for code in (transitions.waiting if transitions else ())
    }


def count_codes(data: TargetData, codes: Collection[str], mapper: Mapper, monotonic: float) -> None:
    """Count what waited under these codes."""
    if transitions := data.memory.transitions:
        data.memory.transitions = transitions.released(codes)
    update_waiting_codes(data, mapper, monotonic)
