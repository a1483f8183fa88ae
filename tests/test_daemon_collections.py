"""Garbage is collected while the poll loops run, never while thousands of them begin or end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from exporter import daemon
from exporter.daemon import collecting


@pytest.fixture(autouse=True)
def as_at_a_start() -> Iterator[None]:
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


async def test_collections_begin_with_the_last_beat_and_pass_over_what_stays() -> None:
    begun, searched = asyncio.Event(), asyncio.Event()
    with collecting(begun, searched, lambda: True):
        await asyncio.sleep(0)
        assert not gc.isenabled()
        begun.set()
        await asyncio.sleep(0)
        assert not gc.isenabled(), "sets are searched for"
        searched.set()
        for _ in range(3):
            await asyncio.sleep(0)
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0


async def test_beats_that_end_before_all_have_begun_turn_no_collection_on() -> None:
    begun = asyncio.Event()
    with collecting(begun, asyncio.Event(), lambda: True):
        await asyncio.sleep(0)
    begun.set()
    await asyncio.sleep(0)
    assert not gc.isenabled()


async def test_what_the_first_polls_leave_behind_takes_no_part_in_collections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daemon, "FREEZE_INTERVAL", 0.0)
    begun, searched, polled = asyncio.Event(), asyncio.Event(), asyncio.Event()
    begun.set()
    searched.set()
    with collecting(begun, searched, polled.is_set):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        before = gc.get_freeze_count()
        left = [[number] for number in range(1000)]
        for _ in range(3):
            await asyncio.sleep(0)
        frozen = gc.get_freeze_count()
        assert frozen >= before + len(left)
        polled.set()
        more = [[number] for number in range(1000)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert gc.get_freeze_count() < frozen + len(more)
