"""Targets that come and go at awkward moments, and observers that fail, harm no other target."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from exporter.azure.errors import NotFound
from exporter.azure.ratelimit.budget import Budget
from exporter.model.scale_set import ScaleSetId, Target
from exporter.polling.scheduler import TASKS_AT_A_TIME, Scheduler
from exporter.polling.target_state import TargetState
from exporter.polling.targets import Changes, Observer
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page


def target(name: str, **labels: str) -> Target:
    return Target(ScaleSetId(SUBSCRIPTION, "rg-web", name), 60.0, tuple(labels.items()))


@pytest.fixture
def budget(clock: FakeClock, polling: Polling) -> Budget:
    return Budget(clock=clock, telemetry=polling.telemetry, share=1.0)


@pytest.fixture
def scheduler(polling: Polling, source: FakeSource, budget: Budget) -> Scheduler:
    return polling.scheduler(source.gate, budget)


async def stop(running: asyncio.Task[None]) -> None:
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_is_removed_while_thousands_start_is_never_polled(
    polling: Polling, scheduler: Scheduler, source: FakeSource, clock: FakeClock
) -> None:
    count = 3 * TASKS_AT_A_TIME
    for number in range(count):
        polling.add(f"set-{number}")
    running = asyncio.create_task(scheduler.run())
    for _ in range(3):
        await asyncio.sleep(0)
    assert 0 < len(scheduler._tasks) < count
    gone = target(f"set-{count - 1}")
    polling.targets.remove(gone.scale_set)
    await scheduler.begun.wait()
    await clock.advance(200)
    await stop(running)
    assert len(source.polled) == count - 1
    assert gone.scale_set.name not in source.polled


async def test_targets_that_come_together_begin_one_after_the_other(
    polling: Polling, scheduler: Scheduler, source: FakeSource, clock: FakeClock
) -> None:
    running = asyncio.create_task(scheduler.run())
    await scheduler.begun.wait()
    await polling.targets.apply([target(f"set-{number}") for number in range(300)])
    seen = []
    for _ in range(30):
        await clock.advance(1)
        seen.append(len(source.model_polled))
    await stop(running)
    # 10 a second: no second has twice its part, and none stands still.
    steps = [after - before for before, after in zip([0, *seen], seen, strict=False)]
    assert max(steps) <= 12
    assert min(steps) >= 8
    assert seen[-1] >= 295


@pytest.mark.parametrize(
    "answer",
    [page(instance({})), NotFound("gone", missing="scale set", removes=True), ValueError()],
)
@pytest.mark.parametrize("labels", [None, {"team": "core"}])
async def test_a_poll_that_ends_after_its_set_is_gone_or_has_other_labels_changes_nothing(
    polling: Polling,
    source: FakeSource,
    clock: FakeClock,
    answer: object,
    labels: dict[str, str] | None,
) -> None:
    state = polling.add()
    source.pages["web"] = [10.0, answer]  # type: ignore[list-item]
    polls = [asyncio.create_task(polling.poller.poll(state))]
    await clock.advance(1)
    if labels is None:
        polling.targets.remove(state.target.scale_set)
    else:
        polling.targets.update(target("web", **labels))
    before, served = state.data, polling.page()
    poll = state.data.poll
    await clock.advance(10)
    assert polls[0].done()
    assert state.data is before
    assert state.data.poll is poll
    assert state.data.snapshot is None
    assert polling.page() == served


async def test_a_model_that_comes_after_its_set_is_gone_changes_nothing(polling: Polling) -> None:
    state = polling.add()
    getting = asyncio.create_task(polling.poller.poll_model(state))
    await asyncio.sleep(0)
    polling.targets.remove(state.target.scale_set)
    await getting
    assert state.data.model is None
    assert polling.page() == ""


async def test_the_cost_of_a_poll_that_a_removal_cuts_short_is_forgotten(
    polling: Polling,
    scheduler: Scheduler,
    source: FakeSource,
    budget: Budget,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = polling.add()
    source.pages["web"] = [30.0, page(instance({}))]
    close = budget.close

    def closing(reservation: object, **more: bool) -> None:
        # What the client's walk leaves when it is cut short.
        close(reservation, **more)  # type: ignore[arg-type]
        budget._costs[state.target.scale_set.key] = None  # type: ignore[assignment]

    monkeypatch.setattr(budget, "close", closing)
    running = asyncio.create_task(scheduler.run())
    await scheduler.begun.wait()
    await clock.advance(5)
    polling.targets.remove(state.target.scale_set)
    await clock.advance(1)
    await stop(running)
    assert budget._costs == {}


class Failing(Observer):
    """Fails with one target."""

    def __init__(self, name: str) -> None:
        self._name = name

    def added(self, state: TargetState) -> None:
        if state.target.scale_set.name == self._name:
            raise RuntimeError("a fault")

    def updated(self, state: TargetState, before: Target) -> None:
        del before
        self.added(state)

    def removed(self, state: TargetState) -> None:
        self.added(state)


async def test_an_observer_that_fails_costs_no_other_target_its_change(polling: Polling) -> None:
    polling.targets.observers = (Failing("odd"), *polling.targets.observers)
    with capture_logs() as logs:
        changes = await polling.targets.apply([target("a"), target("odd"), target("b")])
    assert changes == Changes(added=2, failed=1)
    assert [state.target.scale_set.name for state in polling.targets] == ["a", "b"]
    assert [log["event"] for log in logs] == ["target not changed"]
    assert polling.page().count("azure_vmss_up{") == 2
    # The next time it is tried again.
    polling.targets.observers = polling.targets.observers[1:]
    assert await polling.targets.apply([target("a"), target("odd"), target("b")]) == Changes(
        added=1
    )
    polling.targets.observers = (Failing("odd"), *polling.targets.observers)
    wanted = [target(name, team="core") for name in ("a", "odd", "b")]
    assert await polling.targets.apply(wanted) == Changes(updated=2, failed=1)
    polling.targets.observers = polling.targets.observers[1:]
    assert await polling.targets.apply(wanted) == Changes(updated=1)
    polling.targets.observers = (Failing("odd"), *polling.targets.observers)
    assert await polling.targets.apply([]) == Changes(removed=2, failed=1)
    # All others have let go of it all the same.
    assert (len(polling.targets), polling.page()) == (0, "")


async def test_two_changes_at_a_time_are_made_one_after_the_other(polling: Polling) -> None:
    first = [target(f"set-{number}") for number in range(200)]
    second = [target(f"set-{number}") for number in range(100, 300)]
    counts = await asyncio.gather(polling.targets.apply(first), polling.targets.apply(second))
    assert list(counts) == [Changes(added=200), Changes(added=100, removed=100)]
    assert len(polling.targets) == 200


async def test_the_limit_on_the_series_holds_for_targets_that_come(
    clock: FakeClock, source: FakeSource
) -> None:
    polling = Polling(source, clock, max_series=100)
    await polling.targets.apply([target(f"set-{number}") for number in range(5)])
    assert polling.publisher._limit._sizes.keys() == set(polling.targets)
    await polling.targets.apply([])
    assert not polling.publisher._limit._sizes


async def test_a_set_with_other_labels_is_not_restored_from_its_file(
    polling: Polling, source: FakeSource
) -> None:
    source.pages["web"] = [page(instance({}))]
    state = polling.add()
    assert state.is_new
    await polling.poller.poll(state)
    polling.targets.update(target("web", team="core"))
    assert not state.is_new


async def test_a_scheduler_that_was_cancelled_twice_polls_again(
    polling: Polling, scheduler: Scheduler, source: FakeSource, clock: FakeClock
) -> None:
    for number in range(2 * TASKS_AT_A_TIME):
        polling.add(f"set-{number}")
    running = asyncio.create_task(scheduler.run())
    await scheduler.begun.wait()
    running.cancel()
    await asyncio.sleep(0)
    await stop(running)
    again = asyncio.create_task(scheduler.run())
    await scheduler.begun.wait()
    await clock.advance(30)
    await stop(again)
    assert len(source.polled) == 2 * TASKS_AT_A_TIME
