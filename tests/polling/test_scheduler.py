"""The schedule: which set is polled when, and that none delays or ends another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from exporter.azure.errors import AzureError, NotSent, Throttled, TimedOut
from exporter.azure.ratelimit.budget import Budget
from exporter.polling.intervals import Intervals
from exporter.polling.poller import Poller
from exporter.polling.scheduler import Scheduler
from exporter.polling.target_state import TargetState
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page

NewTarget = Callable[..., TargetState]


@pytest.fixture
def start(
    polling: Polling, source: FakeSource, clock: FakeClock, telemetry: Telemetry
) -> Callable[..., tuple[Scheduler, asyncio.Task[None]]]:
    def run(*states: TargetState, concurrency: int = 16) -> tuple[Scheduler, asyncio.Task[None]]:
        assert set(states) == set(polling.targets)
        budget = Budget(clock=clock, telemetry=telemetry, share=1.0)
        scheduler = polling.scheduler(source.gate, budget, concurrency=concurrency)
        return scheduler, asyncio.create_task(scheduler.run())

    return run


Start = Callable[..., tuple[Scheduler, "asyncio.Task[None]"]]


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def gaps(times: list[float]) -> list[float]:
    return [round(later - earlier, 3) for earlier, later in pairwise(times)]


async def test_every_set_is_polled_at_the_start_and_then_keeps_its_own_interval(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    _, task = start(new_target("fast", 10.0), new_target("slow", 60.0))
    await clock.advance(1)
    assert len(source.polled["fast"]) == len(source.polled["slow"]) == 1
    await clock.advance(600)
    assert set(gaps(source.polled["fast"])[1:]) == {10.0}
    assert set(gaps(source.polled["slow"])[1:]) == {60.0}
    assert 5.0 <= gaps(source.polled["fast"])[0] <= 15.0
    await stop(task)


async def test_a_poll_that_takes_time_does_not_shift_the_beat(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    source.pages["web"] = [7.0, page()]
    _, task = start(new_target("web", 10.0))
    await clock.advance(300)
    assert set(gaps(source.polled["web"])[1:]) == {10.0}
    await stop(task)


async def test_a_poll_longer_than_the_interval_skips_beats_and_never_overlaps(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    source.pages["web"] = [25.0, page()]
    _, task = start(new_target("web", 10.0))
    await clock.advance(300)
    assert set(gaps(source.polled["web"])[1:]) == {30.0}
    await stop(task)


async def test_sets_are_spread_over_the_interval_once_they_keep_their_beat(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    _, task = start(*(new_target(f"set-{number}", 60.0) for number in range(40)))
    await clock.advance(300)
    last = sorted(times[-1] % 60 for times in source.polled.values())
    assert max(gaps(last)) < 12
    await stop(task)


async def test_a_failing_and_hanging_sets_delay_no_other(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    source.pages["broken"] = [TimedOut("late")]
    hanging = [f"hanging-{number}" for number in range(50)]
    for name in hanging:
        source.pages[name] = [60.0, TimedOut("late")]
    states = [new_target(name, 10.0) for name in [*hanging, "broken", "good"]]
    _, task = start(*states, concurrency=8)
    await clock.advance(1800)
    # Until all that hang have been met once, a healthy poll waits a few seconds for a slot.
    assert source.polled["good"][0] < 1000 + 60
    assert set(gaps(source.polled["good"])[15:]) == {10.0}
    assert set(gaps(source.polled["broken"])[15:]) == {10.0}
    assert max(gaps(source.polled["good"])) <= 45
    assert all(source.polled[name] for name in hanging)
    await stop(task)


async def test_a_healthy_set_that_was_slow_once_goes_before_those_that_hang_for_long(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    hanging = [f"hanging-{number}" for number in range(50)]
    for name in hanging:
        source.pages[name] = [60.0, TimedOut("late")]
    _, task = start(*(new_target(name, 60.0) for name in [*hanging, "good"]), concurrency=8)
    await clock.advance(3600)
    source.pages["good"] = [60.0, TimedOut("late")]
    await clock.advance(120)
    source.pages["good"] = [page()]
    polls = len(source.polled["good"])
    await clock.advance(300)
    assert max(gaps(source.polled["good"][polls:])) <= 180
    assert len(source.polled["good"]) - polls >= 3
    await stop(task)


async def test_facts_that_hang_delay_no_instance_poll(
    start: Start,
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(_: TargetState, reservation: object) -> AzureError:
        del reservation
        await clock.sleep(60.0)
        return TimedOut("late")

    monkeypatch.setattr(poller, "poll_model", hang)
    names = [f"set-{number}" for number in range(40)]
    _, task = start(*(new_target(name, 60.0) for name in names), concurrency=8)
    await clock.advance(1800)
    for name in names:
        assert max(gaps(source.polled[name])[3:]) <= 65
    await stop(task)


async def test_a_slow_set_that_nobody_waits_for_is_left_in_peace(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    source.pages["large"] = [40.0, page()]
    state = new_target("large", 60.0)
    _, task = start(state, new_target("good", 60.0), concurrency=4)
    await clock.advance(600)
    assert state.data.poll.up
    assert set(gaps(source.polled["large"])[1:]) == {60.0}
    await stop(task)


async def test_no_more_polls_than_the_concurrency_are_under_way(
    start: Start,
    polling: Polling,
    source: FakeSource,
    new_target: NewTarget,
    clock: FakeClock,
) -> None:
    names = [f"set-{number}" for number in range(10)]
    for name in names:
        source.pages[name] = [1000.0, page()]
    _, task = start(*(new_target(name) for name in names), concurrency=3)
    await clock.advance(4)
    assert sum(len(source.polled[name]) for name in names) == 3
    assert polling.overdue.largest() > 2.5
    await stop(task)


async def test_a_call_that_azure_asked_to_hold_back_waits_and_up_stays(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    state = new_target("web", 10.0)
    _, task = start(state)
    await clock.advance(30)
    polls = len(source.polled["web"])
    held_until = clock.monotonic() + 120
    source.gate[SUBSCRIPTION, "westeurope"] = held_until
    await clock.advance(119)
    assert len(source.polled["web"]) == polls
    assert state.data.poll.up
    await clock.advance(30)
    assert len(source.polled["web"]) > polls
    assert min(moment for moment in source.polled["web"][polls:]) >= held_until
    await stop(task)


async def test_a_poll_that_is_put_off_comes_when_the_hold_ends_not_an_interval_later(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    source.pages["web"] = [NotSent("not sent", retry_after=6)]
    _, task = start(new_target("web", 3600.0))
    await clock.advance(1)
    assert len(source.polled["web"]) >= 1
    source.gate[SUBSCRIPTION, "westeurope"] = clock.monotonic() + 6
    source.pages["web"] = [page()]
    polls = len(source.polled["web"])
    await clock.advance(70)
    assert len(source.polled["web"]) > polls
    await stop(task)


async def test_facts_are_fetched_every_few_minutes_and_sooner_after_a_failure(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    source.models["sick"] = TimedOut("late")
    _, task = start(new_target("web"), new_target("sick"))
    await clock.advance(1800)
    assert 6 <= len(source.model_polled["web"]) <= 8
    assert 15 <= len(source.model_polled["sick"]) <= 32
    assert len(source.polled["sick"]) >= 29
    await stop(task)


async def test_a_clock_that_is_set_back_holds_no_poll_back(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    _, task = start(new_target("web", 10.0))
    await clock.advance(30)
    clock.wall -= 86_400
    polls = len(source.polled["web"])
    await clock.advance(60)
    assert len(source.polled["web"]) == polls + 6
    await stop(task)


async def test_a_beat_that_breaks_is_never_unseen(
    start: Start,
    poller: Poller,
    new_target: NewTarget,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    logs: list[MutableMapping[str, Any]],
) -> None:
    async def broken(_: TargetState) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(poller, "poll", broken)
    _, task = start(new_target("web"))
    await clock.advance(1)
    with pytest.raises(ExceptionGroup):
        await task
    (said,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert said["event"] == "poll loop crashed"
    assert said["scale_set"].endswith("/web")


@pytest.mark.parametrize("reloads", [1.0, 7.0, 20.0, 29.0])
async def test_reloads_do_not_change_when_a_set_is_polled(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock, reloads: float
) -> None:
    """Whatever the place of its first poll between two times of the schedule."""
    names = [f"set-{number}" for number in range(20)]
    states = [new_target(name, 60.0) for name in names]
    _, task = start(*states)
    for _ in range(int(200 / reloads)):
        await clock.advance(reloads)
        await stop(task)
        _, task = start(*states)
    for name in names:
        first, *rest = gaps(source.polled[name])
        assert first >= 30.0
        assert set(rest) == {60.0}
    await stop(task)


async def test_a_reload_with_a_shorter_interval_does_not_wait_for_the_old_one(
    start: Start, polling: Polling, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    state = new_target("web", 3600.0)
    _, task = start(state)
    await clock.advance(10)
    await stop(task)
    polling.targets.update(replace(state.target, interval=60.0))
    _, task = start(state)
    await clock.advance(91)
    assert len(source.polled["web"]) == 2
    await stop(task)


async def test_a_poll_that_is_under_way_is_not_late(
    start: Start,
    polling: Polling,
    source: FakeSource,
    new_target: NewTarget,
    clock: FakeClock,
) -> None:
    source.pages["web"] = [40.0, page()]
    _, task = start(new_target("web", 60.0))
    for _ in range(35):
        await clock.advance(1)
        assert polling.overdue.largest() <= 1
    assert len(source.polled["web"]) == 1
    await stop(task)


async def test_a_poll_that_azure_itself_throttled_was_a_poll_and_keeps_the_beat(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    source.pages["web"] = [Throttled("busy", retry_after=5.0)]
    _, task = start(new_target("web", 600.0))
    await clock.advance(1500)
    assert len(source.polled["web"]) <= 4
    assert gaps(source.polled["web"])[-1] == 600.0
    await stop(task)


async def test_the_interval_of_the_facts_follows_what_it_should_be_by_more_than_a_hundredth(
    start: Start, new_target: NewTarget, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = [400.0]
    monkeypatch.setattr(Intervals, "of_model", lambda *_: planned[-1])
    state = new_target("web")
    _, task = start(state)
    await clock.advance(100)
    for wanted, kept in ((402.0, 400.0), (398.0, 400.0), (410.0, 410.0), (300.0, 300.0)):
        planned.append(wanted)
        await clock.advance(100)
        assert state.data.model_interval == kept
    await stop(task)


async def test_facts_that_azure_itself_throttled_are_asked_for_again_like_after_any_failure(
    start: Start, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    source.models["web"] = Throttled("busy", retry_after=1.0)
    _, task = start(new_target("web"))
    await clock.advance(1800)
    assert 15 <= len(source.model_polled["web"]) <= 32
    await stop(task)
