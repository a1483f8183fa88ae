"""Every recorded answer of Azure decodes and maps without an unexplained loss.

What is expected is read here from the plain JSON, independently of the decoder and the mapper.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.azure.decode import decode_instance_page
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import MappedInstances, Mapper, TargetMemory
from support.answers import (
    RECORDINGS,
    WEB_TARGET,
    decode_page,
    described,
    lines_of,
    map_instances,
    recording,
    samples,
)

POWER = {
    "creating",
    "starting",
    "running",
    "stopping",
    "stopped",
    "deallocating",
    "deallocated",
}


def items_of(body: Any) -> list[dict[str, Any]] | None:
    """The VM items of a recorded body; None where it is neither a VM list nor a view."""
    if not isinstance(body, dict) or "virtualMachine" in body:
        return None
    if not str(body.get("type", "virtualMachines")).lower().endswith("virtualmachines"):
        return None  # one is the instance view of an extension, not of a VM
    if isinstance(body.get("value"), list):
        return list(body["value"])
    if "instanceView" in (body.get("properties") or {}):
        return [{**body, "instanceId": body.get("instanceId", "0")}]
    if {"statuses", "vmAgent", "vmHealth"} & set(body):
        return [{"instanceId": "0", "properties": {"instanceView": body}}]
    return None


def recorded_lists() -> list[Path]:
    if not RECORDINGS.is_dir():
        return []
    return [
        path
        for path in sorted(RECORDINGS.glob("*/*.json"))
        if recording(path)["response"]["status"] in {200, None}
        and items_of(recording(path)["response"]["body"]) is not None
    ]


NONE = Path("none")


@pytest.fixture(params=recorded_lists() or [NONE], ids=lambda path: path.stem)
def answer(request: pytest.FixtureRequest) -> tuple[list[dict[str, Any]], MappedInstances]:
    if request.param is NONE:
        pytest.skip("Azure's recorded answers are not here")
    items = items_of(recording(request.param)["response"]["body"])
    assert items is not None
    page = decode_page(json.dumps({"value": items}).encode())
    assert [problem for problem in page.problems if problem.path] == []
    assert page.lost == 0
    mapper = Mapper(full=True, families=FamilyFilter(opt_in=("*",)))
    return items, map_instances(*page.instances, mapper=mapper, target=WEB_TARGET)


def view_of(item: dict[str, Any]) -> dict[str, Any]:
    return (item.get("properties") or {}).get("instanceView") or {}


def id_of(item: dict[str, Any]) -> str:
    return str(item.get("instanceId") or item["id"].rsplit("/", 1)[-1])


def states(statuses: list[dict[str, Any]], kind: str) -> list[str]:
    split = [entry["code"].split("/") for entry in statuses]
    return [parts[1].lower() for parts in split if parts[0].lower() == kind.lower()]


Answer = tuple[list[dict[str, Any]], MappedInstances]


def text(mapped: MappedInstances, family: str) -> dict[frozenset[tuple[str, str]], float]:
    found = samples(f"# TYPE {family} gauge\n" + lines_of(mapped, family))
    drop = {"subscription_id", "resource_group", "scale_set"}
    return {
        frozenset(pair for pair in labels if pair[0] not in drop): value
        for (_, labels), value in found.items()
    }


def test_power_and_provisioning_states_are_those_of_the_json(answer: Answer) -> None:
    items, mapped = answer
    power = text(mapped, "azure_vmss_instance_power_state")
    provisioning = text(mapped, "azure_vmss_instance_provisioning_state")
    for item in items:
        statuses = view_of(item).get("statuses") or []
        (power_state,) = states(statuses, "PowerState")[:1] or ["unknown"]
        power_state = power_state if power_state in POWER else "unknown"
        assert power[frozenset({("instance_id", id_of(item)), ("state", power_state)})] == 1
        fallback = (item.get("properties") or {}).get("provisioningState")
        state = [fallback.lower()] if isinstance(fallback, str) else ["unknown"]
        recorded = states(statuses, "ProvisioningState") or state
        holding = [
            dict(labels)["state"]
            for labels, value in provisioning.items()
            if value == 1 and ("instance_id", id_of(item)) in labels
        ]
        assert len(holding) == 1
        assert holding[0] in recorded
    assert mapped.instances == len(items)


def test_domains_agents_extensions_and_disks_are_those_of_the_json(answer: Answer) -> None:
    items, mapped = answer
    for item in items:
        view, instance = view_of(item), ("instance_id", id_of(item))
        domain = view.get("platformFaultDomain")
        placements = [
            dict(labels)
            for labels in text(mapped, "azure_vmss_instance_placement_info")
            if instance in labels
        ]
        if domain is not None:
            assert placements[0]["fault_domain"] == str(domain)
        agent = view.get("vmAgent") or {}
        if "vmAgentVersion" in agent:
            version = agent["vmAgentVersion"].replace("Unknown", "unknown")
            assert text(mapped, "azure_vmss_vm_agent_info")[
                frozenset({instance, ("version", version)})
            ]
        names = {extension["name"] for extension in view.get("extensions") or []}
        served = {
            dict(labels)["extension"]
            for labels in text(mapped, "azure_vmss_extension_info")
            if instance in labels
        }
        assert served == names
        disks = {
            disk["name"]
            for disk in view.get("disks") or []
            if states(disk.get("statuses") or [], "ProvisioningState")
        }
        assert disks == {
            dict(labels)["disk"]
            for labels in text(mapped, "azure_vmss_disk_state")
            if instance in labels
        }


def all_statuses(view: Any) -> list[tuple[str, str | None]]:
    """Every code with its level, wherever in the view it stands."""
    if isinstance(view, list):
        return [found for entry in view for found in all_statuses(entry)]
    if not isinstance(view, dict):
        return []
    own = [(view["code"], view.get("level"))] if isinstance(view.get("code"), str) else []
    return own + [found for value in view.values() for found in all_statuses(value)]


def paths_of(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [found for key in value for found in paths_of(value[key], f"{path}.{key}")]
    if isinstance(value, list):
        return [found for entry in value for found in paths_of(entry, f"{path}[]")]
    return [path]


def test_everything_of_the_answer_is_in_the_instances_json(answer: Answer) -> None:
    items, _ = answer
    mapping = Mapper().start(WEB_TARGET, TargetMemory())
    for page in decode_instance_page(json.dumps({"value": items}).encode()):
        for _ in mapping.steps(page):
            pass
    shown = [paths_of(found["azure"]) for found in described(mapping.finish())]
    assert shown == [paths_of(item) for item in items]


def test_every_status_of_the_json_is_in_the_instances_json(answer: Answer) -> None:
    items, mapped = answer
    known = ("statuses", "vmAgent", "extensions", "disks", "vmHealth")
    recorded = [
        found for item in items for key in known for found in all_statuses(view_of(item).get(key))
    ]
    shown = [
        (entry.get("code"), entry.get("level"))
        for instance in described(mapped)
        for entry in instance["statuses"]
    ]
    assert sorted(map(repr, shown)) == sorted(map(repr, recorded))
