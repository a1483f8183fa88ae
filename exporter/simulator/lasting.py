"""Faults that stay: machines that are broken from the start on, and that nothing mends."""

from __future__ import annotations

from collections.abc import Callable

from exporter.simulator import extensions
from exporter.simulator.description import LastingFault
from exporter.simulator.extensions import ExtensionState
from exporter.simulator.instance import SimulatedInstance
from exporter.simulator.scale_set import SimulatedScaleSet

SINCE = -3 * 3600.0
"""When they broke, in seconds of the fleet's life."""

_NO_CAPACITY = (
    "Allocation failed. We do not have sufficient capacity for the requested VM size in this "
    "zone. Read more about improving likelihood of allocation success at "
    "http://aka.ms/allocation-guidance"
)


def break_for_good(scale_set: SimulatedScaleSet) -> None:
    """Break one instance for each lasting fault of a set's description."""
    for fault in scale_set.description.lasting:
        if (instance := scale_set.calm()) is not None:
            # Nothing else happens to it.
            instance.story = fault
            _FAULTS[fault](instance)


def _fail_allocation(instance: SimulatedInstance) -> None:
    instance.provisioning = "failed/ZonalAllocationFailed"
    instance.provisioning_message = _NO_CAPACITY
    instance.provisioning_changed = SINCE
    instance.power, instance.agent = "deallocated", "absent"
    instance.health = None


def _fail_extension(instance: SimulatedInstance) -> None:
    name = next(reversed(instance.extensions), None)
    if name is not None:
        kind = extensions.kind(name)
        instance.extensions[name] = ExtensionState(f"failed/{kind.bad_code}", kind.bad)


def _silence_agent(instance: SimulatedInstance) -> None:
    instance.agent = "unavailable"


_FAULTS: dict[LastingFault, Callable[[SimulatedInstance], None]] = {
    "allocation_failed": _fail_allocation,
    "extension_failed": _fail_extension,
    "agent_unavailable": _silence_agent,
}
