"""What goes out when: in turn, and never more than the share in any minute."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exporter.azure.operation import LIST_INSTANCES, Scope
from exporter.azure.ratelimit.budget import RESERVED_FOR, Budget
from exporter.azure.ratelimit.headers import LimitHeaders
from exporter.azure.ratelimit.limit import WINDOW
from exporter.azure.ratelimit.pacing import READS_PAUSE
from exporter.azure.ratelimit.usage import PAGE_INSTANCES
from exporter.model.scale_set import ScaleSetId
from exporter.telemetry import Telemetry
from support.budget_caller import (
    REQUESTS,
    VIEWS,
    WEB,
    WEST,
    Caller,
    a_set,
    headers,
    most_in_a_minute,
    pass_time,
)
from support.clock import FakeClock
from support.examples import examples

# Turns


async def test_turns_come_in_the_order_they_were_asked_for(
    caller: Caller, clock: FakeClock
) -> None:
    for number in range(500):
        caller.start(caller.walk(a_set(number), 1, instances=1))
    await pass_time(clock, 3 * WINDOW)
    assert [int(scale_set.name) for _, scale_set, _ in caller.sent] == list(range(500))


async def test_turns_that_hold_nothing_put_off_no_other(clock: FakeClock) -> None:
    telemetry = Telemetry(version="1", python_version="3", process=False)
    budget = Budget(clock=clock, telemetry=telemetry, share=0.01, burst=1e6)
    calls = [
        asyncio.create_task(
            budget.reserve(LIST_INSTANCES, Scope.of(a_set(number), WEST), in_advance=False)
        )
        for number in range(20)
    ]
    await clock.advance(1)
    assert all(call.done() for call in calls)
    await asyncio.gather(*calls)


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


async def test_turns_that_need_little_do_not_pass_a_walk_that_waits_for_much(
    caller: Caller, clock: FakeClock
) -> None:
    caller.start(caller.walk(a_set("large"), 100, 120, instances=100, takes=55))
    for number in range(49):
        caller.start(caller.walk(a_set(number), 100, instances=100))
        await pass_time(clock, 1)
    for number in range(20):
        caller.start(caller.walk(a_set(f"small {number}"), 10, instances=10))
    await pass_time(clock, 70)
    later = [scale_set.name for _, scale_set, _ in caller.sent[50:]]
    assert later[0] == "large"
    assert len(later) == 21


async def test_what_a_turn_holds_and_nobody_uses_goes_back(
    caller: Caller, clock: FakeClock
) -> None:
    await caller.budget.reserve(LIST_INSTANCES, Scope.of(WEB, WEST), instances=5000)
    caller.start(caller.walk(a_set("next"), 10, instances=10))
    await clock.advance(RESERVED_FOR - 1)
    assert caller.sent == []
    await clock.advance(2)
    assert len(caller.sent) == 1
    caller.start(caller.walk(turn=False))
    await clock.settle()
    assert len(caller.sent) == 2


async def test_a_poll_that_is_cancelled_gives_back_what_it_held(
    caller: Caller, clock: FakeClock
) -> None:
    reservation = await caller.budget.reserve(LIST_INSTANCES, Scope.of(WEB, WEST), instances=4000)
    caller.budget.close(reservation)
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
            scope = Scope.of(scale_set, location)
            reservation = caller.budget.unreserved(LIST_INSTANCES, scope)
            if turn:
                reservation = await caller.budget.reserve(
                    LIST_INSTANCES, scope, instances=len(charges) * PAGE_INSTANCES
                )
            for charge in charges:
                async with caller.budget.request(reservation) as request:
                    # Azure may count a call at any time from its sending to its answer.
                    await clock.sleep(takes if late else 0.0)
                    charged[location].append((clock.monotonic(), scale_set, charge))
                    await clock.sleep(0.0 if late else takes)
                    request.answered(
                        LimitHeaders.of(headers(charge, **{REQUESTS: 1080, VIEWS: 30_000})), 200
                    )
            caller.budget.close(reservation, complete=True)

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
            reservation = await caller.budget.reserve(
                LIST_INSTANCES, Scope.of(a_set(number), WEST), instances=1
            )
            async with caller.budget.request(reservation) as request:
                caller.sent.append((clock.monotonic(), a_set(number), 1))
                request.answered(LimitHeaders.of(headers(1, **{REQUESTS: level["now"]})), 200)
            caller.budget.close(reservation, complete=True)

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
