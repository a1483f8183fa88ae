"""Machines that come and go in ways that are neither a creation nor a deletion nor a failure."""

from __future__ import annotations

import pytest

from exporter.model.scale_set import ScaleSetId
from exporter.polling.listing import ATTACHED_AGE, MOST_ASKED
from exporter.simulator import stories
from exporter.simulator.description import ScaleSetDescription
from exporter.simulator.scale_set import SimulatedScaleSet
from faults.world import INSTANCES, UP, World
from support.answers import SUBSCRIPTION

CREATIONS, DELETIONS = (f"azure_vmss_instance_{kind}_total" for kind in ("creations", "deletions"))
FAILURES = "azure_vmss_provisioning_failures_total"


@pytest.fixture
def flexible(world: World) -> SimulatedScaleSet:
    identity = ScaleSetId(SUBSCRIPTION, "rg-web", "flexible")
    world.fleet.add_scale_set(
        ScaleSetDescription(
            name="flexible", resource_group="rg-web", size=12, orchestration="flexible"
        )
    )
    found = world.fleet.find(identity)
    assert found is not None
    return found


def looked_for(world: World) -> int:
    return sum(request.operation == "virtual_machine" for request in world.received)


async def counted(world: World) -> tuple[float | None, ...]:
    """Instances, creations and deletions."""
    names = (INSTANCES, CREATIONS, DELETIONS)
    return tuple([await world.value(name, scale_set="flexible") for name in names])


async def test_a_machine_that_is_detached_alive_is_no_deletion_and_attached_no_creation(
    world: World, flexible: SimulatedScaleSet
) -> None:
    async with world.polling():
        assert await counted(world) == (12, 0, 0)
        machine = flexible.detach(next(iter(flexible.instances)))
        await world.clock.advance(120)
        assert await counted(world) == (11, 0, 0)
        assert looked_for(world) == 1, "once, and never again"
        flexible.attach(machine)
        await world.clock.advance(120)
        assert await counted(world) == (12, 0, 0)
        flexible.remove(machine.instance_id)
        await world.clock.advance(120)
        assert await counted(world) == (11, 0, 1), "its machine is gone"
        flexible.add()
        await world.clock.advance(120)
        assert await counted(world) == (12, 1, 1)


async def test_another_machine_of_the_same_name_was_created_and_the_old_one_deleted(
    world: World, flexible: SimulatedScaleSet
) -> None:
    async with world.polling():
        machine = flexible.instances[next(iter(flexible.instances))]
        machine.vm_id, machine.created = flexible.new_id(), flexible.elapsed
        await world.clock.advance(120)
        assert await counted(world) == (12, 1, 1)


async def test_where_a_machine_cannot_be_looked_for_it_counts_as_deleted(
    world: World, flexible: SimulatedScaleSet
) -> None:
    async with world.polling():
        world.strike(kind="status", status=403, operation="virtual_machine")
        flexible.detach(next(iter(flexible.instances)))
        await world.clock.advance(120)
        assert await counted(world) == (11, 0, 1)
        assert await world.value(UP, scale_set="flexible") == 1


async def test_many_that_go_at_once_are_not_looked_for_one_by_one(
    world: World, flexible: SimulatedScaleSet
) -> None:
    async with world.polling():
        for name in list(flexible.instances)[: MOST_ASKED + 1]:
            flexible.remove(name)
        await world.clock.advance(120)
        assert await counted(world) == (12 - MOST_ASKED - 1, 0, MOST_ASKED + 1)
        assert not looked_for(world)


async def test_a_machine_that_was_created_while_azure_did_not_answer_is_new(
    world: World, flexible: SimulatedScaleSet
) -> None:
    async with world.polling():
        world.strike(kind="status", status=500)
        flexible.add()
        await world.clock.advance(ATTACHED_AGE + 300)
        world.heal()
        await world.clock.advance(600)
        assert await counted(world) == (13, 1, 0)


async def test_a_resilient_deletion_that_alternates_is_no_failure_and_ends_as_a_deletion(
    world: World,
) -> None:
    settings = world.settings
    settings["azure"]["detail"] = "full"  # Without it Azure does not tell.
    async with world.polling(settings=settings):
        web = world.fleet.scale_set("web")
        web.begin(stories.delete_with_retries, web.instances["7"])
        state = "azure_vmss_instance_resilient_deletion_state"
        seen = set()
        for _ in range(12):
            await world.clock.advance(30)
            seen.update(await world.values(state, scale_set="web", instance_id="7"))
            failed = "azure_vmss_instances_by_provisioning_state"
            assert await world.value(failed, scale_set="web", state="failed") == 0
            assert not await world.values("azure_vmss_instance_provisioning_failure")
        assert seen == {1.0}
        await world.clock.advance(600)
        assert await world.total(FAILURES) == 0
        assert await world.value(INSTANCES, scale_set="web") == 49
        assert await world.value(DELETIONS, scale_set="web") == 1


async def test_a_region_is_written_as_its_short_name_however_azure_writes_it(
    world: World,
) -> None:
    world.fleet.add_scale_set(
        ScaleSetDescription(name="west", resource_group="rg-web", size=2, location="West US 2")
    )
    for mode in ("auto", "off"):
        async with world.polling(settings=world.searching(mode=mode)):
            assert await world.value("azure_vmss_info", scale_set="west", location="westus2") == 1
            assert not await world.values("azure_vmss_info", location="West US 2")
