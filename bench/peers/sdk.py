"""A peer: an exporter as one would write it with azure-mgmt-compute and prometheus_client.

The SDK's objects are read attribute by attribute and set gauges. It knows nothing of our mapper,
and makes the same samples of the same answer, which the bench of the pipeline checks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from azure.mgmt.compute._utils.model_base import _deserialize
from azure.mgmt.compute.models import VirtualMachineScaleSetVM
from prometheus_client import CollectorRegistry, Gauge, generate_latest

SET_LABELS = ("subscription_id", "resource_group", "scale_set")
INSTANCE_LABELS = (*SET_LABELS, "instance_id")
POWER_STATES = (
    "creating", "starting", "running", "stopping", "stopped", "deallocating", "deallocated",
    "unknown",
)  # fmt: skip
PROVISIONING_STATES = (
    "creating", "updating", "succeeded", "failed", "deleting", "migrating", "unknown",
)  # fmt: skip
HEALTH_STATES = ("healthy", "unhealthy", "initializing", "unknown")
LEVELS = {"Info": 0, "Warning": 1, "Error": 2}
MOST_DISK_NAMES = 64
LEVEL_NAMES = ("info", "warning", "error")
STATUS_KINDS = {
    "provisioningstate": "provisioning_state",
    "powerstate": "power_state",
    "osstate": "os_state",
}
INSTANCE_GAUGES: dict[str, tuple[str, ...]] = {
    "instance_info": (
        "instance_name", "computer_name", "os_name", "os_version", "hyper_v_generation",
        "vm_size", "vm_id", "provider_id",
    ),
    "instance_placement_info": ("fault_domain", "update_domain", "availability_zone"),
    "instance_power_state": ("state",),
    "instance_provisioning_state": ("state",),
    "instance_provisioning_failure": ("code",),
    "instance_os_state": ("state",),
    "instance_health_state": ("state",),
    "instance_status_level": ("status",),
    "instance_status_timestamp_seconds": ("status",),
    "instance_latest_model_applied": (),
    "instance_protection_info": ("protect_from_scale_in", "protect_from_scale_set_actions"),
    "instance_maintenance_info": ("customer_initiated_allowed", "last_result"),
    "vm_agent_info": ("version",),
    "vm_agent_status_level": (),
    "vm_agent_state": ("state",),
    "vm_agent_status_timestamp_seconds": (),
    "extension_handler_status_level": ("handler",),
    "extension_handler_state": ("handler", "state"),
    "extension_handler_status_code": ("handler",),
    "extension_info": ("extension", "handler", "version"),
    "extension_status_level": ("extension",),
    "extension_state": ("extension", "state"),
    "extension_status_code": ("extension",),
    "extension_status_timestamp_seconds": ("extension",),
    "disk_state": ("disk", "state"),
    "disk_status_level": ("disk",),
    "disk_status_timestamp_seconds": ("disk",),
    "disk_encryption_state": ("disk", "state"),
}  # fmt: skip
COUNT_GAUGES: dict[str, tuple[str, ...]] = {
    "instances": (),
    "instances_by_power_state": ("state",),
    "instances_by_provisioning_state": ("state",),
    "instances_by_health_state": ("state",),
    "instances_by_fault_domain": ("availability_zone", "fault_domain"),
    "instances_by_vm_agent_version": ("version",),
    "instances_by_vm_agent_state": ("state",),
    "instances_by_latest_model_applied": ("applied",),
    "disk_instances": ("level",),
    "extension_instances": ("extension", "level"),
}


class SdkExporter:
    """The exporter of one scale set.

    Args:
        subscription_id: of the scale set.
        resource_group: of the scale set.
        name: the scale set's.
    """

    def __init__(self, subscription_id: str, resource_group: str, name: str) -> None:
        self._scale_set = (subscription_id, resource_group, name)
        self._registry = CollectorRegistry()
        self._gauges = {
            gauge: Gauge(
                f"azure_vmss_{gauge}", "Of the peer.", (*identity, *labels), registry=self._registry
            )
            for gauges, identity in ((INSTANCE_GAUGES, INSTANCE_LABELS), (COUNT_GAUGES, SET_LABELS))
            for gauge, labels in gauges.items()
        }
        self._counts: dict[str, Counter[tuple[str, ...]]] = {}
        self._disk_names: set[str] = set()

    def forget(self) -> None:
        """Take all samples away, as before every poll: instances that are gone must go."""
        for gauge in self._gauges.values():
            gauge.clear()

    def export(self, body: bytes) -> bytes:
        """One page of Azure's list as exposition text."""
        self._counts = {name: Counter() for name in COUNT_GAUGES}
        self._disk_names.clear()
        # Word for word what the SDK's `virtual_machine_scale_set_vms.list` does with an answer;
        # its own way to that needs a connection.
        answer = json.loads(body)
        for vm in _deserialize(list[VirtualMachineScaleSetVM], answer.get("value", [])):
            self._instance(vm)
        self._set_counts()
        return generate_latest(self._registry)

    def _instance(self, vm: Any) -> None:
        identity = (*self._scale_set, vm.instance_id)
        properties = vm.properties
        view = properties.instance_view
        self._info(identity, vm, properties, view)
        self._placement(identity, vm, view)
        self._statuses(identity, view.statuses or ())
        health = view.vm_health
        if health is not None and health.status is not None:
            _, state, _ = _code(health.status)
            self._state_set("health_state", identity, state, HEALTH_STATES)
        self._policies(identity, properties, view)
        if view.vm_agent is not None:
            self._agent(identity, view.vm_agent)
        for extension in view.extensions or ():
            self._extension(identity, extension)
        self._disks(identity, view.disks or ())

    def _set(self, name: str, value: float, *labels: str) -> None:
        gauge = self._gauges[name]
        # By place: by name would sort and look up each time.
        gauge.labels(*labels).set(value)

    def _count(self, name: str, *labels: str) -> None:
        self._counts[name][labels] += 1

    def _state_set(
        self, what: str, identity: tuple[str, ...], state: str, states: Sequence[str]
    ) -> None:
        found = state if state in states else "unknown"
        for one in states:
            self._set(f"instance_{what}", one == found, *identity, one)
        self._count(f"instances_by_{what}", found)

    def _info(self, identity: tuple[str, ...], vm: Any, properties: Any, view: Any) -> None:
        subscription_id, group, scale_set, instance_id = identity
        hardware = properties.hardware_profile
        self._set(
            "instance_info", 1, *identity,
            vm.name or f"{scale_set}_{instance_id}",
            view.computer_name or "",
            view.os_name or "",
            view.os_version or "",
            _text(view.hyper_v_generation),
            _text(hardware.vm_size if hardware else None) or (vm.sku.name if vm.sku else ""),
            properties.vm_id or "",
            f"azure:///subscriptions/{subscription_id}/resourceGroups/{group.lower()}"
            f"/providers/Microsoft.Compute/virtualMachineScaleSets/{scale_set}"
            f"/virtualMachines/{instance_id}",
        )  # fmt: skip
        self._count("instances")

    def _placement(self, identity: tuple[str, ...], vm: Any, view: Any) -> None:
        zones = vm.zones
        zone = zones[0] if zones and zones[0] else ""
        fault, update = view.platform_fault_domain, view.platform_update_domain
        domain = "" if fault is None else str(fault)
        self._set(
            "instance_placement_info", 1, *identity,
            domain, "" if update is None else str(update), zone,
        )  # fmt: skip
        self._count("instances_by_fault_domain", zone, domain)

    def _statuses(self, identity: tuple[str, ...], statuses: Sequence[Any]) -> None:
        power = provisioning = "unknown"
        for status in statuses:
            kind, state, rest = _code(status)
            if kind == "powerstate":
                power = state
            elif kind == "provisioningstate":
                provisioning = state
                if state == "failed":
                    self._set("instance_provisioning_failure", 1, *identity, rest or "unspecified")
            elif kind == "osstate":
                self._set("instance_os_state", 1, *identity, state)
            name = STATUS_KINDS.get(kind, "other")
            if status.level is not None:
                self._set("instance_status_level", LEVELS[status.level], *identity, name)
            time = status.time
            if time is not None:
                self._set("instance_status_timestamp_seconds", time.timestamp(), *identity, name)
        self._state_set("power_state", identity, power, POWER_STATES)
        self._state_set("provisioning_state", identity, provisioning, PROVISIONING_STATES)

    def _policies(self, identity: tuple[str, ...], properties: Any, view: Any) -> None:
        applied = properties.latest_model_applied
        if applied is not None:
            self._set("instance_latest_model_applied", applied, *identity)
            self._count("instances_by_latest_model_applied", str(applied).lower())
        policy = properties.protection_policy
        if policy is not None:
            flags = (policy.protect_from_scale_in, policy.protect_from_scale_set_actions)
            self._set("instance_protection_info", 1, *identity, *map(_flag, flags))
        maintenance = view.maintenance_redeploy_status
        if maintenance is not None:
            self._set(
                "instance_maintenance_info", 1, *identity,
                _flag(maintenance.is_customer_initiated_maintenance_allowed),
                (maintenance.last_operation_result_code or "").lower(),
            )  # fmt: skip

    def _agent(self, identity: tuple[str, ...], agent: Any) -> None:
        version = agent.vm_agent_version or ""
        version = "unknown" if version == "Unknown" else version
        self._set("vm_agent_info", 1, *identity, version)
        if version:
            self._count("instances_by_vm_agent_version", version)
        statuses = agent.statuses
        if statuses:
            status = _worst(statuses)
            _, state, _ = _code(status)
            self._set("vm_agent_state", 1, *identity, state)
            self._set("vm_agent_status_level", LEVELS[status.level], *identity)
            time = status.time
            if time is not None:
                self._set("vm_agent_status_timestamp_seconds", time.timestamp(), *identity)
            self._count("instances_by_vm_agent_state", state)
        for handler in agent.extension_handlers or ():
            status = handler.status
            if status is not None:
                _, state, rest = _code(status)
                name = handler.type or ""
                level = LEVELS[status.level]
                self._set("extension_handler_status_level", level, *identity, name)
                self._set("extension_handler_state", 1, *identity, name, state)
                if rest.lstrip("-").isdecimal():
                    self._set("extension_handler_status_code", int(rest), *identity, name)

    def _extension(self, identity: tuple[str, ...], extension: Any) -> None:
        name = extension.name or ""
        handler, version = extension.type or "", extension.type_handler_version or ""
        self._set("extension_info", 1, *identity, name, handler, version)
        statuses = extension.statuses
        if statuses:
            status = _worst(statuses)
            _, state, rest = _code(status)
            level = LEVELS[status.level]
            self._set("extension_status_level", level, *identity, name)
            self._set("extension_state", 1, *identity, name, state)
            if rest.lstrip("-").isdecimal():
                self._set("extension_status_code", int(rest), *identity, name)
            time = status.time
            if time is not None:
                self._set("extension_status_timestamp_seconds", time.timestamp(), *identity, name)
            self._count("extension_instances", name, LEVEL_NAMES[level])

    def _disks(self, identity: tuple[str, ...], disks: Sequence[Any]) -> None:
        worst = None
        for disk in disks:
            name = self._disk_name(disk.name or "")
            for status in disk.statuses or ():
                kind, state, _ = _code(status)
                if kind == "encryptionstate":
                    self._set("disk_encryption_state", 1, *identity, name, state)
                elif kind == "provisioningstate":
                    level = LEVELS[status.level]
                    worst = level if worst is None else max(worst, level)
                    self._set("disk_state", 1, *identity, name, state)
                    self._set("disk_status_level", level, *identity, name)
                    time = status.time
                    if time is not None:
                        self._set(
                            "disk_status_timestamp_seconds", time.timestamp(), *identity, name
                        )
        if worst is not None:
            self._count("disk_instances", LEVEL_NAMES[worst])

    def _disk_name(self, name: str) -> str:
        """At most so many names of disks have series of their own, as the contract says."""
        if name not in self._disk_names and len(self._disk_names) >= MOST_DISK_NAMES:
            return "other"
        self._disk_names.add(name)
        return name

    def _set_counts(self) -> None:
        counts = self._counts
        # Every known state has a count, so that sums and alerts need no absent().
        for what, states in (("power", POWER_STATES), ("provisioning", PROVISIONING_STATES)):
            counts[f"instances_by_{what}_state"].update({(state,): 0 for state in states})
        if counts["instances_by_health_state"]:
            counts["instances_by_health_state"].update({(state,): 0 for state in HEALTH_STATES})
        if counts["instances_by_latest_model_applied"]:
            counts["instances_by_latest_model_applied"].update({("true",): 0, ("false",): 0})
        if counts["disk_instances"]:
            counts["disk_instances"].update({(level,): 0 for level in LEVEL_NAMES})
        for extension, _ in tuple(counts["extension_instances"]):
            counts["extension_instances"].update({(extension, level): 0 for level in LEVEL_NAMES})
        for name, found in counts.items():
            for labels, count in found.items():
                self._set(name, count, *self._scale_set, *labels)


def _code(status: Any) -> tuple[str, str, str]:
    """`ProvisioningState/failed/X` as (provisioningstate, failed, x)."""
    kind, _, rest = (status.code or "").lower().partition("/")
    state, _, more = rest.partition("/")
    return kind, state, more


def _worst(statuses: Sequence[Any]) -> Any:
    if len(statuses) == 1:
        return statuses[0]
    return max(
        statuses,
        key=lambda status: (
            LEVELS[status.level],
            status.time.timestamp() if status.time is not None else 0.0,
        ),
    )


def _text(value: Any) -> str:
    """The text of one of the SDK's enumerations, which also lets unknown text pass as it is."""
    return getattr(value, "value", value) or ""


def _flag(value: bool | None) -> str:  # noqa: FBT001 - it writes the flag it is given
    return "" if value is None else str(value).lower()
