"""What holds for one instance: its identity, placement, states, health and maintenance."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

from exporter.exposition.text_format import cut
from exporter.metrics.family import STABLE, Family, InstanceFamily, Part, Row, StateSetFamily
from exporter.metrics.instance_state import (
    HEALTH_STATES,
    POWER_STATES,
    PROVISIONING_STATES,
    InstanceState,
    Placement,
    StatusState,
)
from exporter.metrics.statuses import timestamp_text
from exporter.model.instance_view import MaintenanceRedeployStatus, ProtectionPolicy

_VIEW = "properties.instanceView"
_MAINTENANCE = f"{_VIEW}.maintenanceRedeployStatus"

_LONGEST_AZURE_ID = 64
"""Characters of the longest instance id, or name of a VM, that Azure gives."""


class _States(NamedTuple):
    """What is the same in most instances that are well."""

    placement: Placement
    failure_code: str | None
    os_state: str | None
    hibernation_state: str | None
    statuses: tuple[StatusState, ...]

    @classmethod
    def of(cls, observed: InstanceState) -> _States:
        return cls(
            observed.placement,
            observed.failure_code,
            observed.os_state,
            observed.hibernation_state,
            observed.statuses,
        )


class _Policies(NamedTuple):
    """What people and Azure have planned for an instance: the same in nearly all."""

    latest_model_applied: bool | None
    protection: ProtectionPolicy | None
    maintenance: MaintenanceRedeployStatus | None

    @classmethod
    def of(cls, observed: InstanceState) -> _Policies:
        return cls(
            observed.latest_model_applied,
            observed.protection,
            observed.maintenance,
        )


_ITSELF: Part[InstanceState] = Part(lambda observed: observed, shared=False)
_STATES = Part(_States.of)
_POLICIES = Part(_Policies.of)
_STATUS_TIMES: Part[tuple[tuple[StatusState, ...], tuple[str | None, ...]]] = Part(
    attrgetter("statuses", "status_times"), shared=False
)
_THUMBPRINT: Part[str | None] = Part(attrgetter("rdp_thumbprint"), shared=False)


def _info(observed: InstanceState) -> Iterable[Row]:
    scale_set = observed.scale_set
    # Kubernetes' spelling, as cloud-provider-azure writes it into node.spec.providerID: the
    # resource group in lower case, all else as Azure spells it.
    within = "" if observed.flexible else f"/virtualMachineScaleSets/{scale_set.name}"
    provider_id = (
        f"azure:///subscriptions/{scale_set.subscription_id}"
        f"/resourceGroups/{scale_set.resource_group.lower()}"
        f"/providers/Microsoft.Compute{within}/virtualMachines/{observed.instance_id}"
    )
    if len(observed.instance_id) > _LONGEST_AZURE_ID:
        provider_id = cut(provider_id)
    view = observed.view
    labels = (
        observed.name,
        view.computer_name or "",
        view.os_name or "",
        view.os_version or "",
        view.hyper_v_generation or "",
        observed.vm_size or "",
        observed.properties.vm_id or "",
        provider_id,
    )
    return ((labels, 1),)


def _placement(states: _States) -> Iterable[Row]:
    placement = states.placement
    places = (placement.fault_domain, placement.update_domain, placement.zone)
    if all(place is None for place in places):
        return ()
    return ((tuple(place or "" for place in places), 1),)


def _failure(states: _States) -> Iterable[Row]:
    return () if states.failure_code is None else (((states.failure_code,), 1),)


def _os_state(states: _States) -> Iterable[Row]:
    return () if states.os_state is None else (((states.os_state,), 1),)


def _hibernation_state(states: _States) -> Iterable[Row]:
    return () if states.hibernation_state is None else (((states.hibernation_state,), 1),)


def _levels(states: _States) -> Iterable[Row]:
    return [
        ((status.kind,), status.parsed.level)
        for status in states.statuses
        if status.parsed.level is not None
    ]


def _timestamps(
    part: tuple[tuple[StatusState, ...], tuple[str | None, ...]],
) -> Iterable[Row]:
    return [
        ((status.kind,), moment)
        for status, time in zip(*part, strict=True)
        if (moment := timestamp_text(time)) is not None
    ]


def _latest_model(policies: _Policies) -> Iterable[Row]:
    applied = policies.latest_model_applied
    return () if applied is None else (((), 1 if applied else 0),)


def _thumbprint(thumbprint: str | None) -> Iterable[Row]:
    return (((thumbprint,), 1),) if thumbprint else ()


def _flag(value: bool | None) -> str:  # noqa: FBT001 - it writes the flag it is given
    return "" if value is None else str(value).lower()


def _protection(policies: _Policies) -> Iterable[Row]:
    policy = policies.protection
    if policy is None:
        return ()
    labels = (_flag(policy.protect_from_scale_in), _flag(policy.protect_from_scale_set_actions))
    return ((labels, 1),)


def _maintenance(policies: _Policies) -> Iterable[Row]:
    status = policies.maintenance
    if status is None:
        return ()
    labels = (
        _flag(status.is_customer_initiated_maintenance_allowed),
        (status.last_operation_result_code or "").lower(),
    )
    return ((labels, 1),)


def _windows(pre: str | None, scheduled: str | None) -> Iterable[Row]:
    times = (("pre", timestamp_text(pre)), ("scheduled", timestamp_text(scheduled)))
    return [((window,), moment) for window, moment in times if moment is not None]


def _window_starts(policies: _Policies) -> Iterable[Row]:
    status = policies.maintenance
    if status is None:
        return ()
    return _windows(status.pre_maintenance_window_start_time, status.maintenance_window_start_time)


def _window_ends(policies: _Policies) -> Iterable[Row]:
    status = policies.maintenance
    if status is None:
        return ()
    return _windows(status.pre_maintenance_window_end_time, status.maintenance_window_end_time)


FAMILIES: tuple[Family, ...] = (
    InstanceFamily(
        name="azure_vmss_instance_info",
        stability=STABLE,
        help="Properties of the instance; the value is 1, absent ones are empty.",
        source=(
            "name",
            f"{_VIEW}.computerName",
            f"{_VIEW}.osName",
            f"{_VIEW}.osVersion",
            f"{_VIEW}.hyperVGeneration",
            "properties.hardwareProfile.vmSize",
            "sku.name",
            "properties.vmId",
        ),
        absent_when="Only where instances are not served at all: old data, or the limit on series.",
        derivation="instance_name is name, or {scale set}_{instance id} where Azure sends none; "
        "provider_id is the spelling of kube_node_info. A label value has at most 256 bytes, then "
        "…, but for a provider_id of Azure's own lengths.",
        labels=(
            "instance_name",
            "computer_name",
            "os_name",
            "os_version",
            "hyper_v_generation",
            "vm_size",
            "vm_id",
            "provider_id",
        ),
        whole=("provider_id",),
        part=_ITSELF,
        rows=_info,
    ),
    InstanceFamily(
        name="azure_vmss_instance_placement_info",
        stability=STABLE,
        help="Where the instance sits; the value is 1.",
        source=(
            f"{_VIEW}.platformFaultDomain",
            f"{_VIEW}.platformUpdateDomain",
            f"{_VIEW}.platformUpgradeDomain",
            "zones",
        ),
        absent_when="Azure sends neither a domain nor a zone.",
        labels=("fault_domain", "update_domain", "availability_zone"),
        part=_STATES,
        rows=_placement,
    ),
    StateSetFamily(
        name="azure_vmss_instance_power_state",
        stability=STABLE,
        help="Power state of the instance: 1 for the state that holds.",
        source=(f"{_VIEW}.statuses[].code",),
        absent_when="As azure_vmss_instance_info: without a PowerState it is unknown.",
        state=lambda observed: observed.power_state,
        states=POWER_STATES,
    ),
    StateSetFamily(
        name="azure_vmss_instance_provisioning_state",
        stability=STABLE,
        help="Provisioning state of the instance: 1 for the state that holds.",
        source=(f"{_VIEW}.statuses[].code", "properties.provisioningState"),
        absent_when="As azure_vmss_instance_info: without a provisioning state it is unknown.",
        state=lambda observed: observed.provisioning_state,
        states=PROVISIONING_STATES,
    ),
    InstanceFamily(
        name="azure_vmss_instance_provisioning_failure",
        stability=STABLE,
        help="1 while provisioning is failed, by the failure code.",
        source=(f"{_VIEW}.statuses[].code",),
        absent_when="The provisioning state is not failed.",
        derivation="The part after failed/ in lower case, else unspecified; at most 100 others "
        "per set, then other: those of azure_vmss_provisioning_failures_total.",
        labels=("code",),
        part=_STATES,
        rows=_failure,
    ),
    InstanceFamily(
        name="azure_vmss_instance_os_state",
        stability=STABLE,
        help="1 for the OS state that holds, such as generalized or specialized.",
        source=(f"{_VIEW}.statuses[].code",),
        absent_when="Azure sends no OSState.",
        labels=("state",),
        part=_STATES,
        rows=_os_state,
    ),
    InstanceFamily(
        name="azure_vmss_instance_hibernation_state",
        stability=STABLE,
        help="1 for the hibernation state that holds, such as hibernated.",
        source=(f"{_VIEW}.statuses[].code",),
        absent_when="Azure sends no HibernationState, as for every machine that is not hibernated.",
        labels=("state",),
        part=_STATES,
        rows=_hibernation_state,
    ),
    StateSetFamily(
        name="azure_vmss_instance_health_state",
        stability=STABLE,
        help="Application health of the instance: 1 for the state that holds.",
        source=(f"{_VIEW}.vmHealth.status.code",),
        absent_when="No vmHealth: application health is off.",
        state=lambda observed: observed.health_state,
        states=HEALTH_STATES,
    ),
    InstanceFamily(
        name="azure_vmss_instance_status_level",
        stability=STABLE,
        help="Level of the instance's statuses: 0 Info, 1 Warning, 2 Error.",
        source=(f"{_VIEW}.statuses[].level", f"{_VIEW}.statuses"),
        absent_when="No status of that kind, or one without a known level.",
        labels=("status",),
        part=_STATES,
        rows=_levels,
    ),
    InstanceFamily(
        name="azure_vmss_instance_status_timestamp_seconds",
        stability=STABLE,
        help="Time that Azure gives for the instance's statuses; power states have none.",
        source=(f"{_VIEW}.statuses[].time",),
        absent_when="The status has no time, or text that is not a time.",
        labels=("status",),
        part=_STATUS_TIMES,
        rows=_timestamps,
    ),
    InstanceFamily(
        name="azure_vmss_instance_latest_model_applied",
        stability=STABLE,
        help="1 if the instance has the latest model of the scale set, else 0.",
        source=("properties.latestModelApplied",),
        absent_when="Under $select, where Azure was seen to answer false for every instance.",
        full_only=True,
        part=_POLICIES,
        rows=_latest_model,
    ),
    InstanceFamily(
        name="azure_vmss_instance_rdp_certificate_info",
        stability=STABLE,
        help="Thumbprint of the remote desktop certificate; the value is 1.",
        source=(f"{_VIEW}.rdpThumbPrint", f"{_VIEW}.windowsConfiguration.rdpThumbPrint"),
        absent_when="Azure sends no thumbprint, as for Linux.",
        labels=("thumbprint",),
        opt_in=True,
        part=_THUMBPRINT,
        rows=_thumbprint,
    ),
    InstanceFamily(
        name="azure_vmss_instance_protection_info",
        stability=STABLE,
        help="Protection policy of the instance; the value is 1.",
        source=("properties.protectionPolicy",),
        absent_when="Under $select, or where no policy is set.",
        labels=("protect_from_scale_in", "protect_from_scale_set_actions"),
        full_only=True,
        part=_POLICIES,
        rows=_protection,
    ),
    InstanceFamily(
        name="azure_vmss_instance_maintenance_info",
        stability=STABLE,
        help="Planned maintenance of the instance; the value is 1.",
        source=(_MAINTENANCE,),
        absent_when="Azure sends no maintenance status.",
        labels=("customer_initiated_allowed", "last_result"),
        part=_POLICIES,
        rows=_maintenance,
    ),
    InstanceFamily(
        name="azure_vmss_instance_maintenance_window_start_timestamp_seconds",
        stability=STABLE,
        help="Start of the maintenance window.",
        source=(
            f"{_MAINTENANCE}.preMaintenanceWindowStartTime",
            f"{_MAINTENANCE}.maintenanceWindowStartTime",
        ),
        absent_when="No such window.",
        labels=("window",),
        part=_POLICIES,
        rows=_window_starts,
    ),
    InstanceFamily(
        name="azure_vmss_instance_maintenance_window_end_timestamp_seconds",
        stability=STABLE,
        help="End of the maintenance window.",
        source=(
            f"{_MAINTENANCE}.preMaintenanceWindowEndTime",
            f"{_MAINTENANCE}.maintenanceWindowEndTime",
        ),
        absent_when="No such window.",
        labels=("window",),
        part=_POLICIES,
        rows=_window_ends,
    ),
)
