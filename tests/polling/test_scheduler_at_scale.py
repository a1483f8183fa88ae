"""A thousand scale sets and more in one region: nobody starves, and others keep their part."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from statistics import mean

import pytest
import structlog

from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.pacing import BURST
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.polling import intervals, scheduler
from exporter.polling.planner import IDLE_STRETCH, PLANNED
from exporter.polling.scheduler import TASKS_AT_A_TIME, Scheduler
from exporter.simulator.buckets import SUBSCRIPTION_HIGH_COST, VM_VIEWS
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION
from support.azure_room import sample
from support.polling import Polling
from support.scale import CoarseClock, MeteredSource

SHARE = 0.5
REQUESTS_A_MINUTE = 360 * SHARE
HOUR = 3600.0
ALL_BUT_THE_POLLS = ("azure_vmss_[!p]*", "azure_vmss_p[!o]*", "azure_vmss_power*")
"""Rendering what nobody reads would take as long as the rest."""


class Fleet:
    """A scheduler over many sets, and what Azure has seen of it."""

    def __init__(self) -> None:
        self.clock = CoarseClock()
        self.telemetry = Telemetry(version="1", python_version="3", process=False)
        self.budget = Budget(clock=self.clock, telemetry=self.telemetry, share=SHARE)
        self.source = MeteredSource(self.clock, self.telemetry, self.budget)
        self._task: asyncio.Task[None] | None = None

    def start(self, *names: str, interval: float = 60.0) -> None:
        self.polling = Polling(
            self.source,
            self.clock,
            telemetry=self.telemetry,
            mapper=Mapper(families=FamilyFilter(deny=ALL_BUT_THE_POLLS)),
        )
        self.states = [self.polling.add(name, interval, resource_group="rg") for name in names]
        self.scheduler = self.polling.scheduler(self.source.gate, self.budget)
        self.telemetry.gauge("poll_lag_seconds").set_function(self.polling.overdue.largest)
        self._task = asyncio.create_task(self.scheduler.run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def gaps(self, name: str, since: float) -> list[float]:
        """Seconds between the polls of a set, the time from the last one until now included."""
        times = [at for at in self.source.polled[name] if at >= since]
        return [later - before for before, later in pairwise([since, *times, self.now])]

    def intervals(self) -> dict[str, float]:
        """The interval in force of every set, as it is shown."""
        return {state.target.scale_set.name: state.data.poll.interval for state in self.states}

    def lag(self) -> float:
        """The delay of the poll that is the latest."""
        return self.polling.overdue.largest()

    def polls(self, since: float) -> int:
        return sum(at >= since for times in self.source.polled.values() for at in times)

    @property
    def now(self) -> float:
        return self.clock.monotonic()


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    # A line for every poll would take as long as the rest.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    made = Fleet()
    yield made
    await made.stop()
    structlog.reset_defaults()


def names(count: int, location: str = "west") -> list[str]:
    return [f"{location}-{number}" for number in range(count)]


@pytest.fixture
def looking_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every set look at its interval less often: in a fleet at rest it costs time only."""
    monkeypatch.setattr(intervals, "PLAN_FOR", 30.0)
    monkeypatch.setattr(scheduler, "LOOK_AGAIN", (120.0, 600.0))
    monkeypatch.setattr(intervals, "MODEL_INTERVAL", 1800.0)


@pytest.mark.parametrize("count", [1000, 2500])
@pytest.mark.usefixtures("looking_seldom")
async def test_in_an_hour_no_set_starves_and_no_minute_is_above_the_share(
    fleet: Fleet, count: int
) -> None:
    fleet.budget.share = share = SHARE / 2
    active = set(names(count)[::20])
    fleet.source.changing = active
    fleet.start(*names(count))
    begun = fleet.now
    await fleet.clock.advance(HOUR)
    assert fleet.source.throttled == 0
    minutes = fleet.source.in_minutes("west", begun, fleet.now)
    assert max(requests for requests, _ in minutes) <= 360 * share
    assert max(views for _, views in minutes) <= 10_000 * share
    # What may be spent is spent.
    assert mean(requests for requests, _ in minutes) >= 0.93 * 360 * share
    longest = IDLE_STRETCH * count * 60 / (360 * share * PLANNED)
    assert max(fleet.intervals().values()) <= 1.01 * longest
    for name in names(count):
        assert max(fleet.gaps(name, begun)) <= 1.15 * longest, name
    # Those active are polled far more often, once that is known.
    assert mean(len(fleet.source.polled[name]) for name in active) > 2 * mean(
        len(fleet.source.polled[name]) for name in set(names(count)) - active
    )


async def test_with_room_a_large_fleet_is_polled_on_the_beat_and_without_lag(fleet: Fleet) -> None:
    places = ("west", "east", "north")
    everybody = [name for place in places for name in names(120, place)]
    fleet.start(*everybody)
    # Until the facts have told all regions, every set may belong to any.
    await fleet.clock.advance(300)
    begun = fleet.now
    await fleet.clock.advance(300)
    assert set(fleet.intervals().values()) == {60.0}
    assert all(58 <= gap <= 62 for name in everybody for gap in fleet.gaps(name, begun)[1:-1])
    assert fleet.lag() <= 1


async def test_a_hold_puts_off_its_bucket_and_no_other(fleet: Fleet) -> None:
    fleet.start(*names(100), *names(100, "east"))
    await fleet.clock.advance(300)
    begun = fleet.now
    fleet.source.gate.put(SUBSCRIPTION, "west", 240.0)
    await fleet.clock.advance(240)
    assert [at for at in fleet.source.calls["west"] if at > begun] == []
    assert all(state.data.poll.up for state in fleet.states)
    assert fleet.lag() > 60
    for name in names(100, "east"):
        assert max(fleet.gaps(name, begun)) <= 65
    await fleet.clock.advance(70)
    after = [at - begun - 240 for at in fleet.source.calls["west"] if at > begun]
    assert len({int(at) // 10 for at in after}) >= 6, "they begin again spread over a minute"
    assert all(fleet.source.polled[name][-1] >= begun + 240 for name in names(100))
    await fleet.clock.advance(120)
    assert fleet.lag() <= 1


async def test_a_hold_of_a_subscription_puts_off_all_its_regions(fleet: Fleet) -> None:
    fleet.start(*names(20), *names(20, "east"))
    await fleet.clock.advance(200)
    begun = fleet.now
    fleet.source.gate.put(SUBSCRIPTION, "", 100.0)
    await fleet.clock.advance(100)
    assert fleet.polls(begun + 0.5) == 0
    await fleet.clock.advance(70)
    assert fleet.polls(begun + 0.5) >= 40


async def test_a_neighbour_taking_four_fifths_makes_the_intervals_stretch_and_come_back(
    fleet: Fleet,
) -> None:
    fleet.start(*names(150), *names(10, "east"))
    await fleet.clock.advance(300)
    assert set(fleet.intervals().values()) == {60.0}

    async def pass_minutes(count: int, *, neighbour: bool) -> float:
        """The part of what the neighbour asks for that it gets."""
        got = []
        for _ in range(count * 6):
            if neighbour:
                got.append(fleet.source.take("west", requests=48, views=1200))
            await fleet.clock.advance(10)
        return mean(got) if got else 1.0

    await pass_minutes(10, neighbour=True)
    begun = fleet.now
    assert await pass_minutes(10, neighbour=True) == 1.0
    stretched = [fleet.intervals()[name] for name in names(150)]
    assert min(stretched) > 90
    assert max(stretched) < 300
    assert {fleet.intervals()[name] for name in names(10, "east")} == {60.0}
    ours = mean(requests for requests, _ in fleet.source.in_minutes("west", begun, fleet.now))
    assert 36 <= ours <= 80
    assert fleet.source.throttled == 0
    await pass_minutes(18, neighbour=False)
    assert set(fleet.intervals().values()) == {60.0}
    begun = fleet.now
    await pass_minutes(3, neighbour=False)
    assert max(max(fleet.gaps(name, begun)) for name in names(150)) <= 65


async def test_after_an_outage_all_sets_are_back_within_one_round(fleet: Fleet) -> None:
    fleet.start(*names(300))
    await fleet.clock.advance(600)
    fleet.source.failing = set(names(300))
    await fleet.clock.advance(900)
    assert not any(state.data.poll.up for state in fleet.states)
    fleet.source.failing = set()
    await fleet.clock.advance(1.2 * 300 * 60 / (REQUESTS_A_MINUTE * PLANNED))
    assert all(state.data.poll.up for state in fleet.states)
    minutes = fleet.source.in_minutes("west", 0.0, fleet.now)
    assert max(requests for requests, _ in minutes) <= REQUESTS_A_MINUTE


async def test_sets_that_hang_take_little_from_the_others(fleet: Fleet) -> None:
    fleet.start(*names(300))
    await fleet.clock.advance(300)
    hanging = names(300)[::10]
    fleet.source.hanging = dict.fromkeys(hanging, 30.0)
    # Until all that hang have been met once, they hold the slots of others.
    await fleet.clock.advance(120)
    begun = fleet.now
    await fleet.clock.advance(480)
    round_robin = 300 * 60 / (REQUESTS_A_MINUTE * PLANNED)
    for name in set(names(300)) - set(hanging):
        assert max(fleet.gaps(name, begun)) <= 1.2 * IDLE_STRETCH * round_robin
    assert all(fleet.source.polled[name][-1] >= begun for name in hanging)


async def test_a_bucket_drained_by_others_costs_one_throttled_call_then_all_wait(
    fleet: Fleet,
) -> None:
    fleet.start(*names(100))
    await fleet.clock.advance(310)
    fleet.source.drain()
    begun = fleet.now
    await fleet.clock.advance(240)
    assert fleet.source.throttled == 1
    refused, *after = [at for at in fleet.source.calls["west"] if at > begun]
    assert after[0] // 60 > refused // 60, "none before the bucket is filled up again"
    assert min(fleet.source.polled[name][-1] for name in names(100)) > refused
    assert max(fleet.intervals().values()) > 60


async def test_what_is_planned_and_spent_is_on_the_metrics(fleet: Fleet) -> None:
    fleet.start(*names(400))
    await fleet.clock.advance(700)
    labels = {"subscription_id": SUBSCRIPTION, "location": "west"}
    for policy, least in ((SUBSCRIPTION_HIGH_COST, 0.85), (VM_VIEWS, 0.6)):
        ratio = sample(fleet.telemetry, "budget_used_ratio", **labels, policy=policy)
        assert ratio is not None
        assert least < ratio <= 1.0
    lag = sample(fleet.telemetry, "poll_lag_seconds")
    assert lag is not None
    assert lag == fleet.lag() < 60
    state = fleet.states[0]
    (block,) = [
        block
        for lines in fleet.polling.publisher.lines(state)
        for family, block in lines.items()
        if family == "azure_vmss_poll_interval_seconds"
    ]
    shown = float(block.text.decode().rpartition(" ")[2])
    assert shown == pytest.approx(state.data.poll.interval)
    assert 120 < shown < 200


async def test_a_large_fleet_s_gets_and_lists_never_drain_the_resource_manager_s_bucket(
    fleet: Fleet,
) -> None:
    fleet.start(*names(2500))
    await fleet.clock.advance(900)
    assert fleet.source.throttled == 0
    # Of 250 reads.
    assert fleet.source.least_reads >= 240
    sent = fleet.source.sent
    assert max(Counter(sent).values()) <= 2 * BURST, "what goes out at one moment of half a second"
    seconds = Counter(int(at) for at in sent)
    assert max(seconds.values()) <= 12.5 + BURST
    lists = [at for times in fleet.source.polled.values() for at in times]
    gets = len(sent) - len(lists)
    # GETs take 400 of 800 a minute at most, less on this coarse clock.
    assert 0.65 * 400 * 15 <= gets <= 400 * 15
    assert len(fleet.source.polled) >= 0.95 * min(2500, REQUESTS_A_MINUTE * 14)
    firsts = sorted(times[0] for times in fleet.source.polled.values())
    begun = firsts[0]
    assert firsts[500] - begun <= 1.1 * 500 / (REQUESTS_A_MINUTE / 60)


async def test_facts_that_are_asked_for_less_often_are_kept_as_long(fleet: Fleet) -> None:
    """Half of the limit is enough for 400 GETs a minute; a neighbour leaves a tenth of that."""
    fleet.budget.share = 0.05
    fleet.start(*names(300))
    await fleet.clock.advance(2400)
    interval = 300 * 60 / (40 * PLANNED)
    for state in fleet.states:
        assert state.data.model_interval == pytest.approx(interval, rel=0.02)
    assert all(state.data.live_model(fleet.now) for state in fleet.states)
    kept = fleet.states[0].data.model
    assert kept is not None
    assert kept.served_until - kept.since >= 1.96 * interval + 180
    fleet.budget.share = 0.5
    await fleet.clock.advance(300)
    assert {state.data.model_interval for state in fleet.states} == {300.0}


async def test_thousands_of_sets_begin_and_end_a_few_in_each_pass_of_the_loop(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work = 0

    async def loop(*_: object) -> None:
        nonlocal at_work
        at_work += 1
        try:
            await asyncio.Event().wait()
        finally:
            at_work -= 1

    monkeypatch.setattr(Scheduler, "_loop", loop)
    seen = [0]

    async def until(number: int) -> None:
        while at_work != number:
            await asyncio.sleep(0)
            seen.append(at_work)

    fleet.start(*names(2500))
    assert not fleet.scheduler.begun.is_set()
    await until(5000)
    assert fleet.scheduler.begun.is_set()
    ending = asyncio.create_task(fleet.stop())
    await until(0)
    await ending
    assert max(abs(after - before) for before, after in pairwise(seen)) <= 2 * TASKS_AT_A_TIME


async def test_beats_that_end_are_freed_without_a_collection(fleet: Fleet) -> None:
    gc.collect()
    gc.disable()
    try:
        fleet.start(*names(20))
        await fleet.scheduler.begun.wait()
        loops = [
            weakref.ref(task)
            for task in asyncio.all_tasks()
            if task.get_name().endswith(tuple(f"/rg/{name}" for name in names(20)))
        ]
        assert len(loops) == 40
        await fleet.stop()
        assert not fleet.scheduler.begun.is_set()
        # The frame that made them holds the last one.
        assert sum(due() is not None for due in loops) <= 1
    finally:
        gc.enable()
