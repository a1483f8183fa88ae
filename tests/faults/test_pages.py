"""Lists in pages: a walk is complete or nothing, and follows no link away from Azure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from faults.world import INSTANCES, TOKEN, UP, World, differing

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
CAME, WENT = "azure_vmss_instance_creations_total", "azure_vmss_instance_deletions_total"


def machine(number: int) -> dict[str, Any]:
    """An instance that runs."""
    statuses = [{"code": "PowerState/running"}, {"code": "ProvisioningState/succeeded"}]
    return {
        "id": f"/x/{number}",
        "instanceId": str(number),
        "properties": {"instanceView": {"statuses": statuses}},
    }


def pages(*numbers: list[int], links: dict[int, Any] | None = None) -> Answer:
    """A list of these instances, page by page.

    Args:
        numbers: the instances of each page.
        links: what stands in nextLink in place of the right one, by the page's index. A number
            means the page of that index.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        at = int(request.query.get("$skiptoken", "0"))
        here = f"{request.scheme}://{request.host}{request.path}?api-version=2024-07-01&$skiptoken="
        document: dict[str, Any] = {"value": [machine(number) for number in numbers[at]]}
        if at + 1 < len(numbers):
            document["nextLink"] = f"{here}{at + 1}"
        if links and at in links:
            to = links[at]
            document["nextLink"] = f"{here}{to}" if type(to) is int else to
        return web.json_response(document)

    return answer


THREE = ([0, 1], [2, 3], [4])


@asynccontextmanager
async def told(world: World, before: Answer, fault: Answer) -> AsyncIterator[None]:
    """The set `small` is the first list, then the second for three minutes, then the first."""
    async with world.polling():
        world.instead(before, scale_set="small")
        await world.clock.advance(120)
        assert await world.value(UP, scale_set="small") == 1
        world.heal()
        world.instead(fault, scale_set="small")
        await world.clock.advance(180)
        yield
        await world.others_are_well("small")
        world.heal()
        world.instead(before, scale_set="small")
        await world.recovers()


async def breaks(world: World, fault: Answer, *, reason: str = "broken_answer") -> None:
    """Tell the story of a list that cannot be walked to its end."""
    async with told(world, pages(*THREE), fault):
        assert await world.value(UP, scale_set="small") == 0
        assert await world.reasons("small") == {reason}
        assert await world.total("poll_failures_total", reason=reason) >= 1
        assert await world.value(INSTANCES, scale_set="small") == 5
        assert await world.value(WENT, scale_set="small") == 0
    assert await world.value(INSTANCES, scale_set="small") == 5
    assert await world.value(CAME, scale_set="small") == 2, "3, 4 after the simulator's 0 to 2"


async def goes_well(world: World, fault: Answer) -> None:
    """Tell the story of a list that is odd and whole."""
    async with told(world, pages(*THREE), fault):
        assert await world.values(UP) == [1] * 4
        assert await world.value(INSTANCES, scale_set="small") == 5
        assert await world.total("polls_total", result="failure") == 0
        assert await world.total("poll_failures_total") == 0
    assert await world.value(INSTANCES, scale_set="small") == 5


async def test_what_was_seen_on_the_first_pages_of_a_failed_walk_is_not_served(
    world: World,
) -> None:
    async with world.polling():
        before = await world.served()
        scale_set = world.fleet.scale_set("web")
        for instance in list(scale_set.instances.values())[:15]:
            instance.power = "stopped"
        world.strike(kind="status", status=500, page=3, scale_set="web", operation="instances")
        await world.clock.advance(180)
        assert await world.reasons("web") == {"server_error"}
        assert differing(before, await world.served()) == {}
        world.heal()
        await world.recovers()
        stopped = {"scale_set": "web", "state": "stopped"}
        assert await world.value("azure_vmss_instances_by_power_state", **stopped) == 15


@pytest.mark.parametrize(
    "links",
    [{0: 0}, {1: 1}, {2: 0}, {2: 1}, {2: 2}],
    ids=["the first to itself", "itself", "the first", "the one before", "the last to itself"],
)
async def test_a_link_back_to_a_page_that_was_read(world: World, links: dict[int, int]) -> None:
    await breaks(world, pages(*THREE, links=links))


async def test_the_simulators_loops(world: World) -> None:
    for kind in ("next_link_loop", "next_link_repeat"):
        async with world.polling():
            world.strike(kind=kind, scale_set="web", operation="instances")
            await world.survives(reason="broken_answer", code="200")


@pytest.mark.parametrize("on_each_page", [0, 1])
async def test_links_that_never_end(world: World, on_each_page: int) -> None:
    async def more(request: web.Request) -> web.StreamResponse:
        at = int(request.query.get("$skiptoken", "0"))
        link = f"{request.scheme}://{request.host}{request.path}?$skiptoken={at + 1}"
        found = [machine(at)] * on_each_page
        return web.json_response({"value": found, "nextLink": link})

    async with world.polling(keep_for="1h"):
        before = await world.served()
        world.instead(more, scale_set="small")
        await world.clock.advance(400)
        assert await world.value(UP, scale_set="small") == 0
        assert await world.reasons("small") <= {"broken_answer", "timeout"}
        assert await world.total("poll_failures_total") >= 1
        assert differing(before, await world.served()) == {}
        await world.others_are_well("small")
        world.heal()
        await world.recovers()
        assert differing(before, await world.served()) == {}


@pytest.mark.parametrize("to", [5, 0, True, [], ["x"], {}, {"href": "x"}, 1.5])
async def test_a_link_that_is_no_text_is_never_the_last_page(world: World, to: Any) -> None:
    # A number would be taken for a page of ours here: give it as JSON has it.
    async def fault(_: web.Request) -> web.StreamResponse:
        return web.json_response({"value": [machine(0)], "nextLink": to})

    await breaks(world, fault)


@pytest.mark.parametrize("to", [None, ""])
async def test_a_link_that_is_null_or_empty_is_the_last_page(world: World, to: str | None) -> None:
    await goes_well(world, pages(*THREE, links={2: to}))


async def test_no_token_goes_where_a_link_leads_away_from_azure(world: World) -> None:
    heard: list[str] = []

    async def listen(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Authorization", "nothing"))
        return web.json_response({"value": []})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", listen)
    async with TestServer(application) as elsewhere:
        port, own = elsewhere.port, world.azure.url.rpartition(":")[2]
        away = [
            f"http://127.0.0.1:{port}/page",
            f"https://127.0.0.1:{port}/page",
            f"http://localhost:{port}/page",
            f"http://localhost:{own}/page",
            f"https://127.0.0.1:{own}/page",
            f"//127.0.0.1:{port}/page",
            f"http://127.0.0.1:{own}@127.0.0.1:{port}/page",
            f"http://user:password@127.0.0.1:{own}/page",
            f"http://127.0.0.1:{own}\\@127.0.0.1:{port}/page",
            f"http://127.0.0.1:{port}#@127.0.0.1:{own}/page",
            "/subscriptions/x",
            "file:///etc/passwd",
            "page 2",
            "http://",
            "http://127.0.0.1:port/",
            "http://[::1/",
            "\u0000",
            "x" * 100_000,
        ]
        async with world.polling(keep_for="2h"):
            before = await world.served()
            world.strike(kind="redirect", url=f"http://127.0.0.1:{port}/", scale_set="web", page=2)
            await world.clock.advance(61)
            assert await world.reasons("web") == {"broken_answer"}
            for link in away:
                world.heal()
                made = world.instead(pages([0], links={0: link}), scale_set="web")
                await world.clock.advance(61)
                assert made.happened, link
                assert await world.reasons("web") == {"broken_answer"}, link
            assert differing(before, await world.served()) == {}
            failures = await world.total("poll_failures_total", reason="broken_answer")
            assert failures >= 1 + len(away)
            for state in world.exporter.targets:
                assert TOKEN not in (state.data.poll.message or "")
            world.heal()
            await world.recovers()
            assert differing(before, await world.served()) == {}
    assert heard == []


async def test_a_link_as_azure_writes_it(world: World) -> None:
    async with world.polling():
        before = await world.served()
        for kind in ("next_link_unencoded", "next_link_empty"):
            world.strike(kind=kind, operation="instances")
        await world.clock.advance(180)
        assert await world.values(UP) == [1] * 4
        assert differing(before, await world.served()) == {}
        world.heal()
        await world.recovers()


@pytest.mark.parametrize(
    "numbers",
    [
        ([], [0, 1], [2, 3, 4]),
        ([0, 1], [], [], [2, 3, 4]),
        ([0, 1, 2, 3, 4], []),
        ([0], [1], [2], [3], [4]),
    ],
)
async def test_empty_pages_lose_nothing(world: World, numbers: tuple[list[int], ...]) -> None:
    await goes_well(world, pages(*numbers))


@pytest.mark.parametrize("numbers", [([4], [2, 3], [0, 1]), ([3, 1], [4, 0], [2])])
async def test_another_order_changes_nothing(world: World, numbers: tuple[list[int], ...]) -> None:
    async with world.polling():
        world.instead(pages(*THREE), scale_set="small")
        await world.clock.advance(120)
        before = await world.served()
        world.heal()
        world.instead(pages(*numbers), scale_set="small")
        await world.clock.advance(120)
        assert differing(before, await world.served()) == {}
        assert await world.total("mapping_errors_total") == 0


@pytest.mark.parametrize("numbers", [([0, 1, 2], [2, 3, 4]), ([0, 0], [0, 1, 2, 3, 4], [0])])
async def test_an_instance_on_two_pages_is_one(
    world: World, numbers: tuple[list[int], ...]
) -> None:
    await goes_well(world, pages(*numbers))
    assert await world.value(WENT, scale_set="small") == 0


async def test_an_empty_list_is_an_empty_set_once_azure_says_it_again(world: World) -> None:
    async with told(world, pages(*THREE), pages([])):
        assert await world.values(UP) == [1] * 4
        assert await world.value(INSTANCES, scale_set="small") == 0
        assert await world.total("polls_total", result="failure") == 1
        assert await world.total("poll_failures_total", reason="broken_answer") == 1
    assert await world.value(INSTANCES, scale_set="small") == 5
    assert await world.value(WENT, scale_set="small") == 5


async def test_a_link_that_azure_declines_once_starts_the_walk_anew(world: World) -> None:
    async with world.polling():
        before = await world.served()
        fault = world.strike(
            kind="skiptoken_refused", scale_set="web", operation="instances", page=3, times=1
        )
        await world.clock.advance(120)
        assert fault.happened == 1
        assert await world.values(UP) == [1] * 4
        assert await world.total("polls_total", result="failure") == 0
        assert await world.total("azure_requests_total", code="400") == 1
        assert differing(before, await world.served()) == {}


@pytest.mark.parametrize("page", [2, 5])
async def test_a_link_that_azure_always_declines(world: World, page: int) -> None:
    async with world.polling():
        world.strike(kind="skiptoken_refused", scale_set="web", operation="instances", page=page)
        await world.survives(reason="rejected", code="400", healing=900.0)


async def test_a_link_without_a_version_that_azure_misses(world: World) -> None:
    async def missing(_: web.Request) -> web.StreamResponse:
        error = {"code": "MissingApiVersionParameter", "message": "The api-version is required."}
        return web.json_response({"error": error}, status=400)

    async with world.polling():
        world.instead(missing, scale_set="web", page=2)
        await world.survives(reason="rejected", code="400", healing=900.0)
