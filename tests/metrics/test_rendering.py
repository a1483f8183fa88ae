"""What many instances have in common is rendered once, and never shown for another instance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.model.instance_view import Instance
from metrics.test_properties import items
from support.answers import ROOT, instance, lines_of, map_instances
from support.examples import examples

OTHER = "another"


def new_mapper() -> Mapper:
    return Mapper(full=True, families=FamilyFilter(opt_in=("*",)))


def instance_lines(mapper: Mapper, *instances: Instance) -> list[str]:
    """All lines of instances, by one mapper and in one walk."""
    mapped = map_instances(*instances, mapper=mapper)
    return sorted(
        line for name in mapped.instance_lines for line in lines_of(mapped, name).splitlines()
    )


def each_alone(*instances: Instance) -> list[str]:
    """The same, each instance by a mapper and in a walk of its own."""
    return sorted(line for one in instances for line in instance_lines(new_mapper(), one))


def status(code: str, level: str = "Info", time: str = "2024-07-08T07:27:29Z") -> dict[str, str]:
    return {"code": code, "level": level, "time": time}


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Both objects as one; where both have a value that is not an object, the second one's."""
    both = {
        key: merged(below[key], value) if isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }
    return below | both


# Every field of the full page, with statuses that give every family lines.
FULL = merged(
    json.loads((ROOT / "tests/fixtures/azure/made-up-full-page.json").read_text())["value"][0],
    {
        "instanceId": "0",
        "name": "web_0",
        "sku": {"name": "Standard_D2s_v5"},
        "zones": ["1"],
        "properties": {
            "latestModelApplied": True,
            "provisioningState": "Succeeded",
            "vmId": "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "protectionPolicy": {"protectFromScaleIn": True, "protectFromScaleSetActions": False},
            "instanceView": {
                "platformFaultDomain": 1,
                "platformUpdateDomain": 2,
                "computerName": "web000000",
                "osName": "ubuntu",
                "osVersion": "22.04",
                "hyperVGeneration": "V2",
                "rdpThumbPrint": "AB12",
                "statuses": [
                    status("ProvisioningState/failed/X", "Error"),
                    status("PowerState/running"),
                    status("OSState/generalized"),
                    status("HibernationState/Hibernated"),
                ],
                "vmHealth": {"status": status("HealthState/healthy")},
                "vmAgent": {
                    "vmAgentVersion": "2.9",
                    "statuses": [status("ProvisioningState/succeeded")],
                    "extensionHandlers": [
                        {
                            "type": "Script",
                            "typeHandlerVersion": "1.0",
                            "status": status("ProvisioningState/NotReady/21"),
                        }
                    ],
                },
                "extensions": [
                    {
                        "name": "script",
                        "type": "Script",
                        "typeHandlerVersion": "1.0",
                        "statuses": [status("ProvisioningState/failed/-1", "Error")],
                        "substatuses": [status("ComponentStatus/StdOut/succeeded")],
                    }
                ],
                "disks": [
                    {
                        "name": "os",
                        "statuses": [
                            status("ProvisioningState/succeeded"),
                            status("EncryptionState/notEncrypted"),
                        ],
                    }
                ],
                "maintenanceRedeployStatus": {
                    "isCustomerInitiatedMaintenanceAllowed": True,
                    "preMaintenanceWindowStartTime": "2024-07-08T07:00:00Z",
                    "preMaintenanceWindowEndTime": "2024-07-09T07:00:00Z",
                    "maintenanceWindowStartTime": "2024-07-10T07:00:00Z",
                    "maintenanceWindowEndTime": "2024-07-11T07:00:00Z",
                    "lastOperationResultCode": "None",
                },
            },
        },
    },
)

COUNTS = ("criticalAndSecurityPatchCount", "otherPatchCount")
"""Numbers that are read as numbers only."""

Path = tuple[str | int, ...]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every field that is neither an object nor a list, and of those too."""
    if path and path != ("instanceId",):
        yield path
    pairs: Any = value.items() if isinstance(value, dict) else ()
    for key, below in enumerate(value) if isinstance(value, list) else pairs:
        yield from leaves(below, (*path, key))


def other_values(value: Any) -> list[Any]:
    """What may stand in a field's place: nothing, and something else of its kind."""
    if isinstance(value, bool):
        return [None, not value]
    if isinstance(value, int):
        return [None, value + 1, str(value)]
    if isinstance(value, str):
        kind, _, _ = value.partition("/")
        moved = [f"{kind}/{OTHER}"] if "/" in value else []
        moved += ["2030-01-01T00:00:00Z"] if value.startswith("20") else []
        return [None, OTHER, *moved, "Warning" if value in ("Info", "Error") else "1"]
    return [None]


def changed(path: Path, value: Any) -> Instance:
    """The full instance under another id, with one field changed."""
    item = deepcopy(FULL) | {"instanceId": "1"}
    at: Any = item
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return msgspec.convert(item, Instance)


def at(path: Path) -> Any:
    found: Any = FULL
    for key in path:
        found = found[key]
    return found


@pytest.mark.parametrize("path", list(leaves(FULL)), ids=lambda path: ".".join(map(str, path)))
def test_two_instances_that_differ_in_one_field_have_their_own_lines(path: Path) -> None:
    full = msgspec.convert(FULL, Instance)
    for value in other_values(at(path)):
        if isinstance(value, str) and path[-1] in COUNTS:
            continue  # Left out before it comes here.
        other = changed(path, value)
        together = instance_lines(new_mapper(), full, other)
        assert together == each_alone(full, other), value
        assert instance_lines(new_mapper(), other, full) == together


def test_every_instance_family_has_lines_of_the_full_instance() -> None:
    """Or the test above would say nothing of it."""
    mapped = map_instances(msgspec.convert(FULL, Instance), mapper=new_mapper())
    families = {f.name for f in CATALOGUE if f.identity[-1] == "instance_id"}
    assert mapped.instance_lines.keys() == families


def test_an_instance_that_failed_by_its_property_only_lends_its_failure_to_nobody() -> None:
    failed = instance(None, instance_id="1", properties={"provisioningState": "Failed"})
    for order in ((instance(None), failed), (failed, instance(None))):
        mapped = map_instances(*order)
        text = lines_of(mapped, "azure_vmss_instance_provisioning_failure")
        assert 'instance_id="1",code="unspecified"} 1\n' in text
        assert text.count("\n") == 1


@examples(300)
@given(st.lists(items, max_size=5))
def test_instances_together_are_rendered_as_each_alone(found: list[dict[str, Any]]) -> None:
    instances = []
    for number, item in enumerate(found):
        try:
            instances.append(msgspec.convert(item | {"instanceId": str(number)}, Instance))
        except msgspec.ValidationError:
            continue
    assert instance_lines(new_mapper(), *instances) == each_alone(*instances)
