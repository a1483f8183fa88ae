"""Patches of the guest's system: only Azure's answer about a virtual machine of a Flexible set."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.metrics.family import STABLE, Family, InstanceFamily, Part, Row, optional
from exporter.metrics.instance_state import InstanceState
from exporter.metrics.statuses import timestamp_text
from exporter.model.instance_view import AvailablePatches

_STATUS = "properties.instanceView.patchStatus"
_AVAILABLE = f"{_STATUS}.availablePatchSummary"
_INSTALLED = f"{_STATUS}.lastPatchInstallationSummary"
_UNLESS = "Azure sends no patchStatus, as for an instance of a Uniform set"


def _available(observed: InstanceState) -> AvailablePatches | None:
    status = observed.view.patch_status
    return status.available_patch_summary if status else None


def _installation(observed: InstanceState) -> str | None:
    status = observed.view.patch_status
    summary = status.last_patch_installation_summary if status else None
    return ((summary.status or "").strip().lower() or None) if summary else None


_SUMMARY = Part(_available)
_INSTALLATION: Part[str | None] = Part(_installation)


def _reboot(summary: AvailablePatches | None) -> Iterable[Row]:
    pending = summary.reboot_pending if summary else None
    return optional(None if pending is None else int(pending))


def _counts(summary: AvailablePatches | None) -> Iterable[Row]:
    if summary is None:
        return
    for classification, count in (
        ("critical_and_security", summary.critical_and_security_patch_count),
        ("other", summary.other_patch_count),
    ):
        if count is not None:
            yield (classification,), count


def _assessed(summary: AvailablePatches | None) -> Iterable[Row]:
    moment = timestamp_text(summary.last_modified_time) if summary else None
    return () if moment is None else (((), moment),)


FAMILIES: tuple[Family, ...] = (
    InstanceFamily(
        name="azure_vmss_instance_patch_reboot_pending",
        stability=STABLE,
        help="1 if the instance has to be restarted for its patches, else 0.",
        source=(f"{_AVAILABLE}.rebootPending",),
        absent_when=f"{_UNLESS}, or the instance was never assessed.",
        part=_SUMMARY,
        rows=_reboot,
    ),
    InstanceFamily(
        name="azure_vmss_instance_patches_available",
        stability=STABLE,
        help="Patches that wait to be installed, by classification: critical_and_security, other.",
        source=(
            f"{_AVAILABLE}.criticalAndSecurityPatchCount",
            f"{_AVAILABLE}.otherPatchCount",
        ),
        absent_when=f"{_UNLESS}, or the instance was never assessed.",
        labels=("classification",),
        part=_SUMMARY,
        rows=_counts,
    ),
    InstanceFamily(
        name="azure_vmss_instance_patch_assessment_timestamp_seconds",
        stability=STABLE,
        help="When Azure last assessed which patches are available.",
        source=(f"{_AVAILABLE}.lastModifiedTime",),
        absent_when=f"{_UNLESS}, or the instance was never assessed.",
        part=_SUMMARY,
        rows=_assessed,
    ),
    InstanceFamily(
        name="azure_vmss_instance_patch_installation_state",
        stability=STABLE,
        help="1 for the state of the last installation of patches, as succeeded, inprogress, "
        "failed, completedwithwarnings.",
        source=(f"{_INSTALLED}.status",),
        absent_when=f"{_UNLESS}, or no patch was ever installed.",
        labels=("state",),
        part=_INSTALLATION,
        rows=lambda state: () if state is None else (((state,), 1),),
    ),
)
