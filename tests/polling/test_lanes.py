"""How polls share the slots: none that is slow holds up the others, and none waits for ever."""

import asyncio
from typing import Any

import pytest

from exporter.polling.lanes import PATIENCE, Lanes
from support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def always_waiting(lanes: Lanes, clock: FakeClock, seconds: float) -> None:
    """A set that is due again as soon as its poll has ended."""
    while True:
        await lanes.run(lambda: clock.sleep(seconds), slow=0)


async def crowd(lanes: Lanes, clock: FakeClock, size: int) -> list[asyncio.Task[None]]:
    """More sets than slots, all of which are always due, and poll for a second."""
    tasks = [asyncio.create_task(always_waiting(lanes, clock, 1.0)) for _ in range(size)]
    await clock.settle()
    return tasks


async def end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_slow_set_whose_turn_it_is_gets_the_next_slot(clock: FakeClock) -> None:
    lanes = Lanes(4, clock=clock)
    tasks = await crowd(lanes, clock, 400)
    begun = asyncio.Event()

    async def poll() -> None:
        begun.set()
        await clock.sleep(PATIENCE + 1)

    slow = asyncio.create_task(lanes.run(poll, slow=1))
    await clock.advance(1.0)
    # In line behind the others it would have had its slot after a hundred seconds.
    assert begun.is_set()
    await clock.advance(PATIENCE + 1)
    assert slow.done()
    assert slow.result() == 2
    await end(*tasks)


async def test_slow_sets_leave_three_quarters_of_the_slots_to_the_others(clock: FakeClock) -> None:
    lanes = Lanes(4, clock=clock)
    hanging = [asyncio.create_task(lanes.run(lambda: clock.sleep(1e6), slow=1)) for _ in range(8)]
    polled = 0

    async def poll() -> None:
        nonlocal polled
        await clock.sleep(1.0)
        polled += 1

    async def again_and_again() -> None:
        while True:
            await lanes.run(poll, slow=0)

    healthy = [asyncio.create_task(again_and_again()) for _ in range(12)]
    await clock.settle()
    await clock.advance(10.0)
    assert polled == 30
    await end(*hanging, *healthy)


async def test_with_one_slot_slow_sets_take_turns_with_the_others(clock: FakeClock) -> None:
    lanes = Lanes(1, clock=clock)

    async def slow_for_ever() -> None:
        while True:
            await lanes.run(lambda: clock.sleep(100.0), slow=1)

    hanging = [asyncio.create_task(slow_for_ever()) for _ in range(3)]
    await clock.settle()
    done = asyncio.Event()

    async def poll() -> None:
        done.set()

    healthy = asyncio.create_task(lanes.run(poll, slow=0))
    await clock.advance(250.0)
    assert done.is_set()
    await end(*hanging, healthy)
