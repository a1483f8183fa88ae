"""What a call costs: what Azure tells, or what was held for it."""

from __future__ import annotations

import pytest

from exporter.azure.operation import LIST_INSTANCES, Scope
from exporter.azure.ratelimit.limit import WINDOW
from exporter.azure.ratelimit.usage import KEPT_FOR, Cost
from support.budget_caller import (
    REQUESTS,
    VIEWS,
    WEB,
    WEST,
    Caller,
    a_set,
    headers,
)
from support.clock import FakeClock

# What a call costs


async def test_the_cost_of_a_set_is_what_its_last_walk_was_charged(caller: Caller) -> None:
    assert caller.budget.expected(WEB) is None
    await caller.walk(WEB, 120, 120, 7)
    assert caller.budget.expected(WEB) == Cost(pages=3, views=247)
    await caller.walk(WEB, 5)
    assert caller.budget.expected(WEB) == Cost(pages=1, views=5)


async def test_a_walk_that_broke_off_does_not_make_a_set_look_cheap(caller: Caller) -> None:
    await caller.walk(WEB, 120, 120, 7)
    await caller.walk(WEB, 120, complete=False)
    assert caller.budget.expected(WEB) == Cost(pages=3, views=247)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_answer_that_failed_says_nothing_about_the_cost(
    caller: Caller, status: int
) -> None:
    await caller.walk(WEB, answer=headers(), status=status, complete=False, instances=50)
    assert caller.budget.expected(WEB) is None
    assert caller.used(REQUESTS) == pytest.approx(1 / 180)
    assert caller.used(VIEWS) == 0.0


async def test_a_charge_above_what_was_expected_is_made_up_for_before_the_next_call(
    caller: Caller, clock: FakeClock
) -> None:
    await caller.walk(WEB, 6000, instances=10)
    assert caller.used(VIEWS) == pytest.approx(1.2)
    caller.start(caller.walk(a_set("next"), 1, instances=1))
    await clock.advance(WINDOW - 1)
    assert len(caller.sent) == 1
    await clock.advance(1.1)
    assert len(caller.sent) == 2


async def test_a_charge_below_what_was_expected_gives_back_the_rest(
    caller: Caller, clock: FakeClock
) -> None:
    await caller.walk(WEB, 10, instances=5000)
    caller.start(caller.walk(a_set("next"), 4000, instances=4990))
    await clock.settle()
    assert len(caller.sent) == 2


async def test_an_empty_set_is_charged_no_views(caller: Caller) -> None:
    await caller.walk(WEB, answer=headers(**{REQUESTS: 1079}), instances=80)
    assert caller.used(VIEWS) == 0.0
    assert caller.budget.expected(WEB) == Cost(pages=1, views=0)


@pytest.mark.parametrize("charge", [None, "", "-3", "many", "1.5", "9" * 30, "٣"])
async def test_a_charge_that_nobody_knows_counts_as_what_was_expected(
    caller: Caller, charge: str | None
) -> None:
    answer = headers(charge) if charge is None else headers(charge, **{REQUESTS: 1079})
    await caller.walk(WEB, answer=answer, instances=80)
    assert caller.used(VIEWS) == pytest.approx(80 / 5000)
    assert caller.budget.expected(WEB) is None


async def test_charges_that_nobody_knows_never_make_a_set_look_larger(
    caller: Caller, clock: FakeClock
) -> None:
    await caller.walk(WEB, 20)
    for _ in range(20):
        await clock.advance(60)
        await caller.walk(WEB, answer=headers())
    assert caller.budget.expected(WEB) == Cost(pages=1, views=20)


async def test_a_request_without_an_answer_is_counted(caller: Caller) -> None:
    reservation = await caller.budget.reserve(LIST_INSTANCES, Scope.of(WEB, WEST), instances=50)
    with pytest.raises(ConnectionError):
        async with caller.budget.request(reservation):
            raise ConnectionError
    caller.budget.close(reservation)
    assert caller.used(REQUESTS) == pytest.approx(1 / 180)
    assert caller.used(VIEWS) == pytest.approx(50 / 5000)


async def test_a_request_that_was_not_sent_is_not_counted(caller: Caller) -> None:
    """Under a hold the client sends nothing."""
    reservation = await caller.budget.reserve(LIST_INSTANCES, Scope.of(WEB, WEST), instances=50)
    async with caller.budget.request(reservation) as request:
        request.not_sent()
    caller.budget.close(reservation)
    assert caller.used(REQUESTS) == caller.used(VIEWS) == 0.0
    for number in range(200):
        caller.start(caller.walk(a_set(number), 1, instances=1))
    await caller.clock.settle()
    assert len(caller.sent) == 180


# What is let go of


async def test_the_cost_of_a_set_that_goes_is_forgotten(caller: Caller) -> None:
    await caller.walk(WEB, 120, 7)
    caller.budget.forget(WEB)
    assert caller.budget.expected(WEB) is None
    caller.budget.forget(WEB)


async def test_limits_that_nothing_was_asked_of_for_an_hour_are_forgotten(
    caller: Caller, clock: FakeClock
) -> None:
    budget = caller.budget
    await caller.walk(WEB, 120)
    budget.unreserved(LIST_INSTANCES, Scope.of(WEB, ""))
    other = a_set("other", "another")
    await budget.reserve(LIST_INSTANCES, Scope.of(other, "north"))
    await clock.advance(KEPT_FOR - 1)
    budget.rates(WEB.subscription_id, WEST)
    assert len(budget._regions) == 4
    await clock.advance(2)
    budget.rates(WEB.subscription_id, WEST)
    # The one of sets whose region is not known lasts as long as the subscription's others.
    assert {location for _, location in budget._regions} == {"", WEST}
    assert set(budget._paces) == {WEB.subscription_id}
    await clock.advance(KEPT_FOR + 1)
    budget.rates(WEB.subscription_id, "south")
    unplaced = budget._regions[WEB.subscription_id, ""]
    assert {location for _, location in budget._regions} == {"", "south"}
    assert all(len(limit.candidates) == 1 for limit in unplaced.all_limits)
