"""The Resource Manager's own limit: requests of a subscription leave a few at a time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.azure.operation import GET_SCALE_SET, LIST_INSTANCES, Scope
from exporter.azure.ratelimit.budget import RESERVED_FOR
from exporter.azure.ratelimit.pacing import (
    BURST,
    CAPACITIES,
    FIRST_PER_OTHER,
    READS,
    READS_PAUSE,
    Pace,
    TokenBucket,
)
from support.answers import SUBSCRIPTION
from support.azure_room import sample
from support.budget_caller import Caller, a_set, headers, pass_time
from support.clock import FakeClock

FULL_RATE = 12.5
"""Half of the 25 reads that the Resource Manager's bucket refills in a second."""


@pytest.fixture
def paced(clock: FakeClock) -> Caller:
    return Caller(clock, burst=BURST)


def pace(clock: FakeClock, share: float = 0.5) -> Pace:
    return Pace(clock=clock, share=lambda: share, burst=BURST)


def most_within(caller: Caller, seconds: float) -> int:
    times = sorted(at for at, *_ in caller.sent)
    return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


async def pass_ticks(clock: FakeClock, seconds: float) -> None:
    for _ in range(round(seconds * 50)):
        await clock.advance(0.02)


async def test_many_regions_of_a_subscription_share_one_pace_without_a_burst(
    paced: Caller, clock: FakeClock
) -> None:
    for number in range(200):
        location = f"region{number % 7}"
        paced.start(paced.walk(a_set(number), 1, location=location, instances=1))
        paced.start(paced.get(a_set(number), location))
    await pass_ticks(clock, 30)
    assert most_within(paced, 0.001) <= BURST
    assert most_within(paced, 1.0) <= FULL_RATE + BURST
    assert len(paced.sent) >= 0.97 * FULL_RATE * 30
    await paced.stop()


async def test_pages_and_calls_without_a_turn_are_paced_too(
    paced: Caller, clock: FakeClock
) -> None:
    for number in range(20):
        paced.start(paced.walk(a_set(number), *[5] * 9, turn=False))
    await pass_ticks(clock, 10)
    assert most_within(paced, 0.001) <= BURST
    assert most_within(paced, 1.0) <= FULL_RATE + BURST
    assert len(paced.sent) >= 0.95 * FULL_RATE * 10
    await paced.stop()


async def test_another_subscription_has_a_pace_of_its_own(paced: Caller, clock: FakeClock) -> None:
    for number in range(20):
        paced.start(paced.walk(a_set(number), 1))
        paced.start(paced.walk(a_set(number, "another"), 1))
    await clock.settle()
    assert len(paced.sent) == 2 * BURST
    await paced.stop()


async def test_a_subscription_in_other_letters_shares_the_pace(
    paced: Caller, clock: FakeClock
) -> None:
    for number in range(20):
        paced.start(paced.walk(a_set(number, "another"), 1))
        paced.start(paced.walk(a_set(number, "ANOTHER"), 1))
    await clock.settle()
    assert len(paced.sent) == BURST
    await paced.stop()


async def test_lists_go_before_gets_and_gets_are_not_starved(
    paced: Caller, clock: FakeClock
) -> None:
    for number in range(100):
        paced.start(paced.get(a_set(number)))
    for number in range(100):
        paced.start(paced.walk(a_set(number), 1, instances=1))
    await pass_ticks(clock, 5)
    views = [charge for _, _, charge in paced.sent][int(BURST) :]
    lists = sum(views)
    assert lists / len(views) == pytest.approx(FIRST_PER_OTHER / (FIRST_PER_OTHER + 1), abs=0.06)
    await paced.stop()


async def test_gets_have_the_whole_pace_while_no_list_waits(
    paced: Caller, clock: FakeClock
) -> None:
    for number in range(100):
        paced.start(paced.get(a_set(number)))
    await pass_ticks(clock, 5)
    assert len(paced.sent) >= 0.95 * FULL_RATE * 5
    await paced.stop()


async def test_no_poll_begins_while_a_request_of_one_that_has_begun_waits(
    clock: FakeClock,
) -> None:
    kept = pace(clock)
    for _ in range(int(BURST)):
        await kept.send()
    sending = asyncio.create_task(kept.send())
    await clock.settle()
    turn = asyncio.create_task(kept.reserve(LIST_INSTANCES, 1.0))
    await clock.settle()
    assert not sending.done()
    assert not turn.done()
    await clock.advance(5)
    assert sending.done()
    assert turn.done()


async def test_what_is_left_of_the_bucket_slows_the_pace_and_its_level_brings_it_back(
    clock: FakeClock,
) -> None:
    kept = pace(clock)
    assert kept.per_second() == FULL_RATE
    kept.seen({READS: 75})
    assert kept.per_second() == pytest.approx(FULL_RATE / 2)
    kept.seen({READS: 0})
    assert 0 < kept.per_second() < FULL_RATE / 10
    kept.seen({READS: 249})
    await clock.advance(30)
    assert FULL_RATE / 3 < kept.per_second() < FULL_RATE
    await clock.advance(60)
    assert kept.per_second() == FULL_RATE


@pytest.mark.parametrize("name", sorted(CAPACITIES))
def test_every_limit_of_the_resource_manager_s_counts(clock: FakeClock, name: str) -> None:
    kept = pace(clock)
    kept.seen({name: 0})
    assert kept.per_second() < FULL_RATE


def test_a_limit_that_is_not_known_does_not_pace(clock: FakeClock) -> None:
    kept = pace(clock)
    kept.seen({"subscription-resource-requests": 0, "subscription-reads-of-the-moon": 0})
    assert kept.per_second() == FULL_RATE


async def test_the_hourly_limit_of_old_makes_the_pace_no_faster(clock: FakeClock) -> None:
    kept = pace(clock)
    for _ in range(120):
        kept.seen({READS: 11_999})
        await clock.advance(60)
    assert kept.per_second() == FULL_RATE


async def test_with_few_reads_left_all_pause_for_a_second(paced: Caller, clock: FakeClock) -> None:
    await paced.walk(a_set("first"), answer=headers(20, reads=3))
    paced.start(paced.walk(a_set("second"), turn=False))
    paced.start(paced.get(a_set("third")))
    await clock.settle()
    assert len(paced.sent) == 1
    await clock.advance(READS_PAUSE + 0.1)
    assert len(paced.sent) == 3
    await paced.stop()


async def test_a_429_of_the_resource_manager_halves_the_pace(
    paced: Caller, clock: FakeClock
) -> None:
    west = paced.budget.rates(SUBSCRIPTION, "west")
    paced.budget.throttled_by_resource_manager(Scope(SUBSCRIPTION.upper()))
    assert paced.budget.reads(SUBSCRIPTION) == FULL_RATE / 2
    assert paced.budget.rates(SUBSCRIPTION, "west") == west
    await clock.advance(60)
    assert paced.budget.reads(SUBSCRIPTION) == FULL_RATE


async def test_what_is_spent_of_it_is_on_the_metrics(paced: Caller, clock: FakeClock) -> None:
    for number in range(75):
        paced.start(paced.walk(a_set(number), 1, answer=headers(1, reads=200)))
    await pass_ticks(clock, 10)
    labels = {"subscription_id": SUBSCRIPTION, "location": "", "policy": READS}
    used = sample(paced.telemetry, "budget_used_ratio", **labels)
    assert used == pytest.approx(75 / (60 * FULL_RATE))


async def test_a_request_that_was_not_sent_is_given_back(paced: Caller, clock: FakeClock) -> None:
    for number in range(50):
        scope = Scope.of(a_set(number), "west")
        reservation = paced.budget.unreserved(GET_SCALE_SET, scope)
        async with paced.budget.request(reservation) as request:
            request.not_sent()
    assert clock.monotonic() == 1000.0, "nobody had to wait"


async def test_a_poll_that_gives_up_waiting_for_its_turn_holds_nothing(
    paced: Caller, clock: FakeClock
) -> None:
    for number in range(int(BURST)):
        await paced.budget.reserve(LIST_INSTANCES, Scope.of(a_set(number), "west"), instances=1)
    paced.start(
        paced.budget.reserve(LIST_INSTANCES, Scope.of(a_set("tired"), "west"), instances=4000)
    )
    await clock.settle()
    paced.tasks[-1].cancel()
    await clock.settle()
    paced.start(paced.walk(a_set("next"), 4000, instances=4000))
    await pass_time(clock, 3)
    assert [scale_set.name for _, scale_set, _ in paced.sent] == ["next"]
    await paced.stop()


async def test_what_waits_long_for_its_pace_keeps_its_part_of_compute_s_limits(
    paced: Caller, clock: FakeClock
) -> None:
    large, place = a_set("large"), "east"
    await paced.walk(large, 4900, location=place, instances=100)
    await pass_time(clock, 61)
    await paced.walk(a_set("first"), location="north", answer=headers(20, reads=0))
    for number in range(20):
        paced.start(paced.walk(a_set(number), location=f"north{number}", instances=1))
    await clock.settle()
    turn = asyncio.create_task(paced.budget.reserve(LIST_INSTANCES, Scope.of(large, place)))
    await pass_time(clock, 2 * RESERVED_FOR)
    assert not turn.done()
    # Whoever asks for the region lets go of what nobody has made use of.
    paced.start(paced.get(a_set("asked"), place))
    while not turn.done():
        await clock.advance(1)
    paced.start(paced.walk(a_set("next"), location=place, instances=100))
    await pass_time(clock, RESERVED_FOR - 2)
    assert "next" not in [scale_set.name for _, scale_set, _ in paced.sent]
    await paced.stop()


async def test_what_a_turn_reserved_and_the_walk_did_not_need_is_given_back(
    paced: Caller, clock: FakeClock
) -> None:
    """A set of 5,000 by its facts that turns out to have ten instances."""
    await paced.walk(a_set("small"), 10, instances=5000)
    paced.start(paced.walk(a_set("next"), 1, instances=1))
    await clock.advance(0.1)
    assert len(paced.sent) == 2
    await paced.stop()


@given(
    costs=st.lists(st.integers(min_value=1, max_value=30), min_size=1, max_size=60),
    rate=st.floats(min_value=0.1, max_value=50),
)
def test_a_token_bucket_never_gives_more_than_its_size_and_what_flows_back(
    costs: list[int], rate: float
) -> None:
    now, bucket, spent = 0.0, TokenBucket(BURST, 0.0), 0
    for cost in costs:
        now += bucket.wait(cost, rate, now)
        # What went before; this one may run it into debt.
        assert spent + min(cost, BURST) <= BURST + rate * now + 1e-6
        bucket.take(cost)
        spent += cost
