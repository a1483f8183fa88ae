"""What goes out when: within the share of Azure's limits, learned from its headers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from exporter.azure.allowance import LEAST, WINDOW
from exporter.azure.budget import (
    GET_SCALE_SET,
    HOLD,
    LIST_INSTANCES,
    PAGE_INSTANCES,
    READS_PAUSE,
    Budget,
    Cost,
)
from exporter.model.scale_set import ScaleSetId
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION
from support.azure_room import sample
from support.clock import FakeClock
from support.examples import examples

REQUESTS = "HighCostGetVMScaleSetSubscriptionMaximum"
VIEWS = "VMScaleSetVMViewsSubscriptionMaximum"
GETS = "GetVMScaleSetSubscriptionMaximum"
OWN_BUCKET = "HighCostGetVMScaleSetResource"
WEST = "westeurope"


def a_set(name: object = "web", subscription: str = SUBSCRIPTION) -> ScaleSetId:
    return ScaleSetId(subscription, "rg", str(name))


WEB = a_set()


def headers(charge: object = None, reads: int | None = None, **remaining: int) -> CIMultiDict[str]:
    found: CIMultiDict[str] = CIMultiDict()
    if charge is not None:
        found["x-ms-request-charge"] = str(charge)
    if reads is not None:
        found["x-ms-ratelimit-remaining-subscription-reads"] = str(reads)
    told = (f"Microsoft.Compute/{name};{number}" for name, number in remaining.items())
    if remaining:
        found["x-ms-ratelimit-remaining-resource"] = ",".join(told)
    return found


class Caller:
    """Asks a budget as the scheduler and the client do, and notes when requests went out."""

    def __init__(self, clock: FakeClock, *, share: float = 0.5) -> None:
        self.clock = clock
        self.telemetry = Telemetry(version="1", python_version="3", process=False)
        self.budget = Budget(clock=clock, telemetry=self.telemetry, share=share)
        self.sent: list[tuple[float, ScaleSetId, int]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def walk(
        self,
        scale_set: ScaleSetId = WEB,
        *charges: int,
        location: str = WEST,
        turn: bool = True,
        instances: int | None = None,
        answer: CIMultiDict[str] | None = None,
        takes: float = 0.0,
        status: int = 200,
        complete: bool = True,
    ) -> None:
        budget = self.budget
        if turn:
            await budget.turn(LIST_INSTANCES, scale_set, location, instances=instances)
        for charge in charges or (20,):
            async with budget.request(LIST_INSTANCES, scale_set, location) as spending:
                self.sent.append((self.clock.monotonic(), scale_set, charge))
                await self.clock.sleep(takes)
                spending.answered(headers(charge) if answer is None else answer, status)
        budget.end_walk(scale_set, complete=complete)

    async def get(
        self,
        scale_set: ScaleSetId = WEB,
        location: str = WEST,
        answer: CIMultiDict[str] | None = None,
    ) -> None:
        await self.budget.turn(GET_SCALE_SET, scale_set, location)
        async with self.budget.request(GET_SCALE_SET, scale_set, location) as spending:
            self.sent.append((self.clock.monotonic(), scale_set, 0))
            spending.answered(answer or headers(), 200)

    def start(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self.tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with suppress(asyncio.CancelledError):
                await task

    def used(self, policy: str, location: str = WEST, subscription: str = SUBSCRIPTION) -> float:
        labels = {"subscription_id": subscription, "location": location, "policy": policy}
        found = sample(self.telemetry, "budget_used_ratio", **labels)
        assert found is not None
        return found


@pytest.fixture
async def caller(clock: FakeClock) -> AsyncIterator[Caller]:
    made = Caller(clock)
    yield made
    await made.stop()


async def pass_time(clock: FakeClock, seconds: float) -> None:
    """Let time pass in small steps, in which long chains of those who wait come to their end."""
    for _ in range(int(seconds)):
        await clock.advance(1)


def most_in_a_minute(sent: list[tuple[float, ScaleSetId, int]]) -> tuple[int, int]:
    """The most requests and views in any window of a minute."""
    requests = views = 0
    for begin, _, _ in sent:
        inside = [charge for at, _, charge in sent if begin <= at < begin + WINDOW]
        requests, views = max(requests, len(inside)), max(views, sum(inside))
    return requests, views


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


@pytest.mark.parametrize("policy", [REQUESTS, "HighCostGetVMScaleSetNamedAnew", "x"])
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
async def test_views_are_told_from_requests_by_the_name(caller: Caller, policy: str) -> None:
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
    caller.budget.throttled(LIST_INSTANCES, WEB, WEST, REQUESTS)
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert (rates.requests * 60, rates.views * 60) == pytest.approx((90, 5000))
    caller.budget.throttled(LIST_INSTANCES, WEB, WEST, "VMViews3Min")
    assert caller.budget.rates(SUBSCRIPTION, WEST).views * 60 == pytest.approx(2500)


async def test_a_429_that_names_no_limit_halves_all(caller: Caller, clock: FakeClock) -> None:
    caller.budget.throttled(LIST_INSTANCES, WEB, WEST, "")
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert (rates.requests * 60, rates.views * 60) == pytest.approx((90, 2500))
    await clock.advance(600)
    rates = caller.budget.rates(SUBSCRIPTION, WEST)
    assert (rates.requests * 60, rates.views * 60) == pytest.approx((180, 5000))


async def test_a_429_of_one_set_s_own_bucket_takes_nothing_from_the_region(caller: Caller) -> None:
    caller.budget.throttled(LIST_INSTANCES, WEB, WEST, OWN_BUCKET)
    assert caller.budget.rates(SUBSCRIPTION, WEST).requests * 60 == pytest.approx(180)


async def test_a_429_of_another_region_or_subscription_takes_nothing(caller: Caller) -> None:
    caller.budget.throttled(LIST_INSTANCES, WEB, "eastus", REQUESTS)
    caller.budget.throttled(LIST_INSTANCES, a_set(subscription="other"), WEST, REQUESTS)
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
    await caller.budget.turn(LIST_INSTANCES, WEB, WEST, instances=50)
    with pytest.raises(ConnectionError):
        async with caller.budget.request(LIST_INSTANCES, WEB, WEST):
            raise ConnectionError
    caller.budget.end_walk(WEB, complete=False)
    assert caller.used(REQUESTS) == pytest.approx(1 / 180)
    assert caller.used(VIEWS) == pytest.approx(50 / 5000)


async def test_a_request_that_was_not_sent_is_not_counted(caller: Caller) -> None:
    """Under a hold the client sends nothing."""
    await caller.budget.turn(LIST_INSTANCES, WEB, WEST, instances=50)
    async with caller.budget.request(LIST_INSTANCES, WEB, WEST) as spending:
        spending.not_sent()
    caller.budget.end_walk(WEB, complete=False)
    assert caller.used(REQUESTS) == caller.used(VIEWS) == 0.0
    for number in range(200):
        caller.start(caller.walk(a_set(number), 1, instances=1))
    await caller.clock.settle()
    assert len(caller.sent) == 180


# Turns


async def test_turns_come_in_the_order_they_were_asked_for(
    caller: Caller, clock: FakeClock
) -> None:
    for number in range(500):
        caller.start(caller.walk(a_set(number), 1, instances=1))
    await pass_time(clock, 3 * WINDOW)
    assert [int(scale_set.name) for _, scale_set, _ in caller.sent] == list(range(500))


async def test_a_large_set_is_not_passed_by_small_ones_for_ever(
    caller: Caller, clock: FakeClock
) -> None:
    for number in range(40):
        caller.start(caller.walk(a_set(number), 100, instances=100))
    caller.start(caller.walk(a_set("large"), *[120] * 20, instances=2400))
    for number in range(40, 80):
        caller.start(caller.walk(a_set(number), 100, instances=100))
    await clock.advance(2 * WINDOW + 1)
    order = [scale_set.name for _, scale_set, _ in caller.sent]
    assert order.index("large") == 40
    assert order.count("large") == 20


async def test_a_set_larger_than_a_minute_s_views_is_polled_all_the_same(
    caller: Caller, clock: FakeClock
) -> None:
    caller.start(caller.walk(WEB, *[120] * 60, instances=7200))
    await clock.advance(5 * WINDOW)
    assert len(caller.sent) == 60


async def test_a_walk_that_has_begun_goes_before_the_next_turn(
    caller: Caller, clock: FakeClock
) -> None:
    caller.start(caller.walk(a_set("grown"), *[120] * 30, instances=100, takes=0.1))
    for number in range(60):
        caller.start(caller.walk(a_set(number), 100, instances=100))
    await pass_time(clock, WINDOW - 1)
    assert [scale_set.name for _, scale_set, _ in caller.sent] == ["grown", *map(str, range(49))]
    await pass_time(clock, 10)
    names = [scale_set.name for _, scale_set, _ in caller.sent]
    assert names[50] == "grown"
    assert names.count("grown") == 30


async def test_what_a_turn_holds_and_nobody_uses_goes_back(
    caller: Caller, clock: FakeClock
) -> None:
    await caller.budget.turn(LIST_INSTANCES, WEB, WEST, instances=5000)
    caller.start(caller.walk(a_set("next"), 10, instances=10))
    await clock.advance(HOLD - 1)
    assert caller.sent == []
    await clock.advance(2)
    assert len(caller.sent) == 1
    caller.start(caller.walk(turn=False))
    await clock.settle()
    assert len(caller.sent) == 2


async def test_a_poll_that_is_cancelled_gives_back_what_it_held(
    caller: Caller, clock: FakeClock
) -> None:
    await caller.budget.turn(LIST_INSTANCES, WEB, WEST, instances=4000)
    caller.budget.end_walk(WEB, complete=False)
    caller.start(caller.walk(a_set("next"), 3000, instances=4000))
    await clock.settle()
    assert len(caller.sent) == 1


async def test_who_gives_up_waiting_for_a_turn_lets_the_next_one_pass(
    caller: Caller, clock: FakeClock
) -> None:
    await caller.walk(WEB, 4990, instances=4990)
    waiting = asyncio.create_task(caller.walk(a_set("large"), 1000, instances=1000))
    await clock.settle()
    caller.start(caller.walk(a_set("small"), 5, instances=5))
    await clock.settle()
    assert len(caller.sent) == 1
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    await clock.settle()
    assert len(caller.sent) == 2


async def test_the_resource_manager_s_own_limit_makes_the_subscription_pause(
    caller: Caller, clock: FakeClock
) -> None:
    await caller.walk(a_set("first"), answer=headers(20, reads=3))
    caller.start(caller.walk(a_set("second"), location="eastus"))
    caller.start(caller.walk(a_set("theirs", "another")))
    await clock.settle()
    assert [scale_set.name for _, scale_set, _ in caller.sent] == ["first", "theirs"]
    await clock.advance(READS_PAUSE + 0.1)
    assert caller.sent[-1][1].name == "second"


async def test_a_jump_of_the_wall_clock_changes_nothing(caller: Caller, clock: FakeClock) -> None:
    for number in range(400):
        caller.start(caller.walk(a_set(number), 1, instances=1))
    await clock.settle()
    clock.wall += 86_400
    await pass_time(clock, WINDOW - 1)
    assert len(caller.sent) == 180
    clock.wall -= 10 * 86_400
    await pass_time(clock, WINDOW - 1)
    assert len(caller.sent) == 360
    assert most_in_a_minute(caller.sent)[0] <= 180


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


async def test_the_ratio_is_told_for_the_names_that_azure_uses(caller: Caller) -> None:
    await caller.walk(answer=headers(20, HighCostGetVMScaleSet30Min=1000))
    allowed = 0.5 * 1080 / 30
    assert caller.used("HighCostGetVMScaleSet30Min") == pytest.approx(1 / allowed)


# Never more than the share

Step = tuple[float, list[int], float, bool, str]

walks = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=30),  # seconds until it is asked for
        st.lists(st.integers(min_value=0, max_value=PAGE_INSTANCES), min_size=1, max_size=12),
        st.floats(min_value=0, max_value=8),  # seconds that each answer takes
        st.booleans(),  # whether it has a turn, or waits request by request
        st.sampled_from([WEST, WEST, WEST, "eastus", ""]),
    ),
    min_size=1,
    max_size=80,
)


@given(walks, st.floats(min_value=0.15, max_value=0.5), st.booleans())
@settings(examples(30), phases=[Phase.explicit, Phase.generate])  # shrinking would take minutes
def test_in_no_minute_more_than_the_share_goes_out_whatever_is_asked_for(
    asked: list[Step],
    share: float,
    late: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    async def run() -> None:
        clock = FakeClock()
        caller = Caller(clock, share=share)
        charged: dict[str, list[tuple[float, ScaleSetId, int]]] = defaultdict(list)

        async def walk(number: int, step: Step) -> None:
            _, charges, takes, turn, location = step
            scale_set = a_set(number)
            if turn:
                await caller.budget.turn(
                    LIST_INSTANCES, scale_set, location, instances=len(charges) * PAGE_INSTANCES
                )
            for charge in charges:
                async with caller.budget.request(LIST_INSTANCES, scale_set, location) as spending:
                    # Azure may count a call at any time from its sending to its answer.
                    await clock.sleep(takes if late else 0.0)
                    charged[location].append((clock.monotonic(), scale_set, charge))
                    await clock.sleep(0.0 if late else takes)
                    spending.answered(headers(charge, **{REQUESTS: 1080, VIEWS: 30_000}), 200)
            caller.budget.end_walk(scale_set, complete=True)

        for number, step in enumerate(asked):
            await clock.advance(step[0])
            caller.start(walk(number, step))
        for _ in range(400):
            if all(task.done() for task in caller.tasks):
                break
            await clock.advance(30)
        assert all(task.done() for task in caller.tasks), "somebody waits for ever"
        await caller.stop()
        for place in (WEST, "eastus"):
            requests, views = most_in_a_minute([*charged[place], *charged[""]])
            assert requests <= 360 * share
            assert views <= 10_000 * share

    asyncio.run(run())


async def test_a_burst_does_not_touch_the_bucket_s_reserve(
    caller: Caller, clock: FakeClock
) -> None:
    for number in range(2500):
        caller.start(caller.walk(a_set(number), 20, instances=20))
    await clock.advance(5 * WINDOW)
    requests, views = most_in_a_minute(caller.sent)
    assert 170 <= requests <= 180
    assert views <= 5000


async def test_others_drain_the_bucket_and_we_yield_then_come_back(
    caller: Caller, clock: FakeClock
) -> None:
    level = {"now": 1080}

    async def ask() -> None:
        for number in range(10**6):
            await caller.budget.turn(LIST_INSTANCES, a_set(number), WEST, instances=1)
            async with caller.budget.request(LIST_INSTANCES, a_set(number), WEST) as spending:
                caller.sent.append((clock.monotonic(), a_set(number), 1))
                spending.answered(headers(1, **{REQUESTS: level["now"]}), 200)
            caller.budget.end_walk(a_set(number), complete=True)

    async def in_a_minute() -> int:
        before = len(caller.sent)
        await clock.advance(WINDOW)
        return len(caller.sent) - before

    caller.start(ask())
    assert await in_a_minute() in range(175, 361)
    level["now"] = 110
    await in_a_minute()
    assert await in_a_minute() in range(1, 20)
    level["now"] = 1080
    back = [await in_a_minute() for _ in range(14)]
    assert back[2] < 100
    assert back[-1] in range(170, 182)
