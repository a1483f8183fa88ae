"""How long data is served while the interval in force changes, and no poll succeeds."""

from __future__ import annotations

import pytest

from exporter.polling.poller import Poller
from exporter.polling.target_state import TargetState
from support.answers import instance
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page

# The poller of these tests keeps data for 600 seconds, or for two intervals and 180 seconds.
KEPT_AT_400 = 980.0


@pytest.fixture
async def state(polling: Polling, source: FakeSource) -> TargetState:
    source.pages["web"] = [page(instance({}, instance_id="1"))]
    state = polling.add()
    await polling.poller.poll(state)
    return state


async def is_served(polling: Polling) -> bool:
    await polling.poller.expire()
    return "azure_vmss_instance_info{" in polling.page()


async def test_data_is_kept_by_the_longest_interval_since_its_poll(
    poller: Poller, polling: Polling, state: TargetState, clock: FakeClock
) -> None:
    await clock.advance(100)
    poller.set_interval(state, 400.0)
    poller.set_interval(state, 60.0)
    await clock.advance(KEPT_AT_400 - 100.001)
    assert await is_served(polling)
    await clock.advance(0.002)
    assert not await is_served(polling)


async def test_an_interval_that_goes_up_and_down_does_not_keep_data_for_longer_each_time(
    poller: Poller, polling: Polling, state: TargetState, clock: FakeClock
) -> None:
    for _ in range(9):
        poller.set_interval(state, 400.0)
        await clock.advance(60)
        poller.set_interval(state, 300.0)
        await clock.advance(60)
    assert clock.monotonic() > KEPT_AT_400
    assert not await is_served(polling)


async def test_data_that_is_gone_does_not_come_back_with_a_longer_interval(
    poller: Poller, polling: Polling, state: TargetState, clock: FakeClock
) -> None:
    await clock.advance(601)
    assert not await is_served(polling)
    poller.set_interval(state, 400.0)
    assert not await is_served(polling)
