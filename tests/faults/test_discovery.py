"""A fleet that lists find: what breaks the search costs no set its polls, and removes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from exporter.simulator.description import ScaleSetDescription
from faults.world import FOUND, INSTANCES, OTHER_SUBSCRIPTION, REFRESH, UP, World, forbidden
from support.answers import SUBSCRIPTION
from support.assembled import OWN


async def served(world: World) -> set[str]:
    """The sets that are up."""
    return {
        state.target.scale_set.name
        for state in world.exporter.targets
        if await world.value(UP, scale_set=state.target.scale_set.name) == 1
    }


async def test_the_whole_fleet_is_found_and_polled_without_a_get_of_each(world: World) -> None:
    async with world.polling(settings=world.searching(mode="off")):
        assert await served(world) == FOUND
        assert await world.value(OWN + "targets", origin="discovered") == 4
        assert await world.value(INSTANCES, scale_set="web") == 50
        assert await world.values("azure_vmss_capacity") == [50, 3, 4, 2]
        await world.clock.advance(1800)
        calls = [request.operation for request in world.received]
        assert calls.count("scale_set") <= len(FOUND), "at most the first that came before the list"
        # One list of subscriptions and two of sets in each refresh.
        assert calls.count("subscriptions") == 7
        assert calls.count("scale_sets") == 14


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 403},
        {"kind": "status", "status": 500},
        {"kind": "throttled", "shape": "crp", "retry_after": "30"},
        {"kind": "html_200"},
        {"kind": "reset"},
    ],
    ids=lambda fault: str(fault.get("status", fault["kind"])),
)
@pytest.mark.parametrize("operation", ["subscriptions", "scale_sets"])
async def test_a_search_that_fails_costs_no_set_its_polls(
    world: World, operation: str, fault: dict[str, Any]
) -> None:
    async with world.polling(settings=world.searching(mode="off")):
        world.strike(operation=operation, **fault)
        await world.clock.advance(5 * REFRESH)
        assert await world.value(OWN + "discovery_up", block="0") == 0
        assert await world.total("discovery_failures_total") > 0
        assert await served(world) == FOUND
        for name in FOUND:
            assert await world.age(name) <= 95, name
        world.heal()
        await world.clock.advance(REFRESH)
        assert await world.value(OWN + "discovery_up", block="0") == 1


async def test_the_permission_lost_for_one_of_the_subscriptions_removes_nothing(
    world: World,
) -> None:
    async with world.polling(settings=world.searching(mode="off")):
        world.instead(forbidden, operation="scale_sets", subscription=OTHER_SUBSCRIPTION)
        world.fleet.remove_scale_set(world.find("small"))
        world.fleet.add_scale_set(ScaleSetDescription(name="new", resource_group="rg-web", size=1))
        await world.clock.advance(5 * REFRESH)
        names = {state.target.scale_set.name for state in world.exporter.targets}
        assert names == FOUND | {"new"}
        assert await world.value(UP, scale_set="new") == 1
        world.heal()
        await world.clock.advance(REFRESH)
        names = {state.target.scale_set.name for state in world.exporter.targets}
        assert names == FOUND - {"small"} | {"new"}, "its own polls have found nothing for long"


async def test_a_list_that_breaks_on_its_second_page_removes_nothing(world: World) -> None:
    world.add_sets(60, size=1)

    async def broken(request: web.Request) -> web.StreamResponse:
        if "skiptoken" in request.query_string.casefold():
            return web.json_response({"value": "none"})
        return await passing(request)

    async with world.polling(settings=world.searching(mode="off")):
        await world.clock.advance(REFRESH)
        assert len(world.exporter.targets) == 64
        passing = world.azure._answer
        world.instead(broken, operation="scale_sets", subscription=SUBSCRIPTION)
        await world.clock.advance(4 * REFRESH)
        assert len(world.exporter.targets) == 64
        assert await world.value(OWN + "discovery_up", block="0") == 0


async def test_sets_that_go_and_come_and_change_their_kind(world: World) -> None:
    async with world.polling(settings=world.searching(mode="off")):
        world.fleet.remove_scale_set(world.find("north"))
        flexible = ScaleSetDescription(
            name="web", resource_group="rg-web", size=7, orchestration="flexible"
        )
        world.fleet.add_scale_set(flexible)
        await world.clock.advance(4 * REFRESH)
        assert await served(world) == FOUND - {"north"}
        assert await world.value(INSTANCES, scale_set="web") == 7
        assert 'scale_set="north"' not in await world.page()
