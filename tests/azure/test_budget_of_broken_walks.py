"""A walk that does not end says little of what the next one costs, and keeps nobody waiting."""

from __future__ import annotations

import asyncio

from exporter.azure.operation import LIST_INSTANCES, Scope
from exporter.azure.ratelimit.budget import LONG_WALK, Budget
from exporter.azure.ratelimit.usage import Cost
from exporter.model.scale_set import ScaleSetId
from exporter.telemetry import Telemetry
from support.answers import WEB
from support.budget_caller import headers, requests_of
from support.clock import FakeClock

OTHER = ScaleSetId(WEB.subscription_id, "rg-web", "other")
PLACE = "westeurope"
SHARE = 0.5
A_MINUTE = 180


async def walk(budget: Budget, pages: int, charge: int = 3, *, complete: bool = False) -> None:
    reservation = budget.unreserved(LIST_INSTANCES, Scope.of(WEB, PLACE))
    await requests_of(budget, reservation, *[headers(charge)] * pages)
    budget.close(reservation, complete=complete)


def new_budget(clock: FakeClock) -> Budget:
    telemetry = Telemetry(version="1", python_version="3", process=False)
    return Budget(clock=clock, telemetry=telemetry, share=SHARE, burst=1e6)


async def test_a_walk_without_end_costs_twice_as_much_at_most(clock: FakeClock) -> None:
    budget = new_budget(clock)
    await walk(budget, 2, charge=80, complete=True)
    assert budget.expected(WEB) == Cost(2, 160)
    await walk(budget, 50, charge=80)
    assert budget.expected(WEB) == Cost(4, 320)
    await walk(budget, 1)
    assert budget.expected(WEB) == Cost(4, 320), "one that was cut short costs no less"
    await walk(budget, 2, complete=True)
    assert budget.expected(WEB) == Cost(2, 6)


async def test_a_walk_without_end_takes_turns_with_the_other_sets(clock: FakeClock) -> None:
    budget = new_budget(clock)
    endless = asyncio.create_task(walk(budget, 10 * A_MINUTE))
    await clock.settle()
    turn = asyncio.create_task(
        budget.reserve(LIST_INSTANCES, Scope.of(OTHER, PLACE), instances=120)
    )
    await clock.settle()
    assert not turn.done(), "the minute's budget is spent"
    await clock.advance(61)
    assert turn.done()
    assert not endless.done()
    endless.cancel()
    await asyncio.wait({endless})
    assert LONG_WALK < A_MINUTE
