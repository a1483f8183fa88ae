"""What holds for a scale set: how its polls stand, and counts of its instances."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.metrics.catalogue import model
from exporter.metrics.family import (
    STABLE,
    CountFamily,
    Family,
    Labels,
    PollFamily,
    Row,
    optional,
)
from exporter.metrics.instance_state import (
    HEALTH_STATES,
    POWER_STATES,
    PROVISIONING_STATES,
    InstanceState,
)
from exporter.metrics.statuses import LEVELS
from exporter.model.poll import PollState

_VIEW = "properties.instanceView"


def _failure(poll: PollState) -> Iterable[Row]:
    return () if poll.reason is None else (((poll.reason,), 1),)


POLL_FAMILIES: tuple[Family, ...] = (
    PollFamily(
        name="azure_vmss_up",
        stability=STABLE,
        help="1 if the last poll of the instance list succeeded, else 0.",
        source=(),
        absent_when="Never: served for every target, unless metrics.deny names it.",
        derivation="0 until the first success, after a failed poll, and as soon as the data are "
        "older than they are kept; a poll that the budget or Retry-After put off leaves it as it "
        "is until then.",
        rows=lambda poll: (((), 1 if poll.up else 0),),
    ),
    PollFamily(
        name="azure_vmss_poll_failure",
        stability=STABLE,
        help="1 while the last poll failed, by its reason.",
        source=(),
        absent_when="The last poll succeeded, or none has ended yet.",
        derivation="throttled also when polls were put off for longer than the data are kept.",
        labels=("reason",),
        rows=_failure,
    ),
    PollFamily(
        name="azure_vmss_instance_series_suppressed",
        stability=STABLE,
        help="1 while metrics.max_series suppresses the instance series of the set, else 0.",
        source=(),
        absent_when="Never.",
        derivation="Above metrics.max_series the largest sets are suppressed; their counts stay. "
        "Where the counts alone are too many, those by versions and names of the largest sets are "
        "suppressed too, and at last all series but those about the polls; each is logged.",
        rows=lambda poll: (((), 1 if poll.suppressed else 0),),
    ),
    PollFamily(
        name="azure_vmss_last_success_timestamp_seconds",
        stability=STABLE,
        help="When the served data was fetched.",
        source=(),
        absent_when="No poll has succeeded yet.",
        rows=lambda poll: optional(poll.last_success),
    ),
    PollFamily(
        name="azure_vmss_poll_interval_seconds",
        stability=STABLE,
        help="The time between two polls that is in force.",
        source=(),
        absent_when="Never.",
        rows=lambda poll: optional(poll.interval),
    ),
    PollFamily(
        name="azure_vmss_poll_duration_seconds",
        stability=STABLE,
        help="How long the last poll took.",
        source=(),
        absent_when="No poll has ended yet.",
        rows=lambda poll: optional(poll.duration),
    ),
    PollFamily(
        name="azure_vmss_model_last_success_timestamp_seconds",
        stability=STABLE,
        help="When capacity, info and tags were fetched, by a call of their own.",
        source=(),
        absent_when="That call has not succeeded yet.",
        rows=lambda poll: optional(poll.model_last_success),
    ),
)


def _level(level: int | None) -> Iterable[Labels]:
    return () if level is None else ((LEVELS[level],),)


def _extension_levels(observed: InstanceState) -> Iterable[Labels]:
    return [
        (extension.extension, LEVELS[extension.status.level])
        for extension in observed.extensions
        if extension.status is not None and extension.status.level is not None
    ]


def _agent_states(observed: InstanceState) -> Iterable[Labels]:
    status = observed.agent.status if observed.agent else None
    return () if status is None else ((status.shown,),)


def _present(value: str | None) -> Iterable[Labels]:
    return () if value is None else ((value,),)


COUNT_FAMILIES: tuple[Family, ...] = (
    CountFamily(
        name="azure_vmss_instances",
        stability=STABLE,
        help="Instances that Azure lists.",
        source=("", "id", "instanceId", "name", "properties"),
        absent_when="No poll has succeeded within the time that data is kept.",
        keys=lambda _: ((),),
        always=((),),
    ),
    CountFamily(
        name="azure_vmss_instances_by_power_state",
        stability=STABLE,
        help="Instances by power state; one without a power state is unknown.",
        source=(f"{_VIEW}.statuses[].code",),
        absent_when="As azure_vmss_instances; every known state is served, 0 included.",
        labels=("state",),
        keys=lambda observed: ((observed.power_state,),),
        always=tuple((state,) for state in POWER_STATES),
    ),
    CountFamily(
        name="azure_vmss_instances_by_provisioning_state",
        stability=STABLE,
        help="Instances by provisioning state; one without a provisioning state is unknown.",
        source=(f"{_VIEW}.statuses[].code", "properties.provisioningState"),
        absent_when="As azure_vmss_instances; every known state is served, 0 included.",
        labels=("state",),
        keys=lambda observed: ((observed.provisioning_state,),),
        always=tuple((state,) for state in PROVISIONING_STATES),
    ),
    CountFamily(
        name="azure_vmss_instances_by_health_state",
        stability=STABLE,
        help="Instances by application health.",
        source=(f"{_VIEW}.vmHealth.status.code",),
        absent_when="No instance of the set has a vmHealth: application health is off.",
        labels=("state",),
        keys=lambda observed: _present(observed.health_state),
        beside=lambda _: tuple((state,) for state in HEALTH_STATES),
    ),
    CountFamily(
        name="azure_vmss_instances_by_fault_domain",
        stability=STABLE,
        help="Instances by availability zone and fault domain; empty where Azure sends none.",
        source=(f"{_VIEW}.platformFaultDomain", "zones"),
        absent_when="The set has no instance. The zone needs detail: full.",
        labels=("availability_zone", "fault_domain"),
        open_ended=True,
        keys=lambda observed: (
            (observed.placement.zone or "", observed.placement.fault_domain or ""),
        ),
    ),
    CountFamily(
        name="azure_vmss_instances_by_vm_agent_version",
        stability=STABLE,
        help="Instances by the version of their VM agent.",
        source=(f"{_VIEW}.vmAgent.vmAgentVersion",),
        absent_when="No VM agent tells its version, as where all are deallocated.",
        labels=("version",),
        open_ended=True,
        keys=lambda observed: _present(
            (observed.agent.version or None) if observed.agent else None
        ),
    ),
    CountFamily(
        name="azure_vmss_instances_by_vm_agent_state",
        stability=STABLE,
        help="Instances by the state of their VM agent.",
        source=(f"{_VIEW}.vmAgent.statuses[].code",),
        absent_when="No instance has a status of its VM agent.",
        labels=("state",),
        open_ended=True,
        keys=_agent_states,
    ),
    CountFamily(
        name="azure_vmss_instances_by_vm_size",
        stability=STABLE,
        help="Instances by their size: with instance mix the set's own sku tells none.",
        source=("properties.hardwareProfile", "sku"),
        absent_when="Azure tells no size: a Uniform set needs detail: full.",
        labels=("vm_size",),
        open_ended=True,
        keys=lambda observed: _present(observed.vm_size),
    ),
    CountFamily(
        name="azure_vmss_instances_by_latest_model_applied",
        stability=STABLE,
        help="Instances by whether they have the latest model of the scale set.",
        source=("properties.latestModelApplied",),
        absent_when="Under $select, where Azure was seen to answer false for every instance.",
        labels=("applied",),
        full_only=True,
        keys=lambda observed: _present(
            None
            if observed.latest_model_applied is None
            else str(observed.latest_model_applied).lower()
        ),
        beside=lambda _: (("true",), ("false",)),
    ),
    CountFamily(
        name="azure_vmss_instances_by_hibernation_state",
        stability=STABLE,
        help="Instances by hibernation state.",
        source=(f"{_VIEW}.statuses[].code",),
        absent_when="Azure sends no HibernationState of any instance.",
        labels=("state",),
        open_ended=True,
        keys=lambda observed: _present(observed.hibernation_state),
    ),
    CountFamily(
        name="azure_vmss_disk_instances",
        stability=STABLE,
        help="Instances by the worst level of their disks.",
        source=(f"{_VIEW}.disks[].statuses[].level",),
        absent_when="No instance has a disk with a level; else every level is served.",
        derivation="ProvisioningState statuses only; an instance without one counts nowhere.",
        labels=("level",),
        keys=lambda observed: _level(observed.disk_level),
        beside=lambda _: tuple((level,) for level in LEVELS),
    ),
    CountFamily(
        name="azure_vmss_extension_instances",
        stability=STABLE,
        help="Instances by extension and the worst level of its statuses.",
        source=(f"{_VIEW}.extensions[].statuses[].level",),
        absent_when="No instance reports the extension with a level.",
        labels=("extension", "level"),
        open_ended=True,
        keys=_extension_levels,
        beside=lambda key: tuple((key[0], level) for level in LEVELS),
    ),
)

FAMILIES: tuple[Family, ...] = (*POLL_FAMILIES, *model.FAMILIES, *COUNT_FAMILIES)
