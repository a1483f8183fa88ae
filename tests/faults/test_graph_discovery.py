"""A fleet that Resource Graph finds, which lags, lies, has no rows, no quota, or is not there."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.discovery.discovery import SearchStatus
from exporter.simulator.description import ScaleSetDescription
from faults.world import FOUND, INSTANCES, OTHER_SUBSCRIPTION, REFRESH, UP, World, forbidden
from support.assembled import OWN


def targets(world: World) -> set[str]:
    return {state.target.scale_set.name for state in world.exporter.targets}


def calls(world: World, *operations: str) -> int:
    return sum(request.operation in operations for request in world.received)


def status(world: World) -> SearchStatus:
    (found,) = world.exporter.discovery.status()
    return found


async def all_are_well(world: World) -> None:
    for name in FOUND:
        assert await world.value(UP, scale_set=name) == 1, name
        assert await world.age(name) <= 95, name


async def test_one_query_finds_the_fleet_and_its_models(world: World) -> None:
    async with world.polling(settings=world.searching()):
        assert targets(world) == FOUND
        assert await world.value(OWN + "discovery_up", block="0") == 1
        assert sorted(await world.values("azure_vmss_capacity")) == [2, 3, 4, 50]
        await world.clock.advance(6 * REFRESH)
        assert calls(world, "graph") == 7, "one a refresh"
        assert calls(world, "subscriptions", "scale_sets", "resource_groups", "scale_set") == 0
        assert await world.total("graph_queries_total", kind="scale_sets", result="success") == 7


async def test_what_it_finds_is_what_the_lists_find(world: World) -> None:
    async with world.polling(settings=world.searching()):
        by_graph = await world.served()
    other = world.searching(mode="off")
    async with world.polling(settings=other):
        assert await world.served() == by_graph
        assert calls(world, "scale_sets") > 0


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 403},
        {"kind": "status", "status": 500},
        {"kind": "throttled", "shape": "arm", "retry_after": "400"},
        {"kind": "html_200"},
        {"kind": "empty_body"},
        {"kind": "reset"},
    ],
    ids=lambda fault: str(fault.get("status", fault["kind"])),
)
async def test_where_it_fails_lists_find_what_comes_and_nothing_goes(
    world: World, fault: dict[str, Any]
) -> None:
    async with world.polling(settings=world.searching()):
        world.strike(operation="graph", **fault)
        world.fleet.add_scale_set(ScaleSetDescription(name="new", resource_group="rg", size=2))
        with capture_logs() as logs:
            await world.clock.advance(5 * REFRESH)
        assert targets(world) == FOUND | {"new"}
        assert await world.value(INSTANCES, scale_set="new") == 2
        assert await world.value(OWN + "discovery_up", block="0") == 1
        assert await world.total("graph_queries_total", result="failure") > 0
        events = [line["event"] for line in logs]
        assert events.count("resource graph not used") == 1
        search = status(world).search
        assert search is not None
        assert (search.way, search.because) == ("lists", "Resource Graph has failed")
        await all_are_well(world)
        world.heal()
        with capture_logs() as logs:
            await world.clock.advance(3 * REFRESH)
        assert "resource graph used again" in [line["event"] for line in logs]


async def test_without_a_single_row_nothing_goes(world: World) -> None:
    async with world.polling(settings=world.searching()):
        world.azure.graph.emptied = True
        await world.clock.advance(5 * REFRESH)
        assert targets(world) == FOUND
        assert await world.value(OWN + "discovery_up", block="0") == 1
        await all_are_well(world)


async def test_a_subscription_without_rows_is_listed_before_its_sets_are_missed(
    world: World,
) -> None:
    async with world.polling(settings=world.searching()):
        world.azure.graph.hidden.add(OTHER_SUBSCRIPTION)
        await world.clock.advance(4 * REFRESH)
        assert targets(world) == FOUND
        assert calls(world, "scale_sets") == 4, "only that subscription, each time"
        assert await world.value(OWN + "discovery_up", block="0") == 1
        await all_are_well(world)


async def test_the_permission_lost_for_one_subscription_is_told_and_takes_nothing_away(
    world: World,
) -> None:
    async with world.polling(settings=world.searching()):
        world.azure.graph.hidden.add(OTHER_SUBSCRIPTION)
        world.instead(forbidden, operation="scale_sets", subscription=OTHER_SUBSCRIPTION)
        await world.clock.advance(4 * REFRESH)
        assert targets(world) == FOUND
        assert await world.value(OWN + "discovery_up", block="0") == 0
        assert await world.total("discovery_failures_total", reason="permission") > 0
        await all_are_well(world)


async def test_a_late_index_neither_keeps_what_has_gone_nor_hides_what_is_there(
    world: World,
) -> None:
    world.azure.graph.description = world.azure.graph.description.model_copy(
        update={"lag": 20_000.0}
    )
    async with world.polling(settings=world.searching()):
        await world.clock.advance(60)
        world.fleet.remove_scale_set(world.find("north"))
        await world.clock.advance(8 * REFRESH)
        assert targets(world) == FOUND - {"north"}, "the polls and a list say so"
        assert await world.value(OWN + "discovery_up", block="0") == 1
        world.fleet.add_scale_set(ScaleSetDescription(name="new", resource_group="rg", size=2))
        await world.clock.advance(3900)
        assert targets(world) == FOUND - {"north"} | {"new"}, "lists search once in an hour"
        await world.clock.advance(8 * REFRESH)
        assert targets(world) == FOUND - {"north"} | {"new"}


async def test_the_quota_is_never_exceeded_whoever_else_uses_it(world: World) -> None:
    async with world.polling(settings=world.searching()):
        for _ in range(4):
            # Another program of the same client has used all of it.
            world.azure.limits.drain("graph_queries")
            await world.clock.advance(REFRESH)
        assert targets(world) == FOUND
        assert await world.value(OWN + "discovery_up", block="0") == 1
        assert await world.total("azure_requests_total", operation="query_graph", code="429") == 0
