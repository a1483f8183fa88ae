"""What may be spent: the share of Azure's limits, learned from its headers and refusals."""

from __future__ import annotations

import pytest

from exporter.azure.operation import LIST_INSTANCES, Scope
from exporter.azure.ratelimit.limit import LEAST, WINDOW
from support.answers import SUBSCRIPTION
from support.budget_caller import (
    GETS,
    OWN_BUCKET,
    REQUESTS,
    VIEWS,
    WEB,
    WEST,
    Caller,
    a_set,
    headers,
)
from support.clock import FakeClock

# What is believed before and after answers


async def test_before_any_answer_the_share_of_the_documented_refill_is_allowed(
    caller: Caller,
) -> None:
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert rates.requests * 60 == pytest.approx(0.5 * 360)
    assert rates.views * 60 == pytest.approx(0.5 * 10_000)


async def test_the_share_may_be_changed_at_any_time(caller: Caller) -> None:
    caller.budget.share = 1.0
    assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(360)
    caller.budget.share = 0.1
    assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(36)


@pytest.mark.parametrize("policy", [REQUESTS, "HighCostGetVMScaleSetNamedAnew", "aVMScaleSetLimit"])
async def test_requests_are_corrected_down_at_once_and_up_slowly_under_any_name(
    caller: Caller, clock: FakeClock, policy: str
) -> None:
    await caller.walk(answer=headers(20, **{policy: 0}))
    low = caller.budget.rates(SUBSCRIPTION, WEST)
    assert low.requests * 60 == pytest.approx(180 * LEAST)
    assert low.views * 60 == pytest.approx(5000)
    for _ in range(4):
        await clock.advance(60)
        await caller.walk(answer=headers(20, **{policy: 1080}))
    assert 0.2 * 180 < caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 < 0.5 * 180
    for _ in range(8):
        await clock.advance(60)
        await caller.walk(answer=headers(20, **{policy: 1080}))
    assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(180)


@pytest.mark.parametrize("policy", [VIEWS, "VMScaleSetVMViews3Min", "SomeVmViewsOfNextYear"])
async def test_views_are_distinguished_from_requests_by_the_name(
    caller: Caller, policy: str
) -> None:
    await caller.walk(answer=headers(20, **{policy: 0}))
    low = caller.budget.rates(SUBSCRIPTION, WEST)
    assert low.views * 60 == pytest.approx(5000 * LEAST)
    assert low.requests * 60 == pytest.approx(180)


async def test_a_set_s_own_bucket_says_nothing_about_the_region(caller: Caller) -> None:
    await caller.walk(answer=headers(20, **{OWN_BUCKET: 0}))
    assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(180)


async def test_gets_of_sets_are_another_limit_than_lists(caller: Caller) -> None:
    await caller.get(answer=headers(**{GETS: 0, VIEWS: 0}))
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert (rates.requests * 60, rates.views * 60) == pytest.approx((180, 5000))
    assert caller.used(GETS) == pytest.approx(1 / (400 * LEAST))


@pytest.mark.parametrize(
    "odd",
    [
        "",
        ";;,,",
        f"Microsoft.Compute/{REQUESTS}",
        f"Microsoft.Compute/{REQUESTS};-5",
        f"Microsoft.Compute/{REQUESTS};1e3",
        f"Microsoft.Compute/{REQUESTS};" + "9" * 400,
        f"Microsoft.Compute/{REQUESTS};nan",
        "Microsoft.Compute/a b c;0",
    ],
)
async def test_a_header_with_nonsense_changes_nothing(caller: Caller, odd: str) -> None:
    answer = headers(20)
    answer["x-ms-ratelimit-remaining-resource"] = odd
    answer["x-ms-ratelimit-remaining-subscription-reads"] = odd
    await caller.walk(answer=answer)
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert (rates.requests * 60, rates.views * 60) == pytest.approx((180, 5000))


async def test_a_header_with_far_too_much_allows_no_more(caller: Caller) -> None:
    await caller.walk(answer=headers(20, **{REQUESTS: 10**14, VIEWS: 10**14}))
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert (rates.requests * 60, rates.views * 60) == pytest.approx((180, 5000))


# 429


async def test_a_429_halves_what_may_be_spent_of_the_limit_it_names(caller: Caller) -> None:
    caller.budget.throttled(LIST_INSTANCES, Scope.of(WEB, WEST), REQUESTS)
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert (rates.requests * 60, rates.views * 60) == pytest.approx((90, 5000))
    caller.budget.throttled(LIST_INSTANCES, Scope.of(WEB, WEST), "VMViews3Min")
    assert caller.budget.rates(SUBSCRIPTION, WEST).views * 60 == pytest.approx(2500)


async def test_a_429_that_names_no_limit_halves_all(caller: Caller, clock: FakeClock) -> None:
    caller.budget.throttled(LIST_INSTANCES, Scope.of(WEB, WEST), "")
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert (rates.requests * 60, rates.views * 60) == pytest.approx((90, 2500))
    await clock.advance(600)
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert (rates.requests * 60, rates.views * 60) == pytest.approx((180, 5000))


async def test_a_429_of_one_set_s_own_bucket_takes_nothing_from_the_region(caller: Caller) -> None:
    caller.budget.throttled(LIST_INSTANCES, Scope.of(WEB, WEST), OWN_BUCKET)
    assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(180)


async def test_a_429_of_another_region_or_subscription_takes_nothing(caller: Caller) -> None:
    caller.budget.throttled(LIST_INSTANCES, Scope.of(WEB, "eastus"), REQUESTS)
    caller.budget.throttled(LIST_INSTANCES, Scope.of(a_set(subscription="other"), WEST), REQUESTS)
    assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(180)


# A bucket per subscription and region


async def test_every_subscription_and_region_has_a_budget_of_its_own(
    caller: Caller, clock: FakeClock
) -> None:
    for number in range(200):
        caller.start(caller.walk(a_set(number), 1, instances=1))
    await clock.settle()
    assert len(caller.sent) == 180
    caller.start(caller.walk(a_set("there"), 1, location="eastus"))
    caller.start(caller.walk(a_set("theirs", "another"), 1))
    await clock.settle()
    assert [scale_set.name for _, scale_set, _ in caller.sent[180:]] == ["there", "theirs"]


async def test_the_case_of_region_and_subscription_makes_no_second_budget(
    caller: Caller, clock: FakeClock
) -> None:
    for number in range(200):
        place, subscription = (WEST, "abc") if number % 2 else ("WestEurope", "ABC")
        caller.start(caller.walk(a_set(number, subscription), 1, location=place, instances=1))
    await clock.settle()
    assert len(caller.sent) == 180


async def test_sets_whose_region_is_not_known_are_counted_to_every_region(
    caller: Caller, clock: FakeClock
) -> None:
    for number in range(100):
        caller.start(caller.walk(a_set(f"unknown-{number}"), 1, location="", instances=1))
    await clock.settle()
    for number in range(100):
        caller.start(caller.walk(a_set(f"west-{number}"), 1, instances=1))
        caller.start(caller.walk(a_set(f"east-{number}"), 1, location="eastus", instances=1))
    await clock.settle()
    names = [scale_set.name.split("-")[0] for _, scale_set, _ in caller.sent]
    assert (names.count("unknown"), names.count("west"), names.count("east")) == (100, 80, 80)
    caller.start(caller.walk(a_set("unknown-more"), 1, location="", instances=1))
    await clock.advance(WINDOW - 1)
    assert len(caller.sent) == 260


# The gauge


async def test_the_ratio_is_what_was_charged_in_a_minute_of_what_may_be(
    caller: Caller, clock: FakeClock
) -> None:
    for number in range(90):
        await caller.walk(a_set(number), 25, instances=25)
    assert caller.used(REQUESTS) == pytest.approx(0.5)
    assert caller.used(VIEWS) == pytest.approx(0.45)
    await clock.advance(WINDOW)
    assert caller.used(REQUESTS) == caller.used(VIEWS) == 0.0


async def test_the_ratio_is_reported_for_the_names_that_azure_uses(caller: Caller) -> None:
    await caller.walk(answer=headers(20, HighCostGetVMScaleSet30Min=1000))
    allowed = 0.5 * 1080 / 30
    assert caller.used("HighCostGetVMScaleSet30Min") == pytest.approx(1 / allowed)


# Names that nobody knows


@pytest.mark.parametrize("odd", ["HighCostGetVMScaleSetOfNobody", "OddVMViews"])
async def test_what_one_set_s_answers_alone_tell_does_not_starve_the_others(
    caller: Caller, clock: FakeClock, odd: str
) -> None:
    """An endpoint that names a bogus policy with 5 left in the answers of one set of ninety."""
    for sweep in range(1, 4):
        for number in range(90):
            remaining = {odd: 5} if number == 7 else {REQUESTS: 1080, VIEWS: 30_000}
            caller.start(caller.walk(a_set(number), 1, answer=headers(1, **remaining)))
            await clock.advance(0.5)
        assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(180)
        assert caller.budget.rates(SUBSCRIPTION, WEST).views * 60 == pytest.approx(5000)
        assert len(caller.sent) == 90 * sweep


@pytest.mark.parametrize("odd", ["x", "Bogus", "Requests", "HighCostGetSubscriptionMaximum"])
async def test_a_name_that_is_none_of_scale_sets_limits_nothing(caller: Caller, odd: str) -> None:
    before = caller.budget.rates(SUBSCRIPTION, WEST)
    for _ in range(5):
        await caller.walk(answer=headers(20, **{odd: 5, REQUESTS: 1080, VIEWS: 30_000}))
    assert caller.budget.rates(SUBSCRIPTION, WEST) == before


async def test_a_limit_of_a_new_name_that_most_answers_tell_counts(
    caller: Caller, clock: FakeClock
) -> None:
    for number in range(30):
        remaining = {REQUESTS: 1080} if number % 3 == 2 else {"VMScaleSetReads2030": 50}
        await caller.walk(a_set(number), 1, turn=False, answer=headers(1, **remaining))
        await clock.advance(10)
    low = caller.budget.rates(SUBSCRIPTION, WEST).requests * 60
    assert low == pytest.approx(180 * LEAST, rel=0.1)
    for number in range(10):
        await clock.advance(10)
        await caller.walk(a_set(number), 1, turn=False, answer=headers(1, **{REQUESTS: 1080}))
    assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(180)


async def test_a_429_under_any_name_is_heeded(caller: Caller) -> None:
    caller.budget.throttled(LIST_INSTANCES, Scope.of(WEB, WEST), "x")
    assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(90)


async def test_people_are_told_what_is_used_of_each_limit_and_what_may_be(caller: Caller) -> None:
    assert list(caller.budget.quotas()) == []
    await caller.walk(WEB, 120, answer=headers(120, **{REQUESTS: 1079, VIEWS: 29_880}))
    told = {use.policy: use for use in caller.budget.quotas() if use.location == WEST and use.used}
    assert told.keys() == {REQUESTS, VIEWS}
    assert told[REQUESTS].subscription_id == SUBSCRIPTION
    assert told[REQUESTS].used == 1
    assert told[VIEWS].used == 120
    assert told[VIEWS].ratio == pytest.approx(caller.used(VIEWS))
    await caller.clock.advance(WINDOW + 1)
    assert not [use for use in caller.budget.quotas() if use.used]
