"""Which sets are worth looking at often."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    Forbidden,
    NotFound,
    ServerFailed,
    Throttled,
    TimedOut,
    Unreachable,
)
from exporter.metrics.mapper import MappedInstances
from exporter.polling.motion import CALM, STUCK, Motion
from support.answers import instance, map_instances


def seen(**states: str) -> MappedInstances:
    def view(power: str) -> dict[str, Any]:
        return {
            "statuses": [{"code": f"PowerState/{power}"}, {"code": "ProvisioningState/succeeded"}]
        }

    return map_instances(
        *(instance(view(power), instance_id=name.strip("i")) for name, power in states.items())
    )


def test_a_set_is_quiet_at_the_first_look_and_while_nothing_changes() -> None:
    motion = Motion()
    for minute in range(10):
        motion.seen(seen(i0="running", i1="running"), 60.0 * minute)
        assert motion.until < 60.0 * minute


def test_a_change_keeps_it_in_motion_for_ten_minutes() -> None:
    motion = Motion()
    motion.seen(seen(i0="running"), 0.0)
    motion.seen(seen(i0="stopped"), 60.0)
    assert motion.until == 60.0 + CALM
    motion.seen(seen(i0="stopped"), 120.0)
    assert motion.until == 60.0 + CALM


def test_an_instance_that_came_or_went_is_a_change() -> None:
    motion = Motion()
    motion.seen(seen(i0="running"), 0.0)
    motion.seen(seen(i0="running", i1="running"), 60.0)
    assert motion.until == 60.0 + CALM
    motion.seen(seen(i1="running"), 700.0)
    assert motion.until == 700.0 + CALM


def test_a_state_that_should_pass_is_motion_until_it_is_stuck() -> None:
    motion = Motion()
    for now in range(0, int(STUCK) + 1200, 60):
        motion.seen(seen(i0="starting"), float(now))
    assert motion.until <= STUCK + CALM, "a set that is stuck for days must not cost the others"


def test_a_page_in_another_order_is_no_change() -> None:
    motion = Motion()
    motion.seen(seen(i0="running", i1="stopped"), 0.0)
    motion.seen(seen(i1="stopped", i0="running"), 60.0)
    assert motion.until < 0


@pytest.mark.parametrize(
    "error",
    [ServerFailed("no", status=500), TimedOut("no"), Unreachable("no"), BrokenAnswer("no")],
)
def test_a_failure_that_may_pass_is_looked_at_again_soon(error: AzureError) -> None:
    motion = Motion()
    motion.failed(error, 10.0)
    assert motion.until == 10.0 + CALM


@pytest.mark.parametrize(
    "error",
    [
        Forbidden("no", action="read"),
        NotFound("no", missing="scale set"),
        Throttled("no", retry_after=None),
    ],
)
def test_a_failure_that_stays_is_not(error: AzureError) -> None:
    motion = Motion()
    motion.failed(error, 10.0)
    assert motion.until < 0
