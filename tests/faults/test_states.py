"""What Azure says of states at its oddest: a whole set failing at once, all unknown, nothing."""

from __future__ import annotations

from typing import Any

from exporter.polling.counters import NEW_CODE_WAITS
from faults.story import Story, machine, status, without_state_of_polls

FAILURES = "azure_vmss_provisioning_failures_total"
FAILING = "azure_vmss_instance_provisioning_failure"
UNKNOWN = "unknown_status_codes_total"


def failing(number: int) -> dict[str, Any]:
    return machine(number, statuses=[status(f"ProvisioningState/failed/Code{number}", "Error")])


async def test_a_thousand_instances_failing_at_once_with_as_many_codes_are_at_most_a_hundred(
    story: Story,
) -> None:
    well = [[machine(n) for n in range(k, k + 120)] for k in range(0, 960, 120)]
    ill = [[failing(n) for n in range(k, k + 120)] for k in range(0, 960, 120)]
    well.append([machine(n) for n in range(960, 1000)])
    ill.append([failing(n) for n in range(960, 1000)])
    story.azure.pages["web"] = well
    await story.poll()
    assert await story.values(FAILING) == []
    assert sum(await story.values(FAILURES)) == 0

    story.azure.pages["web"] = ill
    await story.poll()
    assert await story.value("azure_vmss_instances") == 1000
    failed = "azure_vmss_instances_by_provisioning_state"
    assert await story.value(failed, state="failed") == 1000
    assert len(await story.values(FAILING)) == 1000
    assert len(await story.values(FAILING, code="other")) == 900
    assert set(await story.values(FAILURES)) == {0}, "new codes are 0 until they were served"
    assert len(await story.values(FAILURES)) == 102, "with other and unspecified"
    await story.clock.advance(NEW_CODE_WAITS)
    assert sum(await story.values(FAILURES)) == 1000

    # Once each, however long they last, and whatever order Azure lists them in.
    story.azure.pages["web"] = [page[::-1] for page in reversed(ill)]
    await story.poll()
    await story.clock.advance(NEW_CODE_WAITS)
    assert sum(await story.values(FAILURES)) == 1000
    assert len(await story.values(FAILING, code="other")) == 900

    story.azure.pages["web"] = well
    await story.poll()
    assert await story.values(FAILING) == []
    assert sum(await story.values(FAILURES)) == 1000, "a counter never falls"
    assert await story.value(failed, state="succeeded") == 1000


async def test_where_everything_is_unknown_the_instances_count_as_unknown_and_not_as_well(
    story: Story,
) -> None:
    await story.poll_items(machine(0), machine(1))
    other = await story.lines("1")
    odd = status("Thing/new/more/still", "Fatal", newField={"a": [1]})
    agent = {"vmAgentVersion": "Unknown", "statuses": [odd], "extensionHandlers": [{"new": 1}]}
    everything = machine(
        0,
        statuses=[status("PowerState/dreaming"), status("ProvisioningState/pondering"), odd],
        vmHealth={"status": status("HealthState/fine")},
        vmAgent=agent,
        disks=[{"statuses": [odd]}],
        extensions=[{"statuses": [odd], "substatuses": [odd]}],
        newTopField=[[]],
    )
    await story.poll_items(everything, machine(1))
    for kind in ("power", "provisioning", "health"):
        name = f"azure_vmss_instance_{kind}_state"
        assert await story.value(name, instance_id="0", state="unknown") == 1
        assert sum(await story.values(name, instance_id="0")) == 1
        assert await story.value(f"azure_vmss_instances_by_{kind}_state", state="unknown") == 1
    level = "azure_vmss_instance_status_level"
    assert await story.value(level, instance_id="0", status="other") is None
    assert await story.value("azure_vmss_vm_agent_info", instance_id="0", version="unknown") == 1
    assert await story.total(UNKNOWN) >= 3 + 5, "three states and five levels"
    assert await story.total("mapping_errors_total") == 0, "new fields are no errors"
    assert await story.lines("1") == other
    await story.poll_items(machine(0), machine(1))
    assert await story.value("azure_vmss_instances_by_power_state", state="unknown") == 0
    assert await story.values("azure_vmss_instances_by_health_state") == []


async def test_without_any_instance_view_nobody_is_well_and_nobody_is_gone(story: Story) -> None:
    await story.poll_items(machine(0), machine(1))
    before = without_state_of_polls(await story.page())
    moved = "azure_vmss_power_state_transitions_total"
    bare = [{"id": machine(n)["id"], "instanceId": str(n), "name": f"web_{n}"} for n in range(2)]
    await story.poll_items(*bare)
    assert await story.value("azure_vmss_up") == 1
    assert await story.value("azure_vmss_instances") == 2
    for kind in ("power", "provisioning"):
        assert await story.value(f"azure_vmss_instances_by_{kind}_state", state="unknown") == 2
    assert await story.values("azure_vmss_instance_status_level") == []
    assert await story.values("azure_vmss_vm_agent_info") == []
    assert await story.value(moved, to="unknown") == 2
    assert await story.value("azure_vmss_instance_deletions_total") == 0
    assert await story.total("mapping_errors_total") == 0
    await story.poll_items(machine(0), machine(1))
    assert await story.value(moved, to="unknown") == 2
    assert await story.value(moved, to="running") == 0, "they ran before, and nobody saw a start"
    after = without_state_of_polls(await story.page())
    assert after.replace('to="unknown"} 2', 'to="unknown"} 0') == before


async def test_nulls_among_the_statuses_are_as_if_they_were_not_there(story: Story) -> None:
    statuses = machine(0)["properties"]["instanceView"]["statuses"]
    full = {
        "vmAgent": {"vmAgentVersion": "2", "statuses": statuses[:1], "extensionHandlers": []},
        "extensions": [{"name": "script", "statuses": statuses[:1], "substatuses": []}],
        "disks": [{"name": "os", "statuses": statuses[:1]}],
    }
    await story.poll_items(machine(0, **full))
    before = without_state_of_polls(await story.page())
    await story.poll_items(_with_nulls(machine(0, **full)), None)
    after = without_state_of_polls(await story.page())
    assert after == before
    assert await story.total("mapping_errors_total") == 1, "an item that is null is left out"
    assert await story.total("mapping_errors_total", family="azure_vmss_instances") == 1


async def test_a_type_that_changes_in_every_instance_costs_that_field_and_no_poll(
    story: Story,
) -> None:
    usual = [machine(number) for number in range(120)]
    await story.poll_items(*usual)
    levels = "azure_vmss_instance_status_level"
    assert len(await story.values(levels)) == 240
    odd = [machine(number) for number in range(120)]
    for item in odd:
        for part in item["properties"]["instanceView"]["statuses"]:
            part["level"] = 0
    await story.poll_items(*odd)
    assert await story.value("azure_vmss_up") == 1
    assert await story.values(levels) == []
    assert await story.value("azure_vmss_instances_by_power_state", state="running") == 120
    assert await story.value("azure_vmss_instances_by_power_state", state="unknown") == 0
    assert await story.total("mapping_errors_total", family=levels) == 240
    await story.poll_items(*usual)
    assert len(await story.values(levels)) == 240


def _with_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {"nothing": None, **{key: _with_nulls(inner) for key, inner in value.items()}}
    if isinstance(value, list):
        return [part for inner in value for part in (None, _with_nulls(inner))] + [None]
    return value
