"""Turns on the event loop: one piece at a time, answers first, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import itertools

from exporter.runtime.turns import Turns


async def test_between_two_pieces_everybody_else_who_is_ready_comes() -> None:
    turns, order = Turns(), list[str]()

    async def pieces(name: str) -> None:
        for number in range(2):
            async with turns.piece():
                order.append(f"{name}{number}")

    async def other() -> None:
        for _ in range(8):
            order.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(pieces("a"), pieces("b"), other())
    found = [index for index, name in enumerate(order) if name != "other"]
    assert [order[index] for index in found] == ["a0", "b0", "a1", "b1"]
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(found))


async def test_a_piece_waits_for_the_end_of_an_answer() -> None:
    turns, order = Turns(), list[str]()

    async def piece() -> None:
        async with turns.piece():
            order.append("piece")

    with turns.answer():
        working = asyncio.create_task(piece())
        for _ in range(20):
            await asyncio.sleep(0)
        order.append("answered")
    await working
    assert order == ["answered", "piece"]


async def test_a_reader_that_never_ends_holds_no_piece_up() -> None:
    turns = Turns()
    with turns.answer():
        async with turns.piece():
            pass
        # Its precedence is over by now, or soon: no piece waits for it again.
        await asyncio.wait_for(turns._no_answers.wait(), timeout=5)
        async with asyncio.timeout(0.05), turns.piece():
            pass


async def test_of_two_answers_the_later_keeps_its_precedence() -> None:
    turns = Turns()
    with turns.answer():
        with turns.answer():
            pass
        assert not turns._no_answers.is_set()
    assert turns._no_answers.is_set()
