"""What a scale set has beside its model: upgrades, hooks, standby pools, autoscale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exporter.simulator import errors
from exporter.simulator.fleet import Fleet
from exporter.simulator.instance_answers import group_path
from exporter.simulator.scale_set import SimulatedScaleSet
from exporter.simulator.times import azure_time

Json = dict[str, Any]


def rolling_upgrade(scale_set: SimulatedScaleSet, *, start: float) -> Json:
    """The latest rolling upgrade. Raises ArmError where there was none."""
    status = scale_set.description.rolling_upgrade
    if status is None:
        raise errors.no_rolling_upgrade()
    size = len(scale_set.instances)
    done = size if status == "Completed" else size // 2
    failed = min(1, size - done) if status == "Faulted" else 0
    running = min(2, size - done - failed) if status.startswith("Rolling") else 0
    return {
        "properties": {
            "policy": {"maxBatchInstancePercent": 20},
            "runningStatus": {
                "code": status,
                "startTime": azure_time(start),
                "lastAction": "Start",
                "lastActionTime": azure_time(start),
            },
            "progress": {
                "successfulInstanceCount": done,
                "failedInstanceCount": failed,
                "inProgressInstanceCount": running,
                "pendingInstanceCount": size - done - failed - running,
            },
        },
        "type": "Microsoft.Compute/virtualMachineScaleSets/rollingUpgrades",
        "location": scale_set.description.location,
    }


def lifecycle_hooks(scale_set: SimulatedScaleSet, *, start: float) -> Json:
    """The events of its lifecycle hooks: one that is over, and one that waits if described."""
    waits = scale_set.description.hook_waits
    events = [("event-0", "Completed", -3600.0)]
    if waits is not None:
        events.append(("event-1", "Active", waits))
    return {
        "value": [
            {
                "name": name,
                "properties": {
                    "type": "UpgradeAutoOSScheduling",
                    "state": state,
                    "waitUntil": azure_time(start + moment),
                    "defaultAction": "Approve",
                },
            }
            for name, state, moment in events
        ]
    }


def standby_pools(fleet: Fleet, subscription: str) -> Json:
    """The standby pools of a subscription."""
    return {
        "value": [
            {
                "id": _pool_id(scale_set),
                "name": f"{scale_set.identity.name}-pool",
                "type": "Microsoft.StandbyPool/standbyVirtualMachinePools",
                "properties": {
                    "elasticityProfile": {"maxReadyCapacity": scale_set.description.standby},
                    "virtualMachineState": "Deallocated",
                    "attachedVirtualMachineScaleSetId": scale_set.identity.resource_id.lower(),
                    "provisioningState": "Succeeded",
                },
            }
            for scale_set in _with_pool(fleet, subscription)
        ]
    }


def standby_pool(fleet: Fleet, subscription: str, group: str, name: str) -> Json:
    """The runtime view of a standby pool. Raises ArmError where there is no such pool."""
    for scale_set in _with_pool(fleet, subscription):
        _, its_group, its_name = scale_set.identity.key
        if (its_group, f"{its_name}-pool") == (group.casefold(), name.casefold()):
            size = scale_set.description.standby
            counts = [{"state": "Deallocated", "count": size}, {"state": "Running", "count": 0}]
            zones = scale_set.description.zones[:1]
            summary: Json = {"instanceCountsByState": counts}
            if zones:
                summary["zone"] = int(zones[0])
            return {
                "properties": {
                    "instanceCountSummary": [summary],
                    "provisioningState": "Succeeded",
                    "status": {"code": "HealthState/healthy"},
                }
            }
    raise errors.path_not_found(name)


def autoscale_settings(fleet: Fleet, subscription: str) -> Json:
    """The autoscale settings of a subscription: numbers as texts, as Azure has them."""
    found = []
    for scale_set in _of(fleet, subscription):
        if (limits := scale_set.description.autoscale) is None:
            continue
        least, most = map(str, limits)
        capacity = {"minimum": least, "maximum": most, "default": least}
        nightly = {"minimum": "0", "maximum": "1", "default": "0"}
        found.append(
            {
                "name": f"{scale_set.identity.name}-autoscale",
                "type": "Microsoft.Insights/autoscaleSettings",
                "properties": {
                    "enabled": True,
                    "targetResourceUri": scale_set.identity.resource_id,
                    "profiles": [
                        {"name": "usual", "capacity": capacity, "rules": []},
                        {
                            "name": "night",
                            "capacity": nightly,
                            "rules": [],
                            "recurrence": {"frequency": "Week", "schedule": {"hours": [22]}},
                        },
                    ],
                },
            }
        )
    return {"value": found}


def _of(fleet: Fleet, subscription: str) -> Iterator[SimulatedScaleSet]:
    wanted = subscription.casefold()
    return (one for one in fleet.scale_sets if one.identity.key[0] == wanted)


def _with_pool(fleet: Fleet, subscription: str) -> Iterator[SimulatedScaleSet]:
    return (one for one in _of(fleet, subscription) if one.description.standby)


def _pool_id(scale_set: SimulatedScaleSet) -> str:
    group = group_path(scale_set, upper_case=False)
    pool = f"{scale_set.identity.name}-pool"
    return f"{group}/providers/Microsoft.StandbyPool/standbyVirtualMachinePools/{pool}"
