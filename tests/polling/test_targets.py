"""Targets come and go while the exporter runs, and nothing keeps anything of one that is gone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest

from exporter.azure.ratelimit.budget import Budget
from exporter.model.scale_set import ScaleSetId, Target
from exporter.polling.scheduler import Scheduler
from exporter.polling.target_state import TargetState
from exporter.polling.targets import CHANGES_AT_A_TIME, Changes, Observer, Targets
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page


def target(name: str, interval: float = 60.0, **more: str) -> Target:
    return Target(ScaleSetId(SUBSCRIPTION, "rg-web", name), interval, tuple(more.items()))


class Recorder(Observer):
    """Records what it is told of."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def added(self, state: TargetState) -> None:
        self.events.append(f"+{state.target.scale_set.name}")

    def updated(self, state: TargetState, before: Target) -> None:
        self.events.append(f"{before.interval:.0f}→{state.target.interval:.0f}")

    def removed(self, state: TargetState) -> None:
        self.events.append(f"-{state.target.scale_set.name}")


@pytest.fixture
def targets(telemetry: Telemetry) -> Targets:
    return Targets(telemetry=telemetry)


async def test_what_is_wanted_is_added_updated_and_removed_and_the_rest_is_left_alone(
    targets: Targets, telemetry: Telemetry
) -> None:
    recorder = Recorder()
    await targets.apply([target("a"), target("b"), target("c")])
    kept = targets.find(target("A").scale_set)
    targets.observers = (recorder,)
    changes = await targets.apply([target("d"), target("a"), target("b", 30.0)])
    assert changes == Changes(added=1, updated=1, removed=1)
    assert recorder.events == ["-c", "+d", "60→30"]
    assert targets.find(target("a").scale_set) is kept
    assert targets.find(target("c").scale_set) is None
    assert len(targets) == len(list(targets)) == 3
    shown = telemetry.registry.get_sample_value(
        "azure_vmss_exporter_targets", {"origin": "configured"}
    )
    assert shown == 3


async def test_another_spelling_is_the_same_target(targets: Targets) -> None:
    await targets.apply([target("web")])
    (state,) = targets
    assert await targets.apply([target("WEB")]) == Changes(0, 1, 0)
    assert list(targets) == [state]
    assert state.target.scale_set.name == "WEB"


def test_a_target_is_added_once_and_one_that_is_none_is_neither_updated_nor_removed(
    targets: Targets,
) -> None:
    targets.add(target("web"))
    with pytest.raises(ValueError, match="a target already"):
        targets.add(target("Web"))
    with pytest.raises(KeyError):
        targets.remove(target("jobs").scale_set)
    with pytest.raises(KeyError):
        targets.update(target("jobs"))


def test_a_walk_over_the_targets_is_of_one_moment(targets: Targets) -> None:
    for name in ("a", "b", "c"):
        targets.add(target(name))
    seen = []
    for state in targets:
        seen.append(state.target.scale_set.name)
        if len(targets) == 3:
            targets.remove(target("c").scale_set)
    assert seen == ["a", "b", "c"]
    assert [state.target.scale_set.name for state in targets] == ["a", "b"]


async def test_thousands_of_changes_let_other_tasks_run_in_between(targets: Targets) -> None:
    applying = asyncio.create_task(targets.apply(target(f"set-{n}") for n in range(1000)))
    steps = [0]
    while not applying.done():
        await asyncio.sleep(0)
        steps.append(len(targets))
    assert max(after - before for before, after in pairwise(steps)) <= (CHANGES_AT_A_TIME)


# With all that holds something of a target


@pytest.fixture
async def scheduler(
    polling: Polling, source: FakeSource, clock: FakeClock, telemetry: Telemetry
) -> AsyncIterator[Scheduler]:
    budget = Budget(clock=clock, telemetry=telemetry, share=1.0)
    scheduler = polling.scheduler(source.gate, budget)
    running = asyncio.create_task(scheduler.run())
    await scheduler.begun.wait()
    yield scheduler
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.mark.usefixtures("scheduler")
async def test_a_target_that_comes_is_polled_at_once_and_then_on_its_schedule(
    polling: Polling, source: FakeSource, clock: FakeClock
) -> None:
    source.pages["web"] = [page(instance({}))]
    polling.add()
    await clock.advance(1)
    assert len(source.polled["web"]) == 1
    assert "azure_vmss_instances{" in polling.page()
    await clock.advance(300)
    assert 5 <= len(source.polled["web"]) <= 6


async def test_of_a_target_that_goes_nothing_is_kept(
    polling: Polling, source: FakeSource, clock: FakeClock, scheduler: Scheduler
) -> None:
    source.pages["leaving"] = [page(instance({}))]
    source.pages["leaving-slowly"] = [30.0, page(instance({}))]
    polling.add("leaving-slowly")
    polling.add("leaving")
    empty = polling.cache.page().length
    await clock.advance(100)
    assert polling.cache.page().length > empty
    for name in ("leaving", "leaving-slowly"):
        polling.targets.remove(target(name).scale_set)
    await clock.advance(60)
    assert polling.page() == ""
    assert polling.overdue.largest() == 0.0
    assert scheduler._budget._costs == {}
    gc.collect()
    left = [found for found in gc.get_objects() if isinstance(found, TargetState)]
    assert not [state for state in left if state.target.scale_set.name.startswith("leaving")]
    polls = {name: len(times) for name, times in source.polled.items()}
    await clock.advance(600)
    assert {name: len(times) for name, times in source.polled.items()} == polls


@pytest.mark.usefixtures("scheduler")
async def test_one_that_comes_again_begins_anew(
    polling: Polling, source: FakeSource, clock: FakeClock
) -> None:
    source.pages["web"] = [page(instance({}))]
    first = polling.add()
    await clock.advance(1)
    polling.targets.remove(first.target.scale_set)
    again = polling.add()
    assert again is not first
    assert "azure_vmss_instances{" not in polling.page()
    await clock.advance(1)
    assert again.data.poll.up
    assert len(source.polled["web"]) == 2


@pytest.mark.usefixtures("scheduler")
async def test_the_place_of_one_that_goes_is_taken_by_the_next(
    polling: Polling, clock: FakeClock
) -> None:
    for name in ("a", "b", "c"):
        polling.add(name)
    before = polling.cache._places
    for number in range(20):
        polling.targets.remove(target("b" if not number else f"b{number - 1}").scale_set)
        polling.add(f"b{number}")
    await clock.advance(1)
    assert polling.cache._places == before
    assert polling.page().count("azure_vmss_up{") == 3


@pytest.mark.usefixtures("scheduler")
async def test_other_labels_begin_new_series_at_once_and_are_polled_at_once(
    polling: Polling, source: FakeSource, clock: FakeClock
) -> None:
    source.pages["web"] = [page(instance({}))]
    state = polling.add(interval=3600.0)
    await clock.advance(1)
    polling.targets.update(replace(state.target, labels=(("team", "core"),)))
    assert "azure_vmss_instances{" not in polling.page()
    assert all('team="core"' in line for line in polling.page().split("\n") if "{" in line)
    await clock.advance(1)
    assert len(source.polled["web"]) == 2
    assert state.data.poll.up


async def test_where_a_set_goes_others_get_their_suppressed_series_back(
    clock: FakeClock, source: FakeSource
) -> None:
    polling = Polling(source, clock, max_series=240)
    states = {name: polling.add(name) for name in ("large", "larger")}
    for name, size in (("large", 6), ("larger", 7)):
        machines = [instance({}, instance_id=str(number)) for number in range(size)]
        source.pages[name] = [page(*machines)]
        await polling.poller.poll(states[name])
    assert polling.publisher.is_suppressed(states["larger"])
    polling.targets.remove(states["large"].target.scale_set)
    assert not polling.publisher.is_suppressed(states["larger"])
    assert polling.page().count("azure_vmss_instance_info{") == 7
