"""How polls share the slots: none that is slow holds up the others, and none waits for ever."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from exporter.polling.concurrency import PATIENCE, Slots
from support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


Work = Callable[[], Coroutine[Any, Any, object]]


async def run(slots: Slots, work: Work, *, slow: int) -> int:
    """Run work of a set whose last runs were slow, and tell how many are so now."""
    key = object()
    if slow:
        slots._slow[key] = slow
    await slots.run(key, work)
    return slots._slow.get(key, 0)


async def always_waiting(slots: Slots, clock: FakeClock, seconds: float) -> None:
    """A set that is due again as soon as its poll has ended."""
    while True:
        await run(slots, lambda: clock.sleep(seconds), slow=0)


async def crowd(slots: Slots, clock: FakeClock, size: int) -> list[asyncio.Task[None]]:
    """More sets than slots, all of which are always due, and poll for a second."""
    tasks = [asyncio.create_task(always_waiting(slots, clock, 1.0)) for _ in range(size)]
    await clock.settle()
    return tasks


async def end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_slow_set_whose_turn_it_is_gets_the_next_slot(clock: FakeClock) -> None:
    slots = Slots(4, clock=clock)
    tasks = await crowd(slots, clock, 400)
    begun = asyncio.Event()

    async def poll() -> None:
        begun.set()
        await clock.sleep(PATIENCE + 1)

    slow = asyncio.create_task(run(slots, poll, slow=1))
    await clock.advance(1.0)
    # In line behind the others it would have had its slot after a hundred seconds.
    assert begun.is_set()
    await clock.advance(PATIENCE + 1)
    assert slow.done()
    assert slow.result() == 2
    await end(*tasks)


async def test_slow_sets_leave_three_quarters_of_the_slots_to_the_others(clock: FakeClock) -> None:
    slots = Slots(4, clock=clock)
    hanging = [asyncio.create_task(run(slots, lambda: clock.sleep(1e6), slow=1)) for _ in range(8)]
    polled = 0

    async def poll() -> None:
        nonlocal polled
        await clock.sleep(1.0)
        polled += 1

    async def again_and_again() -> None:
        while True:
            await run(slots, poll, slow=0)

    healthy = [asyncio.create_task(again_and_again()) for _ in range(12)]
    await clock.settle()
    await clock.advance(10.0)
    assert polled == 30
    await end(*hanging, *healthy)


async def test_with_one_slot_slow_sets_take_turns_with_the_others(clock: FakeClock) -> None:
    slots = Slots(1, clock=clock)

    async def slow_for_ever() -> None:
        while True:
            await run(slots, lambda: clock.sleep(100.0), slow=1)

    hanging = [asyncio.create_task(slow_for_ever()) for _ in range(3)]
    await clock.settle()
    done = asyncio.Event()

    async def poll() -> None:
        done.set()

    healthy = asyncio.create_task(run(slots, poll, slow=0))
    await clock.advance(250.0)
    assert done.is_set()
    await end(*hanging, healthy)


# Exactly when a poll is cut, and what becomes of it


async def counted(slots: Slots, clock: FakeClock, seconds: float, *, slow: int = 0) -> list[int]:
    """How often a poll of that length is begun, and what its set is told in the end."""
    begun = 0

    async def poll() -> None:
        nonlocal begun
        begun += 1
        await clock.sleep(seconds)

    told = await run(slots, poll, slow=slow)
    return [begun, told]


async def test_a_poll_that_nobody_waits_behind_is_never_cut(clock: FakeClock) -> None:
    slots = Slots(1, clock=clock)
    first = asyncio.create_task(run(slots, lambda: clock.sleep(1.0), slow=0))
    await clock.settle()
    # It waits for the slot, and once it has it nobody waits any more.
    second = asyncio.create_task(counted(slots, clock, 100.0))
    await clock.advance(102.0)
    assert first.result() == 0
    assert second.result() == [1, 1], "slow, but begun once"


@pytest.mark.parametrize(
    ("seconds", "slow", "told"),
    [(PATIENCE, 0, 0), (PATIENCE + 1, 0, 1), (PATIENCE, 3, 0), (PATIENCE + 1, 3, 4)],
)
async def test_a_poll_is_slow_from_beyond_the_patience_on(
    clock: FakeClock, seconds: float, slow: int, told: int
) -> None:
    polling = asyncio.create_task(counted(Slots(4, clock=clock), clock, seconds, slow=slow))
    await clock.settle()
    await clock.advance(seconds)
    assert polling.result() == [1, told]


async def test_a_slow_poll_is_cut_once_somebody_waits_and_ends_before_its_slot_is_given_up(
    clock: FakeClock,
) -> None:
    slots = Slots(1, clock=clock)
    order: list[str] = []

    async def slow_poll() -> None:
        order.append("slow begins")
        try:
            await clock.sleep(60.0)
        finally:
            for _ in range(10):  # closing its connection, say
                await asyncio.sleep(0)
            order.append("slow ends")

    async def other() -> None:
        order.append("other")

    slow = asyncio.create_task(run(slots, slow_poll, slow=0))
    await clock.advance(PATIENCE - 1)
    waiting = asyncio.create_task(run(slots, other, slow=0))
    await clock.advance(0.5)
    assert order == ["slow begins"], "it has its time"
    await clock.advance(0.5)
    assert order == ["slow begins", "slow ends", "other", "slow begins"]
    await clock.advance(60.0)
    assert (slow.result(), waiting.result()) == (1, 0)


async def test_what_a_poll_raises_comes_out(clock: FakeClock) -> None:
    async def broken() -> None:
        raise LookupError

    slots = Slots(1, clock=clock)
    for slow in (0, 1):
        with pytest.raises(LookupError):
            await run(slots, broken, slow=slow)
    await asyncio.wait_for(run(slots, lambda: asyncio.sleep(0), slow=0), 5)


async def test_who_leaves_the_line_takes_no_slot_and_gives_none(clock: FakeClock) -> None:
    slots = Slots(1, clock=clock)
    running = most = 0

    async def poll() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await clock.sleep(1.0)
        running -= 1

    polls = [asyncio.create_task(run(slots, poll, slow=0)) for _ in range(5)]
    await clock.settle()
    await end(polls[1], polls[3])
    await clock.advance(3.0)
    assert most == 1
    assert [task.result() for task in polls if not task.cancelled()] == [0, 0, 0]


async def test_a_slot_given_to_one_who_is_leaving_goes_to_the_next(clock: FakeClock) -> None:
    slots = Slots(1, clock=clock)
    release = asyncio.Event()

    async def held() -> None:
        await release.wait()

    first = asyncio.create_task(run(slots, held, slow=1))
    await clock.settle()
    leaving = asyncio.create_task(run(slots, lambda: clock.sleep(1.0), slow=0))
    last = asyncio.create_task(counted(slots, clock, 0.0))
    await clock.settle()
    release.set()
    await asyncio.sleep(0)
    assert first.done()
    leaving.cancel()  # its turn has come, and it has not taken it yet
    await clock.advance(1.0)
    assert last.result() == [1, 0]
    await end(leaving)


async def test_sets_that_are_slow_for_the_first_time_go_before_those_that_hang(
    clock: FakeClock,
) -> None:
    slots = Slots(4, clock=clock)
    order: list[int] = []

    def poll(slow: int) -> Work:
        async def work() -> None:
            order.append(slow)
            await clock.sleep(10.0)

        return work

    tasks = [asyncio.create_task(run(slots, poll(slow), slow=slow)) for slow in (9, 5, 1, 2)]
    await clock.advance(50.0)
    assert order == [9, 1, 2, 5]
    assert [task.result() for task in tasks] == [10, 6, 2, 3]


async def test_a_slow_poll_goes_on_where_another_finds_a_free_slot(clock: FakeClock) -> None:
    slots = Slots(2, clock=clock)
    slow = asyncio.create_task(counted(slots, clock, 100.0))
    await clock.advance(50.0)
    other = asyncio.create_task(counted(slots, clock, 1.0))
    await clock.advance(50.0)
    assert (slow.result(), other.result()) == ([1, 1], [1, 0])


async def test_a_slow_poll_is_cut_as_long_as_anybody_still_waits(clock: FakeClock) -> None:
    slots = Slots(2, clock=clock)
    slow = asyncio.create_task(counted(slots, clock, 60.0))
    short = asyncio.create_task(counted(slots, clock, 3.0))
    await clock.settle()
    waiting = [asyncio.create_task(counted(slots, clock, 4.0)) for _ in range(2)]
    await clock.advance(3.0)
    assert short.done(), "one of those that wait has its slot now"
    await clock.advance(PATIENCE - 3.0 + 4.0)
    assert [task.result() for task in waiting] == [[1, 0], [1, 0]]
    await clock.advance(60.0)
    assert slow.result() == [2, 1]


@pytest.mark.parametrize(("concurrency", "at_a_time"), [(16, 4), (4, 1), (2, 1)])
async def test_of_the_slow_ones_as_many_run_at_a_time_again_and_again(
    clock: FakeClock, concurrency: int, at_a_time: int
) -> None:
    slots = Slots(concurrency, clock=clock)
    running = 0
    seen: list[int] = []

    async def poll() -> None:
        nonlocal running
        running += 1
        seen.append(running)
        await clock.sleep(10.0)
        running -= 1

    tasks = [asyncio.create_task(run(slots, poll, slow=1)) for _ in range(12)]
    await clock.advance(10.0 * 12)
    assert all(task.done() for task in tasks)
    assert max(seen) == at_a_time
    tasks = [asyncio.create_task(run(slots, poll, slow=0)) for _ in range(concurrency + 1)]
    await clock.settle()
    assert running == concurrency
    await end(*tasks)


async def test_with_one_slot_a_slow_set_waits_behind_all_that_were_there_before(
    clock: FakeClock,
) -> None:
    slots = Slots(1, clock=clock)
    hanging = [asyncio.create_task(counted(slots, clock, 100.0, slow=1)) for _ in range(3)]
    await clock.settle()
    others = [asyncio.create_task(counted(slots, clock, 1.0)) for _ in range(10)]
    await clock.advance(110.0)
    assert all(task.done() for task in others)
    await end(*hanging)
