"""A scale set itself as Azure answers it: its model, and the summary of its instance view."""

from __future__ import annotations

from collections import Counter
from typing import Any

from exporter.simulator.instance_answers import group_path
from exporter.simulator.scale_set import SimulatedScaleSet
from exporter.simulator.times import azure_time

Json = dict[str, Any]

ORCHESTRATION = "2021-03-01"  # the first api-version that knows Flexible sets
_TIME_CREATED, _ETAG = "2021-11-01", "2023-09-01"


def scale_set_item(
    scale_set: SimulatedScaleSet, version: str, *, start: float, upper_case: bool = False
) -> Json:
    """A scale set, as its own GET and the lists answer it."""
    description = scale_set.description
    identity = scale_set.identity
    group = group_path(scale_set, upper_case=upper_case)
    properties: Json = {"singlePlacementGroup": False}
    if version >= ORCHESTRATION:
        properties["orchestrationMode"] = description.orchestration.capitalize()
    if not scale_set.is_flexible:
        properties["upgradePolicy"] = {"mode": description.upgrade_policy}
    if description.sku is not None:
        properties["virtualMachineProfile"] = _profile(scale_set)
    properties["provisioningState"] = "Succeeded"
    if not scale_set.is_flexible:
        properties["overprovision"] = False
        properties["doNotRunExtensionsOnOverprovisionedVMs"] = False
    properties["uniqueId"] = scale_set.unique_id
    properties["platformFaultDomainCount"] = description.fault_domains or 1
    if version >= _TIME_CREATED:
        properties["timeCreated"] = azure_time(start - 90 * 86400.0)
    item: Json = {
        "name": identity.name,
        "id": f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets/{identity.name}",
        "type": "Microsoft.Compute/virtualMachineScaleSets",
        "location": description.location,
        "tags": description.tags,
    }
    if description.sku is not None:
        item["sku"] = {
            "name": description.sku,
            "tier": "Standard",
            "capacity": scale_set.capacity,
        }
    item["properties"] = properties
    if description.zones:
        item["zones"] = description.zones
    if version >= _ETAG:
        item["etag"] = '"1"'
    return item


def scale_set_summary(scale_set: SimulatedScaleSet, *, now: float) -> Json:
    """The instance view of the set: counts by provisioning state, and by extension."""
    states = Counter(
        "ProvisioningState/" + instance.provisioning.partition("/")[0]
        for instance in scale_set.instances.values()
    )
    names = [
        {
            "name": name,
            "statusesSummary": _counts(
                Counter(
                    "ProvisioningState/" + instance.extensions[name].state.partition("/")[0]
                    for instance in scale_set.instances.values()
                    if name in instance.extensions
                )
            ),
        }
        for name in scale_set.description.extensions
    ]
    answer: Json = {"virtualMachine": {"statusesSummary": _counts(states)}}
    if names:
        answer["extensions"] = names
    answer["statuses"] = [
        {
            "code": "ProvisioningState/succeeded",
            "level": "Info",
            "displayStatus": "Provisioning succeeded",
            "time": azure_time(now),
        }
    ]
    if scale_set.description.services:
        answer["orchestrationServices"] = [
            {"serviceName": name, "serviceState": state}
            for name, state in scale_set.description.services.items()
        ]
    return answer


def _profile(scale_set: SimulatedScaleSet) -> Json:
    description = scale_set.description
    system = description.os
    profile: Json = {
        "osProfile": {
            "computerNamePrefix": scale_set.identity.name.casefold()[:9],
            "adminUsername": "azureuser",
        },
        "storageProfile": {
            "osDisk": {
                "osType": system.capitalize(),
                "createOption": "FromImage",
                "caching": "ReadWrite",
                "managedDisk": {"storageAccountType": "Premium_LRS"},
            }
        },
    }
    if description.extensions:
        profile["extensionProfile"] = {
            "extensions": [{"name": name, "properties": {}} for name in description.extensions]
        }
    if description.priority == "spot":
        # Azure leaves the priority out of regular sets.
        profile["priority"] = "Spot"
        profile["evictionPolicy"] = description.eviction_policy
        profile["billingProfile"] = {"maxPrice": -1.0}
    return profile


def _counts(counter: Counter[str]) -> list[Json]:
    return [{"code": code, "count": count} for code, count in sorted(counter.items())]
