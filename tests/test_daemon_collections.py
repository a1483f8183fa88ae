"""Garbage is collected while the poll loops run, never while thousands of them begin or end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from exporter.daemon import collecting


@pytest.fixture(autouse=True)
def as_at_a_start() -> Iterator[None]:
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


async def test_collections_begin_with_the_last_beat_and_pass_over_what_stays() -> None:
    begun, searched = asyncio.Event(), asyncio.Event()
    with collecting(begun, searched):
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
    with collecting(begun, asyncio.Event()):
        await asyncio.sleep(0)
    begun.set()
    await asyncio.sleep(0)
    assert not gc.isenabled()
