"""Sets whose region is not known yet share the budget of every region they may be in."""

import asyncio

import pytest
from multidict import CIMultiDict

from exporter.azure.operation import LIST_INSTANCES, Scope
from exporter.azure.ratelimit.budget import Budget
from exporter.model.scale_set import ScaleSetId
from exporter.telemetry import Telemetry
from support.azure_room import sample
from support.budget_caller import headers, whole_walk
from support.clock import FakeClock

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
PLACED = ScaleSetId(SUBSCRIPTION, "rg", "placed")
UNPLACED = ScaleSetId(SUBSCRIPTION, "rg", "unplaced")
POLICY = "Microsoft.Compute/HighCostGetVMScaleSetSubscriptionMaximum"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> Budget:
    telemetry = Telemetry(version="1", python_version="3")
    return Budget(clock=clock, telemetry=telemetry, share=0.5, burst=1e6)


async def spend(budget: Budget, requests: int, *, remaining: int) -> None:
    """Make requests in the known region; every answer says what remains there."""
    answer = CIMultiDict({"x-ms-ratelimit-remaining-resource": f"{POLICY};{remaining}"})
    for _ in range(requests):
        await whole_walk(budget, PLACED, "westeurope", answer)


async def goes_at_once(budget: Budget, clock: FakeClock) -> bool:
    turn = asyncio.create_task(budget.reserve(LIST_INSTANCES, Scope.of(UNPLACED, "")))
    await clock.settle()
    gone = turn.done()
    turn.cancel()
    await asyncio.wait({turn})
    return gone


async def test_a_busy_region_with_room_to_spare_does_not_starve_sets_of_unknown_region(
    budget: Budget, clock: FakeClock
) -> None:
    # A larger bucket than documented is believed slowly.
    for _ in range(15):
        await spend(budget, 1, remaining=100_000)
        await clock.advance(60)
    # Far more than a region may spend by the documented limits, and less than may be spent of it.
    await spend(budget, 300, remaining=100_000)
    assert await goes_at_once(budget, clock)


async def test_a_region_that_is_used_up_puts_off_sets_that_may_be_in_it(
    budget: Budget, clock: FakeClock
) -> None:
    await spend(budget, 180, remaining=1080)
    assert not await goes_at_once(budget, clock)
    await clock.advance(61)
    assert await goes_at_once(budget, clock)


async def test_what_sets_of_unknown_region_spent_is_missing_in_every_region(
    budget: Budget, clock: FakeClock
) -> None:
    await spend(budget, 100, remaining=1080)
    for _ in range(80):
        await whole_walk(budget, UNPLACED, "", headers(1))
    turn = asyncio.create_task(budget.reserve(LIST_INSTANCES, Scope.of(PLACED, "westeurope")))
    await clock.settle()
    assert not turn.done()
    await clock.advance(61)
    assert turn.done()


async def test_a_walk_that_began_before_its_region_was_known_goes_on_in_that_region(
    clock: FakeClock,
) -> None:
    telemetry = Telemetry(version="1", python_version="3", process=False)
    budget = Budget(clock=clock, telemetry=telemetry)
    for location in ("", "westeurope", "westeurope"):
        await whole_walk(budget, PLACED, location, headers(1))
    for location, charged in (("", 1), ("westeurope", 2)):
        labels = {"subscription_id": SUBSCRIPTION, "location": location}
        policy = "HighCostGetVMScaleSetSubscriptionMaximum"
        used = sample(telemetry, "budget_used_ratio", **labels, policy=policy)
        assert used == pytest.approx(charged / 180)
