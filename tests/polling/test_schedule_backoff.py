"""After which failures a set is left alone for longer than its interval."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from exporter.azure.errors import Forbidden, ServerFailed
from exporter.azure.ratelimit.budget import Budget
from exporter.polling.planner import PLANNED
from exporter.polling.schedule import Backoff
from exporter.polling.target_state import TargetState
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource

FORBIDDEN = Forbidden("no", action="Microsoft.Compute/virtualMachineScaleSets/read")


def test_a_403_is_met_after_one_two_and_four_minutes_and_then_every_five() -> None:
    backoff = Backoff()
    assert [backoff.after(FORBIDDEN) for _ in range(5)] == [60.0, 120.0, 240.0, 300.0, 300.0]


def test_a_success_or_another_failure_ends_that() -> None:
    backoff = Backoff()
    for other in (None, ServerFailed("no", status=500)):
        backoff.after(FORBIDDEN)
        backoff.after(FORBIDDEN)
        assert backoff.after(other) == 0.0
        assert backoff.after(FORBIDDEN) == 60.0


def test_a_5xx_that_names_its_end_is_left_alone_until_then() -> None:
    assert Backoff().after(ServerFailed("no", status=503, retry_after=400.0)) == 400.0


async def polled(
    clock: FakeClock,
    source: FakeSource,
    polling: Polling,
    state: TargetState,
    *,
    seconds: float,
    share: float = 1.0,
) -> list[float]:
    """The seconds between the polls of a set, by the real scheduler."""
    assert list(polling.targets) == [state]
    budget = Budget(clock=clock, telemetry=polling.telemetry, share=share)
    scheduler = polling.scheduler(source.gate, budget, concurrency=4)
    running = asyncio.create_task(scheduler.run())
    await clock.advance(seconds)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return [later - earlier for earlier, later in pairwise(source.polled["web"])]


async def test_a_set_that_may_not_be_read_is_polled_at_the_first_beat_after_five_minutes_at_last(
    clock: FakeClock,
    source: FakeSource,
    polling: Polling,
    new_target: Callable[..., TargetState],
) -> None:
    source.pages["web"] = [FORBIDDEN]
    gaps = await polled(clock, source, polling, new_target("web", 60.0), seconds=3600.0)
    # It keeps its schedule: the first time that is not too early.
    assert all(gap >= least for gap, least in zip(gaps, (60, 120, 240), strict=False))
    assert set(map(round, gaps[4:])) == {360}


async def test_a_set_that_may_not_be_read_is_left_alone_while_the_budget_is_short_too(
    clock: FakeClock,
    source: FakeSource,
    polling: Polling,
    new_target: Callable[..., TargetState],
) -> None:
    state = new_target("web", 60.0)
    source.pages["web"] = [FORBIDDEN]
    gaps = await polled(clock, source, polling, state, seconds=3600.0, share=1 / (6 * PLANNED * 70))
    assert state.data.poll.interval == pytest.approx(70)
    assert all(gap >= least for gap, least in zip(gaps, (60, 120, 240), strict=False))
    assert 300 <= min(gaps[3:]) <= max(gaps[3:]) <= 360


async def test_no_poll_comes_before_the_end_that_a_5xx_names(
    clock: FakeClock,
    source: FakeSource,
    polling: Polling,
    new_target: Callable[..., TargetState],
) -> None:
    source.pages["web"] = [ServerFailed("no", status=503, retry_after=150.0)]
    gaps = await polled(clock, source, polling, new_target("web", 60.0), seconds=3600.0)
    assert gaps
    assert min(gaps) >= 150.0
    assert max(gaps) <= 240.0
