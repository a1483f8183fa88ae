"""Azure asks to be left alone: nothing goes out before it allows, and nothing is lost meanwhile.

The set whose call met the 429 has `up` 0; the others, whose polls are put off, keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import get_args

import pytest
from aiohttp import web

from exporter.simulator.buckets import SUBSCRIPTION_HIGH_COST, Charge
from exporter.simulator.description import BucketDescription
from exporter.simulator.faults import Shape
from faults.world import INSTANCES, UP, World, differing
from support.answers import SUBSCRIPTION
from support.assembled import OWN

UNTIL = OWN + "azure_throttled_until_timestamp_seconds"
INTERVAL = "azure_vmss_poll_interval_seconds"
SHAPES: tuple[str, ...] = get_args(Shape)
WEST = ("web", "small")
SPREAD = 61.0
"""Seconds over which the sets of a bucket begin again: see RESUME_JITTER of the scheduler."""


async def until_throttled(world: World) -> float:
    """Wait for the first 429; the result is when it came."""
    before = await world.total("azure_requests_total", code="429")
    for _ in range(240):
        await world.clock.advance(0.5)
        if await world.total("azure_requests_total", code="429") > before:
            return world.clock.now()
    raise AssertionError("no call met the 429")


async def told_wait(world: World, moment: float) -> float:
    """The seconds that the page tells to wait for."""
    return max(await world.values(UNTIL)) - moment


async def waits(world: World, seconds: float, *, quiet: tuple[str, ...] = WEST) -> None:
    """Tell the story of one 429 that is in force now, and of the wait that it asks for.

    Before: all sets are up. During: no call about the sets of that bucket, whose polls are put off
    and whose data is served; the other buckets' sets are polled. After: all are up.
    """
    before = await world.served()
    moment = await until_throttled(world)
    world.heal()
    assert await told_wait(world, moment) == pytest.approx(seconds, abs=1.5)
    assert await world.reasons("web") == {"throttled"}
    assert await world.total("poll_failures_total", reason="throttled") == 1
    put_off = set(quiet) - {"web"}
    others = {"small", "north", "other"} - put_off
    await world.clock.advance(seconds - 2)
    assert world.calls_since(moment + 0.5, *quiet) == 0
    for name in put_off:
        assert await world.value(UP, scale_set=name) == 1, "put off is not failed"
    if seconds > SPREAD:
        for name in others:
            assert world.calls_since(moment + 0.5, name) > 0
            assert await world.age(name) <= SPREAD
    assert differing(before, await world.served()) == {}
    await world.recovers(2 + SPREAD + 60)
    assert world.calls_since(moment + seconds - 1, "web") > 0
    assert await world.total("azure_requests_total", code="429") == 1
    assert differing(before, await world.served()) == {}


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_shape_of_a_429_is_heeded_for_its_bucket(world: World, shape: str) -> None:
    of_arm = shape.startswith("arm")
    async with world.polling():
        world.strike(
            kind="throttled",
            shape=shape,
            retry_after="90",
            scale_set="web",
            operation="instances",
        )
        # The Resource Manager counts by subscription, Compute by subscription and region.
        await waits(world, 90.0, quiet=(*WEST, "north") if of_arm else WEST)


@pytest.mark.parametrize("page", [2, 5])
async def test_a_429_in_the_middle_of_a_walk(world: World, page: int) -> None:
    async with world.polling():
        world.strike(
            kind="throttled", retry_after="90", scale_set="web", operation="instances", page=page
        )
        await waits(world, 90.0)


@pytest.mark.parametrize("text", ["", "<html>Too many</html>", "{", "[]", "null", '{"error": 5}'])
async def test_a_429_with_a_body_that_says_nothing(world: World, text: str) -> None:
    kind = "text/html" if text.startswith("<") else "application/json"

    async def answer(_: web.Request) -> web.StreamResponse:
        headers = {"Retry-After": "90"}
        return web.Response(status=429, text=text, content_type=kind, headers=headers)

    async with world.polling():
        world.instead(answer, scale_set="web")
        await waits(world, 90.0)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("120", 120),
        (None, 60),
        ("soon", 60),
        ("-5", 60),
        ("", 60),
        ("1e9999", 60),
        ("9" * 30, 3600),
    ],
)
async def test_every_form_of_retry_after(world: World, given: str | None, seconds: float) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        headers = {} if given is None else {"Retry-After": given}
        return web.json_response({"error": {"code": "TooMany"}}, status=429, headers=headers)

    async with world.polling(keep_for="2h"):
        world.instead(answer, scale_set="web")
        await waits(world, seconds)


async def test_a_retry_after_with_a_date(world: World) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        date = formatdate(world.clock.now() + 90, usegmt=True)
        return web.Response(status=429, headers={"Retry-After": date})

    async with world.polling():
        world.instead(answer, scale_set="web")
        await waits(world, 90.0)


@pytest.mark.parametrize("given", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_a_wait_of_nothing_lets_the_next_beat_come(world: World, given: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": given})

    async with world.polling():
        before = await world.served()
        made = world.instead(answer, scale_set="web")
        await world.clock.advance(500)
        assert made.happened <= 3 * 9, "no faster than the schedule, retries included"
        assert await world.reasons("web") == {"throttled"}
        await world.others_are_well("web")
        assert differing(before, await world.served()) == {}
        world.heal()
        await world.recovers()


async def test_a_healthy_set_of_a_region_that_is_held_longer_than_data_are_kept(
    world: World,
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"error": {"code": "OperationNotAllowed"}}, status=429, headers={"Retry-After": "1800"}
        )

    async with world.polling():
        world.instead(answer, scale_set="web")
        await world.clock.advance(480)
        assert await world.reasons("web") == {"throttled"}
        assert await world.value(UP, scale_set="small") == 1, "it is only put off"
        assert await world.value(INSTANCES, scale_set="small") == 3
        assert await world.reasons("small") == set()
        is_up = True
        for _ in range(30):
            await world.clock.advance(10)
            is_up = await world.value(UP, scale_set="small") == 1
            assert is_up == (await world.value(INSTANCES, scale_set="small") is not None)
            assert is_up == (await world.reasons("small") == set())
        assert not is_up
        assert await world.reasons("small") == {"throttled"}
        assert await world.value(UP, scale_set="north") == 1, "another region"
        world.heal()
        await world.recovers(1800)


@contextmanager
def storm(world: World, shape: str) -> Iterator[None]:
    """Every call of every set is throttled."""
    world.strike(kind="throttled", shape=shape, retry_after="30")
    yield
    world.heal()


@pytest.mark.parametrize("shape", SHAPES)
async def test_half_an_hour_of_429s(world: World, shape: str) -> None:
    async with world.polling(keep_for="1h"):
        before = await world.served()
        with storm(world, shape):
            moment = world.clock.now()
            await world.clock.advance(1800)
            # Three buckets: two regions and another subscription. One call each 30 s, if that.
            assert world.calls_since(moment) <= 3 * 1800 / 30
            assert await world.total("azure_requests_total", code="429") == world.calls_since(
                moment
            )
            assert differing(before, await world.served()) == {}
        await world.recovers(900)
        assert differing(before, await world.served()) == {}


async def test_facts_that_are_throttled_hold_the_lists_back_too(world: World) -> None:
    async with world.polling():
        before = await world.served()
        world.strike(kind="throttled", retry_after="90", operation="scale_set", scale_set="web")
        for _ in range(10):
            await world.clock.advance(30)
            if await world.total("azure_requests_total", code="429"):
                break
        world.heal()
        assert await world.values(UP) == [1] * 4
        assert await world.total("poll_failures_total") == 0
        await world.recovers(60 + 90 + SPREAD)
        assert await world.total("azure_requests_total", code="429") == 1
        assert differing(before, await world.served()) == {}


class Neighbour:
    """Another client of the same subscription and region."""

    def __init__(self, world: World, *, each_minute: int) -> None:
        self._world = world
        self._part = each_minute // 4

    async def works(self, minutes: int) -> None:
        """Let it take its part, spread over every minute."""
        bucket = (SUBSCRIPTION, "westeurope")
        for _ in range(minutes * 4):
            charges = [Charge(SUBSCRIPTION_HIGH_COST, bucket, self._part)]
            self._world.azure.limits.spend(charges)
            await self._world.clock.advance(15)


async def test_a_neighbour_that_takes_four_fifths_of_the_quota(world: World) -> None:
    small = BucketDescription(capacity=120, refill=40)
    world.azure.limits.description.policies[SUBSCRIPTION_HIGH_COST] = small
    world.add_sets(8, size=2)
    neighbour = Neighbour(world, each_minute=32)

    async def intervals() -> list[float]:
        return await world.values(INTERVAL)

    async with world.polling(keep_for="1h"):
        await world.clock.advance(3000)
        before = await world.served()
        assert set(await intervals()) == {60}
        await neighbour.works(15)
        throttled = await world.total("azure_requests_total", code="429")
        await neighbour.works(25)
        assert await world.total("azure_requests_total", code="429") == throttled, (
            "a 429 in steady state"
        )
        assert max(await intervals()) > 60
        assert await world.values(UP) == [1] * 12
        assert max(await world.values(OWN + "budget_used_ratio")) <= 1.01
        assert differing(before, await world.served()) == {}
        await world.clock.advance(3000)
        assert set(await intervals()) == {60}
        await world.recovers(120)
