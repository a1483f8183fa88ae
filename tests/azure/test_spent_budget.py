"""What the exporter spends of Azure's limits, whatever it would like to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from exporter.azure.budget import GET_SCALE_SET, LIST_INSTANCES, Budget, Cost
from exporter.model.scale_set import ScaleSetId
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION
from support.azure_room import sample
from support.clock import FakeClock

PLACE = "westeurope"
REQUESTS = "HighCostGetVMScaleSetSubscriptionMaximum"
VIEWS = "VMScaleSetVMViewsSubscriptionMaximum"
A_MINUTE = 180


@pytest.fixture
def budget(clock: FakeClock, telemetry: Telemetry) -> Budget:
    return Budget(clock=clock, telemetry=telemetry, share=0.5)


def named(number: int, subscription: str = SUBSCRIPTION) -> ScaleSetId:
    return ScaleSetId(subscription, "rg", f"set{number}")


def headers(remaining: dict[str, int] | None = None, *, charge: int | str = 20) -> CIMultiDict[str]:
    found = CIMultiDict({"x-ms-request-charge": str(charge)})
    if remaining is not None:
        values = [f"Microsoft.Compute/{policy};{left}" for policy, left in remaining.items()]
        found["x-ms-ratelimit-remaining-resource"] = ",".join(values)
    return found


async def poll(
    budget: Budget,
    scale_set: ScaleSetId,
    *,
    location: str = PLACE,
    pages: int = 1,
    answer: CIMultiDict[str] | None = None,
) -> None:
    await budget.turn(LIST_INSTANCES, scale_set, location, instances=20)
    for _ in range(pages):
        async with budget.request(LIST_INSTANCES, scale_set, location) as spending:
            spending.answered(headers() if answer is None else answer, 200)
    budget.end_walk(scale_set, complete=True)


async def polled_at_once(budget: Budget, clock: FakeClock, sets: Iterable[ScaleSetId]) -> int:
    """How many of the sets are polled before any time passes."""
    tasks = [asyncio.create_task(poll(budget, scale_set)) for scale_set in sets]
    await clock.settle()
    done = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return done


async def test_a_fleet_is_polled_up_to_the_share_of_a_minutes_refill(
    budget: Budget, clock: FakeClock
) -> None:
    assert await polled_at_once(budget, clock, map(named, range(400))) == A_MINUTE
    await clock.advance(61.0)
    assert await polled_at_once(budget, clock, map(named, range(400))) == A_MINUTE


async def test_the_charge_that_azure_tells_is_what_counts(
    budget: Budget, telemetry: Telemetry
) -> None:
    await poll(budget, named(0), answer=headers(charge=1000))
    used = sample(
        telemetry, "budget_used_ratio", subscription_id=SUBSCRIPTION, location=PLACE, policy=VIEWS
    )
    assert used == pytest.approx(1000 / 5000)
    # As much is held for the next poll of that set.
    assert budget.expected(named(0)) == Cost(1, 1000)


@pytest.mark.parametrize("charge", ["", "-5", "1e9", "many", "99999999999", "1.5"])
async def test_a_charge_that_is_no_number_counts_as_a_request_only(
    budget: Budget, telemetry: Telemetry, charge: str
) -> None:
    await poll(budget, named(0), answer=headers(charge=charge))
    for policy, used in ((VIEWS, 0.0), (REQUESTS, 1 / A_MINUTE)):
        found = sample(
            telemetry,
            "budget_used_ratio",
            subscription_id=SUBSCRIPTION,
            location=PLACE,
            policy=policy,
        )
        assert found == pytest.approx(used)


async def test_every_subscription_and_region_has_a_budget_of_its_own_in_any_case(
    budget: Budget, clock: FakeClock
) -> None:
    await polled_at_once(budget, clock, map(named, range(400)))
    one = asyncio.create_task(poll(budget, named(1000), location="WestEurope"))
    other_place = asyncio.create_task(poll(budget, named(1001), location="eastus"))
    other = "11111111-0000-0000-0000-000000000000"
    other_subscription = asyncio.create_task(poll(budget, named(1002, other)))
    await clock.settle()
    assert other_place.done()
    assert other_subscription.done()
    assert not one.done()
    await clock.advance(61.0)
    assert one.done()


async def test_a_policy_of_any_name_is_learned_and_shown(
    budget: Budget, clock: FakeClock, telemetry: Telemetry
) -> None:
    await poll(budget, named(0), answer=headers({"SomethingNew3Min": 30}))
    assert sample(
        telemetry,
        "budget_used_ratio",
        subscription_id=SUBSCRIPTION,
        location=PLACE,
        policy="SomethingNew3Min",
    ) == pytest.approx(1 / 5)
    assert await polled_at_once(budget, clock, map(named, range(1, 40))) == 4


async def test_others_who_use_the_limit_up_make_us_yield(budget: Budget, clock: FakeClock) -> None:
    await poll(budget, named(0), answer=headers({REQUESTS: 1080}))
    assert budget.rates(SUBSCRIPTION, PLACE).requests == 3.0
    await poll(budget, named(1), answer=headers({REQUESTS: 324}))
    assert budget.rates(SUBSCRIPTION, PLACE).requests == pytest.approx(1.5)
    await poll(budget, named(2), answer=headers({REQUESTS: 1080}))
    await clock.advance(600.0)
    assert budget.rates(SUBSCRIPTION, PLACE).requests == 3.0


async def test_one_sets_own_limit_does_not_hold_the_others_back(budget: Budget) -> None:
    await poll(budget, named(0), answer=headers({"HighCostGetVMScaleSetResource": 0}))
    assert budget.rates(SUBSCRIPTION, PLACE).requests == 3.0


async def test_a_request_without_an_answer_counts_and_one_that_was_not_sent_does_not(
    budget: Budget, telemetry: Telemetry
) -> None:
    def used() -> float | None:
        return sample(
            telemetry,
            "budget_used_ratio",
            subscription_id=SUBSCRIPTION,
            location=PLACE,
            policy=REQUESTS,
        )

    async with budget.request(LIST_INSTANCES, named(0), PLACE) as spending:
        spending.not_sent()
    assert used() == 0.0
    with pytest.raises(OSError, match="reset"):
        async with budget.request(LIST_INSTANCES, named(0), PLACE):
            raise OSError("reset")
    assert used() == pytest.approx(1 / A_MINUTE)


async def test_what_is_held_and_not_used_comes_back(budget: Budget, clock: FakeClock) -> None:
    for number in range(A_MINUTE):
        await budget.turn(LIST_INSTANCES, named(number), PLACE, instances=20)
    assert await polled_at_once(budget, clock, [named(1000)]) == 0
    await clock.advance(11.0)
    assert await polled_at_once(budget, clock, [named(1000)]) == 1


async def test_turns_come_in_the_order_in_which_they_were_asked_for(
    budget: Budget, clock: FakeClock
) -> None:
    order: list[int] = []

    async def one(number: int) -> None:
        await poll(budget, named(number), answer=headers(charge=1000))
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(30)]
    await clock.advance(400.0)
    await asyncio.wait(tasks)
    assert order == list(range(30))


async def test_gets_of_the_sets_have_a_limit_of_their_own(budget: Budget, clock: FakeClock) -> None:
    await polled_at_once(budget, clock, map(named, range(400)))
    await asyncio.wait_for(budget.turn(GET_SCALE_SET, named(0), PLACE), timeout=1)


async def test_a_reload_with_another_share_counts_at_once(budget: Budget, clock: FakeClock) -> None:
    await polled_at_once(budget, clock, map(named, range(400)))
    budget.share = 1.0
    assert await polled_at_once(budget, clock, map(named, range(400))) == A_MINUTE


async def test_few_reads_left_by_the_resource_manager_are_waited_for(
    budget: Budget, clock: FakeClock
) -> None:
    answer = headers()
    answer["x-ms-ratelimit-remaining-subscription-reads"] = "3"
    await poll(budget, named(0), answer=answer)
    assert await polled_at_once(budget, clock, [named(1)]) == 0
    await clock.advance(1.0)
    assert await polled_at_once(budget, clock, [named(1)]) == 1


@settings(max_examples=30, deadline=None)
@given(
    share=st.floats(0.05, 1.0),
    sets=st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 120), st.floats(1, 90)), min_size=1, max_size=8
    ),
)
def test_in_any_minute_no_more_than_the_share_is_spent(
    share: float, sets: list[tuple[int, int, float]]
) -> None:
    asyncio.run(_spends_within(share, sets))


async def _spends_within(share: float, sets: list[tuple[int, int, float]]) -> None:
    clock = FakeClock()
    telemetry = Telemetry(version="1", python_version="3", process=False)
    budget = Budget(clock=clock, telemetry=telemetry, share=share)
    requests: deque[float] = deque()
    views: deque[tuple[float, int]] = deque()

    async def keep_polling(number: int, pages: int, charge: int, interval: float) -> None:
        while True:
            await budget.turn(LIST_INSTANCES, named(number), PLACE, instances=pages * charge)
            for _ in range(pages):
                async with budget.request(LIST_INSTANCES, named(number), PLACE) as spending:
                    requests.append(clock.monotonic())
                    views.append((clock.monotonic(), charge))
                    spending.answered(headers(charge=charge), 200)
            budget.end_walk(named(number), complete=True)
            await clock.sleep(interval)

    tasks = [asyncio.create_task(keep_polling(number, *one)) for number, one in enumerate(sets)]
    for _ in range(20):
        await clock.advance(9.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # One walk that is larger than the whole share goes alone, after a minute of rest.
    largest = max(pages for pages, _, _ in sets)
    for begin in set(requests):
        in_a_minute = sum(begin <= moment < begin + 60.0 for moment in requests)
        assert in_a_minute <= max(share * 360, largest)
        viewed = sum(charge for moment, charge in views if begin <= moment < begin + 60.0)
        assert viewed <= max(share * 10_000, largest * 120)
