"""The beat: who is polled when, and that nobody delays or ends anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from exporter.azure.errors import TimedOut
from exporter.polling.lanes import Lanes
from exporter.polling.poller import Poller
from exporter.polling.record import Record
from exporter.polling.scheduler import Scheduler
from support.answers import SUBSCRIPTION
from support.clock import FakeClock
from support.source import FakeSource, page

NewRecord = Callable[..., Record]


@pytest.fixture
def start(
    poller: Poller, source: FakeSource, clock: FakeClock
) -> Callable[..., tuple[Scheduler, asyncio.Task[None]]]:
    def run(*records: Record, concurrency: int = 16) -> tuple[Scheduler, asyncio.Task[None]]:
        scheduler = Scheduler(
            records=records,
            poller=poller,
            waits=source,
            lanes=Lanes(concurrency),
            clock=clock,
        )
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
    start: Start, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    _, task = start(new_record("fast", 10.0), new_record("slow", 60.0))
    await clock.advance(1)
    assert len(source.polled["fast"]) == len(source.polled["slow"]) == 1
    await clock.advance(600)
    assert set(gaps(source.polled["fast"])[1:]) == {10.0}
    assert set(gaps(source.polled["slow"])[1:]) == {60.0}
    assert 5.0 <= gaps(source.polled["fast"])[0] <= 15.0
    await stop(task)


async def test_a_poll_that_takes_time_does_not_shift_the_beat(
    start: Start, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    source.pages["web"] = [7.0, page()]
    _, task = start(new_record("web", 10.0))
    await clock.advance(300)
    assert set(gaps(source.polled["web"])[1:]) == {10.0}
    await stop(task)


async def test_a_poll_longer_than_the_interval_skips_beats_and_never_overlaps(
    start: Start, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    source.pages["web"] = [25.0, page()]
    _, task = start(new_record("web", 10.0))
    await clock.advance(300)
    assert set(gaps(source.polled["web"])[1:]) == {30.0}
    await stop(task)


async def test_sets_are_spread_over_the_interval_once_they_keep_their_beat(
    start: Start, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    _, task = start(*(new_record(f"set-{number}", 60.0) for number in range(40)))
    await clock.advance(300)
    last = sorted(times[-1] % 60 for times in source.polled.values())
    assert max(gaps(last)) < 12
    await stop(task)


async def test_a_failing_and_a_hanging_set_delay_no_other(
    start: Start, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    source.pages["broken"] = [TimedOut("late")]
    for number in range(20):
        source.pages[f"hanging-{number}"] = [1000.0, TimedOut("late")]
    records = [new_record(f"hanging-{number}", 10.0) for number in range(20)]
    for record in records:
        record.failures = 1
    _, task = start(*records, new_record("broken", 10.0), new_record("good", 10.0), concurrency=8)
    await clock.advance(305)
    assert set(gaps(source.polled["good"])[1:]) == {10.0}
    await stop(task)


async def test_no_more_polls_than_the_concurrency_are_under_way(
    start: Start, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    names = [f"set-{number}" for number in range(10)]
    for name in names:
        source.pages[name] = [1000.0, page()]
    scheduler, task = start(*(new_record(name) for name in names), concurrency=3)
    await clock.advance(30)
    assert sum(len(source.polled[name]) for name in names) == 3
    assert scheduler.lag() > 25
    await stop(task)


async def test_a_call_that_azure_asked_to_hold_back_waits_and_up_stays(
    start: Start, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    record = new_record("web", 10.0)
    _, task = start(record)
    await clock.advance(30)
    polls = len(source.polled["web"])
    held_until = clock.monotonic() + 120
    source.holds[SUBSCRIPTION, "westeurope"] = held_until
    await clock.advance(119)
    assert len(source.polled["web"]) == polls
    assert record.poll.up
    await clock.advance(30)
    assert len(source.polled["web"]) > polls
    assert min(moment for moment in source.polled["web"][polls:]) >= held_until
    await stop(task)


async def test_facts_are_fetched_every_few_minutes_and_sooner_after_a_failure(
    start: Start, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    source.facts["sick"] = TimedOut("late")
    _, task = start(new_record("web"), new_record("sick"))
    await clock.advance(1800)
    assert 6 <= len(source.facts_polled["web"]) <= 8
    assert 15 <= len(source.facts_polled["sick"]) <= 32
    assert len(source.polled["sick"]) >= 29
    await stop(task)


async def test_a_clock_that_is_set_back_holds_no_poll_back(
    start: Start, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    _, task = start(new_record("web", 10.0))
    await clock.advance(30)
    clock.wall -= 86_400
    polls = len(source.polled["web"])
    await clock.advance(60)
    assert len(source.polled["web"]) == polls + 6
    await stop(task)


async def test_a_beat_that_breaks_is_never_unseen(
    start: Start,
    poller: Poller,
    new_record: NewRecord,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(_: Record) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(poller, "poll", broken)
    _, task = start(new_record("web"))
    await clock.advance(1)
    with pytest.raises(ExceptionGroup):
        await task
