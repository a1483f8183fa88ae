"""The event loop's lag: the largest of the last minute stays in sight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from exporter.runtime.loop_lag import WINDOW, LoopLag
from support.clock import FakeClock


@pytest.fixture
async def watch(clock: FakeClock) -> AsyncIterator[LoopLag]:
    watch = LoopLag(clock)
    running = asyncio.create_task(watch.run())
    await clock.settle()
    yield watch
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_loop_that_is_never_late_has_no_lag(clock: FakeClock, watch: LoopLag) -> None:
    await clock.advance(10)
    assert watch.largest() == pytest.approx(0.0, abs=1e-9)


async def test_the_largest_lag_is_shown_for_a_minute_and_no_longer_than_two(
    clock: FakeClock, watch: LoopLag
) -> None:
    await clock.advance(1)
    # Something holds the loop: time passes, and nobody is woken.
    clock.steady += 0.3
    await clock.advance(1)
    lag = watch.largest()
    assert lag == pytest.approx(0.3, abs=0.06)
    await clock.advance(WINDOW - 1)
    assert watch.largest() == lag
    await clock.advance(WINDOW + 1)
    assert watch.largest() == pytest.approx(0.0, abs=1e-9)
