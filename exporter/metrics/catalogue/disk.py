"""What Azure reports of the disks of an instance."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from exporter.metrics.family import STABLE, Family, InstanceFamily, Part, Row
from exporter.metrics.instance_state import DiskState
from exporter.metrics.statuses import timestamp_text

_DISK = "properties.instanceView.disks[]"
# Disks have names of their own in every instance.
_DISKS: Part[tuple[DiskState, ...]] = Part(attrgetter("disks"), shared=False)


def _states(disks: tuple[DiskState, ...]) -> Iterable[Row]:
    return [((disk.disk, disk.status.shown), 1) for disk in disks if disk.status is not None]


def _levels(disks: tuple[DiskState, ...]) -> Iterable[Row]:
    return [
        ((disk.disk,), disk.status.level)
        for disk in disks
        if disk.status is not None and disk.status.level is not None
    ]


def _timestamps(disks: tuple[DiskState, ...]) -> Iterable[Row]:
    return [
        ((disk.disk,), moment)
        for disk in disks
        if (moment := timestamp_text(disk.time)) is not None
    ]


def _encryption_states(disks: tuple[DiskState, ...]) -> Iterable[Row]:
    return [
        ((disk.disk, disk.encryption.shown), 1) for disk in disks if disk.encryption is not None
    ]


FAMILIES: tuple[Family, ...] = (
    InstanceFamily(
        name="azure_vmss_disk_state",
        stability=STABLE,
        help="1 for the provisioning state of the disk that holds.",
        source=(f"{_DISK}.statuses[].code", f"{_DISK}.name", "properties.instanceView.disks"),
        absent_when="The disk has no ProvisioningState.",
        derivation="At most 64 names of disks per set, then other, in all families. Azure names "
        "disks after their instance: in a large set most are other, and instance_id tells which; "
        "of several disks of one instance that are other, the worst counts.",
        labels=("disk", "state"),
        part=_DISKS,
        rows=_states,
    ),
    InstanceFamily(
        name="azure_vmss_disk_status_level",
        stability=STABLE,
        help="Level of the disk's provisioning status: 0 Info, 1 Warning, 2 Error.",
        source=(f"{_DISK}.statuses[].level", f"{_DISK}.statuses"),
        absent_when="The disk has no ProvisioningState with a known level.",
        labels=("disk",),
        part=_DISKS,
        rows=_levels,
    ),
    InstanceFamily(
        name="azure_vmss_disk_status_timestamp_seconds",
        stability=STABLE,
        help="Time that Azure gives for the disk's provisioning status.",
        source=(f"{_DISK}.statuses[].time",),
        absent_when="The status has no time, or text that is not a time.",
        labels=("disk",),
        part=_DISKS,
        rows=_timestamps,
    ),
    InstanceFamily(
        name="azure_vmss_disk_encryption_state",
        stability=STABLE,
        help="1 for the encryption state of the disk that holds, such as notencrypted.",
        source=(f"{_DISK}.statuses[].code",),
        absent_when="The disk has no EncryptionState.",
        labels=("disk", "state"),
        part=_DISKS,
        rows=_encryption_states,
    ),
)
