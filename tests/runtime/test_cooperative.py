"""CooperativeScheduler on the event loop: one chunk at a time, answers first, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

from exporter.runtime.cooperative import CooperativeScheduler


async def test_between_two_pieces_everybody_else_who_is_ready_comes() -> None:
    cooperative, order = CooperativeScheduler(), list[str]()

    async def chunks(name: str) -> None:
        for number in range(2):
            async with cooperative.chunk():
                order.append(f"{name}{number}")

    async def other() -> None:
        for _ in range(8):
            order.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(chunks("a"), chunks("b"), other())
    found = [index for index, name in enumerate(order) if name != "other"]
    assert [order[index] for index in found] == ["a0", "b0", "a1", "b1"]
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(found))


async def test_a_piece_waits_for_the_end_of_an_answer() -> None:
    cooperative, order = CooperativeScheduler(), list[str]()

    async def chunk() -> None:
        async with cooperative.chunk():
            order.append("chunk")

    with cooperative.answer():
        working = asyncio.create_task(chunk())
        for _ in range(20):
            await asyncio.sleep(0)
        order.append("answered")
    await working
    assert order == ["answered", "chunk"]


async def test_a_reader_that_never_ends_holds_no_piece_up() -> None:
    cooperative = CooperativeScheduler()
    with cooperative.answer():
        async with cooperative.chunk():
            pass
        # Its precedence is over by now, or soon: no chunk waits for it again.
        await asyncio.wait_for(cooperative._no_answers.wait(), timeout=5)
        async with asyncio.timeout(0.05), cooperative.chunk():
            pass


async def test_of_two_answers_the_later_keeps_its_precedence() -> None:
    cooperative = CooperativeScheduler()
    with cooperative.answer():
        with cooperative.answer():
            pass
        assert not cooperative._no_answers.is_set()
    assert cooperative._no_answers.is_set()


async def test_pieces_come_one_by_one_and_scrapes_go_before_each() -> None:
    cooperative = CooperativeScheduler()
    made: list[int] = []

    def making() -> Iterator[int]:
        for number in (1, 2):
            made.append(number)
            yield number

    pieces = making()
    with cooperative.answer():
        first = asyncio.create_task(cooperative.next(pieces))
        for _ in range(20):
            await asyncio.sleep(0)
        assert made == []
    assert await first == 1
    assert [await cooperative.next(pieces), await cooperative.next(pieces)] == [2, None]
