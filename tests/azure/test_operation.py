"""The table of all calls: each is charged to the limits that the simulated Azure charges it to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from exporter.azure.endpoints import Endpoints
from exporter.azure.operation import GET_SCALE_SET, LIST_INSTANCES, OPERATIONS, Operation
from exporter.azure.scale_sets import ScaleSetClient
from exporter.simulator import Fleet, SimulatedAzure
from exporter.simulator.buckets import DEFAULTS
from exporter.telemetry import Telemetry
from support.answers import WEB
from support.azure_room import NewClient, walk
from support.clock import FakeClock

FLEET = f"""\
subscription_id: {WEB.subscription_id}
scale_sets: [{{name: {WEB.name}, resource_group: {WEB.resource_group}, size: 2}}]
"""

CALLS: dict[Operation, Callable[[ScaleSetClient], Awaitable[object]]] = {
    LIST_INSTANCES: lambda client: walk(client, location="westeurope"),
    GET_SCALE_SET: lambda client: client.scale_set_model(WEB, location="westeurope"),
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
    charged = {sample.labels["policy"] for sample in remaining.samples if sample.labels["location"]}
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
