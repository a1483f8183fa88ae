"""The machine's clocks."""

from __future__ import annotations

import time

import pytest

from exporter.runtime.clock import SystemClock


def test_the_time_for_which_the_machine_is_suspended_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hours = {time.CLOCK_BOOTTIME: 8 * 3600.0, time.CLOCK_MONOTONIC: 60.0}
    monkeypatch.setattr(time, "clock_gettime", hours.__getitem__)
    assert SystemClock().monotonic() == 8 * 3600


def test_the_steady_time_never_goes_back() -> None:
    times = [SystemClock().monotonic() for _ in range(1000)]
    assert times == sorted(times)
