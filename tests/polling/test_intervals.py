"""The interval in force of every set: from what the polls show and the budget allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from multidict import CIMultiDict

from exporter.azure.errors import Forbidden, ServerFailed
from exporter.azure.ratelimit.budget import Budget
from exporter.model.scale_set import ScaleSetId, ScaleSetModel
from exporter.polling.activity import ACTIVE_FOR
from exporter.polling.intervals import PLAN_FOR, Intervals
from exporter.polling.planner import IDLE_STRETCH, PAGE_PAUSE, PLANNED, Demand, Load
from exporter.polling.poller import Poller
from exporter.polling.target_state import MODEL_INTERVAL, ModelSnapshot, TargetState
from exporter.telemetry import Telemetry
from support.answers import instance
from support.budget_caller import headers, whole_walk
from support.clock import FakeClock
from support.source import FakeSource, page

NewTarget = Callable[..., TargetState]
LIMIT = "HighCostGetVMScaleSetSubscriptionMaximum"


@pytest.fixture
def budget(clock: FakeClock, telemetry: Telemetry) -> Budget:
    return Budget(clock=clock, telemetry=telemetry, share=0.5, burst=1e6)


def place(state: TargetState, location: str, *, capacity: int | None = 20) -> TargetState:
    """Let the model of a set be known."""
    model = ScaleSetModel(location=location, capacity=capacity)
    state.data.model = ModelSnapshot(model=model, since=0.0, served_until=1e12)
    return state


@pytest.fixture
def fleet(new_target: NewTarget) -> Callable[..., list[TargetState]]:
    def make(
        count: int, location: str = "westeurope", *, capacity: int = 20, interval: float = 60.0
    ) -> list[TargetState]:
        names = [f"{location}-{number}" for number in range(count)]
        return [place(new_target(name, interval), location, capacity=capacity) for name in names]

    return make


Fleet = Callable[..., list[TargetState]]


async def walked(budget: Budget, scale_set: ScaleSetId, location: str, *charges: int) -> None:
    """A whole walk with pages that are charged that many views."""
    await whole_walk(budget, scale_set, location, *map(headers, charges))


async def test_with_room_every_set_has_exactly_what_it_wishes(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    states = [*fleet(50, interval=60.0), *fleet(50, "northeurope", interval=47.3)]
    intervals = Intervals(states, budget=budget, clock=clock)
    assert [intervals.of(state) for state in states] == [60.0] * 50 + [47.3] * 50


async def test_a_region_is_stretched_by_its_own_sets_alone(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    crowded, empty = fleet(1000), fleet(10, "northeurope")
    intervals = Intervals([*crowded, *empty], budget=budget, clock=clock)
    alike = 1000 * 60 / (180 * PLANNED)
    assert intervals.of(crowded[0]) == pytest.approx(alike, rel=0.01)
    assert intervals.of(empty[0]) == 60.0


async def test_the_same_region_of_another_subscription_has_a_budget_of_its_own(
    fleet: Fleet, new_target: NewTarget, budget: Budget, clock: FakeClock
) -> None:
    other = place(new_target("other"), "westeurope")
    other.target = replace(other.target, scale_set=ScaleSetId("another", "rg", "other"))
    intervals = Intervals([*fleet(1000), other], budget=budget, clock=clock)
    assert intervals.of(other) == 60.0


async def test_sets_whose_region_is_not_known_may_belong_to_any(
    fleet: Fleet, new_target: NewTarget, budget: Budget, clock: FakeClock
) -> None:
    unknown = [new_target(f"unknown-{number}") for number in range(200)]
    few = fleet(10)
    intervals = Intervals([*unknown, *few], budget=budget, clock=clock)
    assert intervals.of(few[0]) > 60.0
    assert intervals.of(unknown[0]) > 60.0
    for state in unknown:
        place(state, "northeurope")
    await clock.advance(PLAN_FOR)
    assert intervals.of(few[0]) == 60.0


async def test_a_set_in_trouble_comes_near_its_wish_and_goes_back_when_calm(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    states = fleet(1000)
    intervals = Intervals(states, budget=budget, clock=clock)
    round_robin = intervals.of(states[0])
    intervals.polled(states[0], ServerFailed("no", status=500))
    intervals.polled(states[1], Forbidden("no", action="a/read"))
    assert intervals.of(states[0]) <= round_robin
    await clock.advance(PLAN_FOR)
    assert intervals.of(states[0]) == 60.0
    assert round_robin <= intervals.of(states[1]) <= round_robin * IDLE_STRETCH
    await clock.advance(ACTIVE_FOR)
    assert intervals.of(states[0]) == pytest.approx(round_robin)


async def test_a_change_seen_by_a_poll_is_motion(
    fleet: Fleet, budget: Budget, clock: FakeClock, poller: Poller, source: FakeSource
) -> None:
    states = fleet(1000)
    intervals = Intervals(states, budget=budget, clock=clock)
    stretched = intervals.of(states[0])
    for code in ("PowerState/running", "PowerState/deallocated"):
        source.pages[states[0].target.scale_set.name] = [
            page(instance({"statuses": [{"code": code}]}))
        ]
        intervals.polled(states[0], await poller.poll(states[0]))
    await clock.advance(PLAN_FOR)
    assert intervals.of(states[0]) < stretched / 3


async def test_all_sets_failing_at_once_are_all_polled_alike(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    states = fleet(1000)
    intervals = Intervals(states, budget=budget, clock=clock)
    for state in states:
        intervals.polled(state, ServerFailed("no", status=500))
    (found,) = {intervals.of(state) for state in states}
    assert found == pytest.approx(1000 * 60 / (180 * PLANNED))


async def test_what_the_walks_cost_is_what_is_planned_with(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    states = fleet(40, capacity=1)
    intervals = Intervals(states, budget=budget, clock=clock)
    assert intervals.of(states[0]) == 60.0
    for state in states:
        await walked(budget, state.target.scale_set, "westeurope", *[100] * 2)
        await clock.advance(60)
    # 40 × 200 views do not fit into half of 10,000 a minute.
    assert intervals.of(states[0]) == pytest.approx(60 * 40 * 200 / (5000 * PLANNED))


async def test_a_set_of_many_pages_keeps_to_its_own_limit(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    (state,) = fleet(1, interval=10.0)
    await walked(budget, state.target.scale_set, "westeurope", *[120] * 8)
    intervals = Intervals([state], budget=budget, clock=clock)
    assert intervals.of(state) == intervals.requested(state) == 8 * PAGE_PAUSE


async def test_sets_that_came_or_went_change_the_plan(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    states = fleet(1000)
    assert Intervals(states, budget=budget, clock=clock).of(states[0]) > 300
    assert Intervals(states[:100], budget=budget, clock=clock).of(states[0]) == 60.0
    assert Intervals(states[:500], budget=budget, clock=clock).of(states[0]) > 150


async def test_a_lowered_share_stretches_and_a_raised_one_brings_the_wish_back(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    states = fleet(150)
    intervals = Intervals(states, budget=budget, clock=clock)
    assert intervals.of(states[0]) == 60.0
    budget.share = 0.1
    await clock.advance(PLAN_FOR)
    assert intervals.of(states[0]) == pytest.approx(150 * 60 / (36 * PLANNED))
    budget.share = 0.5
    await clock.advance(PLAN_FOR)
    assert intervals.of(states[0]) == 60.0


async def test_a_drained_bucket_stretches_the_intervals_at_once_and_they_come_back_slowly(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    states = fleet(150)
    intervals = Intervals(states, budget=budget, clock=clock)

    async def remaining(number: int) -> float:
        answer = CIMultiDict(
            {"x-ms-ratelimit-remaining-resource": f"Microsoft.Compute/{LIMIT};{number}"}
        )
        await whole_walk(budget, states[0].target.scale_set, "westeurope", answer)
        await clock.advance(PLAN_FOR)
        return intervals.of(states[0])

    assert await remaining(1080) == 60.0
    assert await remaining(200) > 60.0 * 4
    shrinking = [await remaining(1080) for _ in range(150)]
    assert shrinking == sorted(shrinking, reverse=True)
    assert shrinking[5] > 60.0 * 2
    assert shrinking[-1] == 60.0


async def test_the_gets_of_many_sets_are_stretched_to_half_of_their_limit(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    states = fleet(2500, interval=3600.0)
    kept = Intervals(states, budget=budget, clock=clock)
    assert kept.of(states[0]) == 3600.0
    assert kept.of_model(states[0]) == pytest.approx(2500 * 60 / (400 * PLANNED))
    few = Intervals(states[:1900], budget=budget, clock=clock)
    assert few.of_model(states[0]) == MODEL_INTERVAL


async def test_many_regions_share_the_resource_manager_s_reads(
    fleet: Fleet, budget: Budget, clock: FakeClock
) -> None:
    states = [state for number in range(8) for state in fleet(150, f"region{number}")]
    kept = Intervals(states, budget=budget, clock=clock)
    spent = sum(1 / kept.of(state) + 1 / kept.of_model(state) for state in states)
    assert spent == pytest.approx(12.5 * PLANNED)
    assert kept.of(states[0]) > 60


async def test_planning_takes_one_look_at_each_set_whatever_the_number_of_regions(
    fleet: Fleet, budget: Budget, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sets of unknown region count in every region; at the start all are of unknown region."""
    placed = [state for number in range(30) for state in fleet(1, f"region{number}")]
    unplaced = fleet(300, "")
    kept = Intervals([*placed, *unplaced], budget=budget, clock=clock)
    looked: list[Demand] = []
    add = Load.add

    def look(load: Load, demand: Demand) -> None:
        looked.append(demand)
        add(load, demand)

    monkeypatch.setattr(Load, "add", look)
    kept.of(placed[0])
    assert len(looked) == 330
    for state in (*placed, *unplaced):
        kept.of(state)
        kept.of_model(state)
    assert len(looked) == 330, "and the plan is kept"
    await clock.advance(PLAN_FOR)
    kept.of(placed[0])
    assert len(looked) == 660
