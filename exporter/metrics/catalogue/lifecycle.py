"""What Azure keeps out of service on purpose, or is about to delete: no fault of the instance."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.metrics.family import STABLE, CountFamily, Family, InstanceFamily, Part, Row
from exporter.metrics.instance_state import InstanceState

_STANDBY: Part[bool] = Part(lambda observed: observed.in_standby_pool)
_DELETION: Part[str | None] = Part(lambda observed: observed.resilient_deletion_state)

_SHOWN = frozenset(("inprogress", "failed"))


def _deletion(state: str | None) -> Iterable[Row]:
    return (((state,), 1),) if state in _SHOWN else ()


def _once(observed: InstanceState) -> Iterable[tuple[str, ...]]:
    return ((),) if observed.in_standby_pool else ()


FAMILIES: tuple[Family, ...] = (
    CountFamily(
        name="azure_vmss_instances_in_standby_pool",
        stability=STABLE,
        help="Instances in a standby pool: deallocated or hibernated on purpose. No other count of "
        "instances has them.",
        source=("properties.instanceView.isVMInStandbyPool",),
        absent_when="Azure marks no instance of the set.",
        of_standby=True,
        keys=_once,
    ),
    InstanceFamily(
        name="azure_vmss_instance_in_standby_pool",
        stability=STABLE,
        help="1 for an instance in a standby pool, which is deallocated or hibernated on purpose.",
        source=("properties.instanceView.isVMInStandbyPool",),
        absent_when="The instance is in none.",
        part=_STANDBY,
        rows=lambda standby: (((), 1),) if standby else (),
    ),
    InstanceFamily(
        name="azure_vmss_instance_resilient_deletion_state",
        stability=STABLE,
        help="1 for the state of a resilient deletion: inprogress or failed. While one is in "
        "progress Azure alternates between deleting and failed: that is deleting here.",
        source=("properties.resilientVMDeletionStatus",),
        absent_when="No resilient deletion is in progress or has failed. Azure tells it with "
        "detail: full, and of Flexible sets.",
        labels=("state",),
        part=_DELETION,
        rows=_deletion,
    ),
)
