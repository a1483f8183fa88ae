"""Scale sets themselves, Flexible ones, and single instances."""

from __future__ import annotations

import json
from typing import Any

from exporter.simulator import Fleet
from simulator.asking import EXPAND, Ask, list_path, set_path
from support.clock import FakeClock


def statuses_in(document: Any) -> set[str]:
    """The codes of every status in a document; each must have a level and a display text."""
    if isinstance(document, list):
        return set().union(*(statuses_in(inner) for inner in document))
    if not isinstance(document, dict):
        return set()
    if "code" in document:
        assert document["level"] in ("Info", "Warning", "Error")
        assert document["displayStatus"]
        return {document["code"]}
    return set().union(*(statuses_in(inner) for inner in document.values()))


async def test_planned_maintenance_is_reported_with_its_windows(ask: Ask, fleet: Fleet) -> None:
    fleet.scale_set("web").instances["0"].maintenance = True
    first, second, _ = (await ask(list_path("web"))).document["value"]
    status = first["properties"]["instanceView"]["maintenanceRedeployStatus"]
    assert status["isCustomerInitiatedMaintenanceAllowed"] is True
    assert status["maintenanceWindowStartTime"] < status["maintenanceWindowEndTime"]
    assert "maintenanceRedeployStatus" not in second["properties"]["instanceView"]


async def test_a_flexible_set_refuses_the_instance_view(ask: Ask) -> None:
    reply = await ask(list_path("games", "rg-games", query=EXPAND))
    assert reply.status == 400
    assert reply.error == {
        "code": "BadRequest",
        "message": "Operation 'VirtualMachineScaleSets.virtualMachines.GET' is not allowed on "
        "Virtual Machine Scale Set 'games'.",
    }
    summary = await ask(f"{set_path('games', 'rg-games')}/instanceView?api-version=2024-07-01")
    assert (summary.status, summary.error["code"]) == (400, "BadRequest")


async def test_flexible_instances_are_found_as_machines_of_the_set(ask: Ask) -> None:
    path = set_path("games", "rg-games")
    machines = path.partition("/virtualMachineScaleSets")[0] + "/virtualMachines"
    query = f"$filter='virtualMachineScaleSet/id'%20eq%20'{path}'&{EXPAND}api-version=2024-07-01"

    first = await ask(f"{machines}?{query}")
    second = await ask(first.document["nextLink"])

    items = first.document["value"] + second.document["value"]
    assert len(items) == 4
    assert all(item["properties"]["virtualMachineScaleSet"]["id"] == path for item in items)
    assert all("PowerState" in json.dumps(item["properties"]["instanceView"]) for item in items)
    assert "placementGroupId" not in items[0]["properties"]["instanceView"]


async def test_machines_of_an_unknown_set_are_none_and_expand_needs_the_filter(ask: Ask) -> None:
    machines = set_path("x").partition("/virtualMachineScaleSets")[0] + "/virtualMachines"
    query = f"$filter='virtualMachineScaleSet/id'%20eq%20'{set_path('gone')}'"
    reply = await ask(f"{machines}?{query}&api-version=2024-07-01")
    assert reply.document == {"value": []}
    assert (await ask(f"{machines}?{EXPAND}api-version=2024-07-01")).status == 400


async def test_a_scale_set_tells_its_facts(ask: Ask) -> None:
    item = (await ask(f"{set_path('web')}?api-version=2024-07-01")).document
    assert item["sku"] == {"name": "Standard_D2s_v3", "tier": "Standard", "capacity": 7}
    assert item["properties"]["orchestrationMode"] == "Uniform"
    assert item["properties"]["upgradePolicy"] == {"mode": "Manual"}
    assert item["tags"] == {"team": "web"}
    assert item["location"] == "westeurope"
    assert "priority" not in item["properties"]["virtualMachineProfile"]


async def test_a_spot_set_tells_its_priority_and_a_bare_set_has_no_sku(
    ask: Ask, fleet: Fleet
) -> None:
    base = fleet.scale_set("web").description
    changes: dict[str, Any] = {"name": "spot", "priority": "spot", "eviction_policy": "Delete"}
    fleet.add_scale_set(base.model_copy(update=changes))
    fleet.add_scale_set(base.model_copy(update={"name": "bare", "sku": None}))

    spot = (await ask(f"{set_path('spot')}?api-version=2024-07-01")).document
    bare = (await ask(f"{set_path('bare')}?api-version=2024-07-01")).document

    profile = spot["properties"]["virtualMachineProfile"]
    assert (profile["priority"], profile["evictionPolicy"]) == ("Spot", "Delete")
    assert "sku" not in bare
    assert "virtualMachineProfile" not in bare["properties"]


async def test_sets_are_listed_by_group_by_location_and_for_a_subscription(ask: Ask) -> None:
    subscription = set_path("x").partition("/resourceGroups")[0]
    provider = "providers/Microsoft.Compute"
    version = "api-version=2024-07-01"

    group = await ask(
        f"{subscription}/resourceGroups/rg-web/{provider}/virtualMachineScaleSets?{version}"
    )
    region = await ask(
        f"{subscription}/{provider}/locations/westeurope/virtualMachineScaleSets?{version}"
    )
    whole = await ask(f"{subscription}/{provider}/virtualMachineScaleSets?{version}")

    assert [item["name"] for item in group.document["value"]] == ["web", "files", "empty"]
    assert len(region.document["value"]) == len(whole.document["value"]) == 4
    assert "x-ms-ratelimit-remaining-resource" in group.headers
    assert "x-ms-ratelimit-remaining-resource" not in whole.headers
    assert "x-ms-original-request-ids" in whole.headers


async def test_many_sets_come_in_pages_of_fifty(ask: Ask, fleet: Fleet) -> None:
    base = fleet.scale_set("empty").description
    for number in range(60):
        fleet.add_scale_set(base, name=f"more-{number}")
    subscription = set_path("x").partition("/resourceGroups")[0]
    path = f"{subscription}/providers/Microsoft.Compute/virtualMachineScaleSets"

    first = await ask(f"{path}?api-version=2024-07-01")
    second = await ask(first.document["nextLink"])

    assert (len(first.document["value"]), len(second.document["value"])) == (50, 14)
    assert "nextLink" not in second.document


async def test_the_set_view_counts_by_provisioning_state(ask: Ask, fleet: Fleet) -> None:
    fleet.scale_set("web").instances["1"].provisioning = "failed/AllocationFailed"
    reply = await ask(f"{set_path('web')}/instanceView?api-version=2024-07-01")
    assert reply.document["virtualMachine"]["statusesSummary"] == [
        {"code": "ProvisioningState/failed", "count": 1},
        {"code": "ProvisioningState/succeeded", "count": 6},
    ]
    assert [one["name"] for one in reply.document["extensions"]] == [
        "HealthExtension",
        "CustomScript",
    ]


async def test_one_instance_and_its_view_can_be_asked_for(ask: Ask) -> None:
    path = f"{set_path('web')}/virtualMachines"
    version = "api-version=2024-07-01"
    whole = await ask(f"{path}/1?{version}")
    view = await ask(f"{path}/1/instanceView?{version}")
    gone = await ask(f"{path}/99?{version}")
    wrong = await ask(f"{path}/abc?{version}")

    assert whole.document["name"] == "web_1"
    assert view.document["statuses"]
    assert "GetVMScaleSetVMResource" in view.remaining
    assert (gone.status, gone.error["code"]) == (404, "NotFound")
    assert (wrong.status, wrong.error["target"]) == (400, "instanceId")


async def test_a_lively_fleet_answers_well_formed_statuses_at_every_moment(
    ask: Ask, fleet: Fleet, clock: FakeClock
) -> None:
    fleet.description.limits.enabled = False
    changes: dict[str, Any] = {"name": "lively", "pace": 60.0, "priority": "spot", "size": 60}
    base = fleet.scale_set("web").description.model_copy(update=changes)
    fleet.add_scale_set(base.model_copy(update={"page_size": 500}))
    codes: set[str] = set()
    for _ in range(60):
        await clock.advance(30)
        document = (await ask(list_path("lively", query=EXPAND))).document
        codes |= statuses_in(document)

    known = {"ProvisioningState", "PowerState", "HealthState", "ComponentStatus"}
    assert {code.partition("/")[0] for code in codes} == known
    for code in (
        "ProvisioningState/creating",
        "ProvisioningState/creating/osProvisioningInProgress",
        "ProvisioningState/failed/AllocationFailed",
        "ProvisioningState/deleting",
        "ProvisioningState/NotReady",
        "ProvisioningState/Unavailable",
        "ComponentStatus/AppHealthStatus/failed/1",
    ):
        assert code in codes
