"""Faults that stay: in the demo three machines are broken after a minute and after a day."""

from __future__ import annotations

import pytest

from exporter.simulator import Fleet
from exporter.simulator.instance import SimulatedInstance

START = 1_790_000_000.0


def broken(fleet: Fleet, name: str) -> SimulatedInstance:
    (found,) = (
        instance
        for instance in fleet.scale_set(name).instances.values()
        if instance.story in ("allocation_failed", "extension_failed", "agent_unavailable")
    )
    return found


@pytest.mark.parametrize("hours", [0, 1, 24])
def test_three_machines_of_the_demo_stay_broken(hours: int) -> None:
    fleet = Fleet.demo()
    fleet.advance(START)
    for hour in range(hours):
        fleet.advance(START + 3600 * (hour + 1))
    no_capacity = broken(fleet, "batch-spot")
    assert no_capacity.provisioning == "failed/ZonalAllocationFailed"
    assert no_capacity.power == "deallocated"
    assert broken(fleet, "checkout").agent == "unavailable"
    states = [extension.state for extension in broken(fleet, "web").extensions.values()]
    assert any(state.startswith("failed/") for state in states)


def test_a_set_too_small_for_a_fault_has_none() -> None:
    fleet = Fleet.from_yaml("scale_sets: [{name: x, size: 0, lasting: [agent_unavailable]}]")
    assert not fleet.scale_set("x").instances
