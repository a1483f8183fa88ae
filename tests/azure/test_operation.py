"""The table of all calls: each is charged to the limits that the simulated Azure charges it to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from exporter.azure.endpoints import Endpoints
from exporter.azure.lists import Lists
from exporter.azure.operation import (
    GET_ROLLING_UPGRADE,
    GET_SCALE_SET,
    GET_SERVICES,
    GET_STANDBY_POOL,
    GET_VIRTUAL_MACHINE,
    LIST_AUTOSCALE,
    LIST_INSTANCES,
    LIST_LIFECYCLE_HOOKS,
    LIST_RESOURCE_GROUPS,
    LIST_SCALE_SETS,
    LIST_STANDBY_POOLS,
    LIST_SUBSCRIPTIONS,
    LIST_VIRTUAL_MACHINES,
    OPERATIONS,
    QUERY_GRAPH,
    Operation,
)
from exporter.azure.resource_graph import ResourceGraph
from exporter.azure.scale_sets import ScaleSetClient
from exporter.azure.set_details import SetDetailsClient
from exporter.model.instance_view import InstancePage
from exporter.simulator import Fleet, SimulatedAzure
from exporter.simulator.buckets import DEFAULTS
from exporter.telemetry import Telemetry
from support.answers import WEB
from support.azure_room import NewClient, walk
from support.clock import FakeClock

FLEET = f"""\
subscription_id: {WEB.subscription_id}
scale_sets:
  - {{name: {WEB.name}, resource_group: {WEB.resource_group}, size: 2, standby: 1, rolling_upgrade: Completed}}
  - {{name: flexible, resource_group: {WEB.resource_group}, size: 120, orchestration: flexible}}
"""


async def machines(client: ScaleSetClient) -> list[str | None]:
    """The names of the machines of the Flexible set."""
    flexible = replace(WEB, name="flexible")
    async with aclosing(client.virtual_machine_pages(flexible, location="westeurope")) as pages:
        return [
            found.instance_id
            async for page in pages
            if isinstance(page, InstancePage)
            for found in page.instances
        ]


async def one_machine(client: ScaleSetClient) -> str | None:
    """The id of a machine of the Flexible set, whose name is the same in each fleet."""
    name = next(iter(Fleet.from_yaml(FLEET).scale_set("flexible").instances))
    flexible = replace(WEB, name="flexible")
    found = await client.virtual_machine(flexible, name, location="westeurope")
    return found.properties.vm_id if found and found.properties else None


def lists_of(client: ScaleSetClient) -> Lists:
    """The lists over the same transport."""
    return Lists(client._transport, api_version="2024-07-01", deadline=30.0)


async def sets_of_group(lists: Lists) -> list[str]:
    """The names of the sets of a resource group."""
    async with aclosing(lists.scale_sets(WEB.subscription_id, WEB.resource_group)) as pages:
        return [found.scale_set.name async for page in pages for found in page.found]


def details_of(client: ScaleSetClient) -> SetDetailsClient:
    """The calls about details over the same transport."""
    return SetDetailsClient(client._transport, api_version="2024-07-01", deadline=30.0)


async def sets_of_graph(client: ScaleSetClient) -> list[str]:
    """The names of the sets that Resource Graph finds."""
    telemetry = Telemetry(version="1", python_version="3", process=False)
    graph = ResourceGraph(client._transport, telemetry=telemetry, deadline=30.0)
    async with aclosing(graph.scale_sets()) as pages:
        return [found.scale_set.name async for page in pages for found in page.found]


CALLS: dict[Operation, Callable[[ScaleSetClient], Awaitable[object]]] = {
    LIST_INSTANCES: lambda client: walk(client, location="westeurope"),
    LIST_VIRTUAL_MACHINES: machines,
    GET_VIRTUAL_MACHINE: one_machine,
    GET_SCALE_SET: lambda client: client.scale_set_model(WEB, location="westeurope"),
    LIST_SCALE_SETS: lambda client: sets_of_group(lists_of(client)),
    LIST_SUBSCRIPTIONS: lambda client: lists_of(client).subscriptions(),
    LIST_RESOURCE_GROUPS: lambda client: lists_of(client).resource_groups(WEB.subscription_id),
    QUERY_GRAPH: sets_of_graph,
    GET_SERVICES: lambda client: details_of(client).services(WEB, "westeurope"),
    GET_ROLLING_UPGRADE: lambda client: details_of(client).rolling_upgrade(WEB, "westeurope"),
    LIST_LIFECYCLE_HOOKS: lambda client: details_of(client).lifecycle_hooks(WEB, "westeurope"),
    LIST_STANDBY_POOLS: lambda client: details_of(client).standby_pools(
        WEB.subscription_id, lambda _: False
    ),
    GET_STANDBY_POOL: lambda client: details_of(client).standby_pools(
        WEB.subscription_id, lambda _: True
    ),
    LIST_AUTOSCALE: lambda client: details_of(client).autoscale(WEB.subscription_id),
}


def test_every_call_is_in_the_table_and_tried_here() -> None:
    assert set(CALLS) == set(OPERATIONS)
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_a_call_is_charged_to_the_limits_that_its_answer_names(
    operation: Operation, new_client: NewClient, telemetry: Telemetry, clock: FakeClock
) -> None:
    azure = SimulatedAzure(Fleet.from_yaml(FLEET), token="token-1", clock=clock)
    await azure.start()
    client = new_client(Endpoints(resource_manager=azure.url, scope=f"{azure.url}/.default"))
    await CALLS[operation](client)
    await azure.close()
    (remaining,) = (
        family
        for family in telemetry.registry.collect()
        if family.name.endswith("ratelimit_remaining")
    )
    charged = {
        sample.labels["policy"]
        for sample in remaining.samples
        # Those of the Resource Manager are no part of it.
        if sample.labels["policy"].endswith(("Maximum", "Resource"))
    }
    # The bucket of the one scale set is not planned with: its interval keeps within that.
    named = {policy for policy in charged if not policy.endswith("Resource")}
    assert named == {limit.policy for limit in operation.limits}


@pytest.mark.parametrize(
    "limit", sorted({limit for operation in OPERATIONS for limit in operation.limits})
)
def test_a_limit_holds_what_the_simulated_azure_s_bucket_holds(limit: tuple[str, int]) -> None:
    policy, capacity = limit
    bucket = DEFAULTS[policy]
    assert (bucket.capacity, 3 * bucket.refill) == (capacity, capacity)


async def test_the_machines_of_a_flexible_set_come_on_pages_by_links_that_are_not_encoded(
    new_client: NewClient, clock: FakeClock
) -> None:
    azure = SimulatedAzure(Fleet.from_yaml(FLEET), token="token-1", clock=clock)
    await azure.start()
    client = new_client(Endpoints(resource_manager=azure.url, scope=f"{azure.url}/.default"))
    names = await machines(client)
    await azure.close()
    assert len(set(names)) == len(names) == 120
    assert [request.operation for request in azure.requests] == ["virtual_machines"] * 3
