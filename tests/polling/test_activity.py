"""Which sets are worth looking at often."""

from __future__ import annotations

import pytest

from exporter.azure.errors import (
    LEAVES,
    BrokenAnswer,
    FlexibleNotSupported,
    Forbidden,
    NoAnswer,
    NotFound,
    NotSent,
    Rejected,
    ServerFailed,
    Throttled,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from exporter.metrics.mapper import MappedInstances
from exporter.polling.activity import ACTIVE_FOR, STUCK, Activity
from support.answers import instance, map_instances

RUNNING = "PowerState/running"
STOPPED = "PowerState/deallocated"
STOPPING = "PowerState/deallocating"


def seen(*codes: str) -> MappedInstances:
    """A walk over instances with these power states."""
    return map_instances(
        *(
            instance({"statuses": [{"code": code}]}, instance_id=str(number))
            for number, code in enumerate(codes)
        )
    )


def moving(activity: Activity, now: float) -> bool:
    return now < activity.until


def test_a_set_that_was_never_polled_is_quiet() -> None:
    assert not moving(Activity(), 0.0)


def test_a_set_at_rest_is_quiet_from_its_first_poll_on() -> None:
    activity = Activity()
    for now in (0.0, 60.0, 120.0):
        activity.observe(seen(RUNNING, STOPPED), now)
        assert not moving(activity, now)


@pytest.mark.parametrize("after", [(STOPPED,), (RUNNING, RUNNING), (), ("PowerState/nobodyKnows",)])
def test_a_change_of_any_instance_is_motion_until_all_was_calm_for_long(
    after: tuple[str, ...],
) -> None:
    activity = Activity()
    activity.observe(seen(RUNNING), 0.0)
    activity.observe(seen(*after), 60.0)
    assert moving(activity, 60.0 + ACTIVE_FOR - 1)
    activity.observe(seen(*after), 120.0)
    assert not moving(activity, 60.0 + ACTIVE_FOR)


def test_an_instance_in_a_passing_state_is_motion_from_the_first_poll_on() -> None:
    activity = Activity()
    activity.observe(seen(RUNNING, STOPPING), 0.0)
    assert moving(activity, ACTIVE_FOR - 1)


def test_what_is_stuck_in_a_passing_state_is_quiet_after_an_hour_but_not_for_good() -> None:
    assert STUCK == 3600.0
    activity = Activity()
    activity.observe(seen(STOPPING), 0.0)
    activity.observe(seen(STOPPING), STUCK - 1)
    assert moving(activity, STUCK)
    activity.observe(seen(STOPPING), STUCK + ACTIVE_FOR)
    assert not moving(activity, STUCK + ACTIVE_FOR)
    activity.observe(seen(STOPPED), STUCK + ACTIVE_FOR + 60)
    assert moving(activity, STUCK + ACTIVE_FOR + 60)


def test_the_order_of_the_answer_is_no_motion() -> None:
    one = instance({"statuses": [{"code": RUNNING}]}, instance_id="1")
    two = instance({"statuses": [{"code": STOPPED}]}, instance_id="2")
    activity = Activity()
    activity.observe(map_instances(one, two), 0.0)
    activity.observe(map_instances(two, one), 60.0)
    assert not moving(activity, 60.0)


def test_what_happened_between_two_polls_shows_by_the_times_of_the_statuses() -> None:
    def started(at: str) -> MappedInstances:
        status = {"code": "ProvisioningState/succeeded", "time": at}
        return map_instances(instance({"statuses": [status, {"code": RUNNING}]}))

    activity = Activity()
    activity.observe(started("2027-01-15T07:00:00Z"), 0.0)
    activity.observe(started("2027-01-15T07:01:00Z"), 60.0)
    assert moving(activity, 60.0)


@pytest.mark.parametrize(
    ("error", "worth_looking"),
    [
        (ServerFailed("x", status=500), True),
        (TimedOut("x"), True),
        (Unreachable("x"), True),
        (BrokenAnswer("x"), True),
        (Throttled("x", retry_after=None), False),
        (NotSent("x", retry_after=9.0), False),
        (Unauthenticated("x"), False),
        (Forbidden("x", action="a/read"), False),
        (NotFound("x", missing="scale set"), False),
        (Rejected("x", status=400), False),
        (FlexibleNotSupported("x"), False),
    ],
)
def test_a_failure_that_may_pass_is_trouble_and_one_for_the_operator_is_not(
    error: NoAnswer,
    worth_looking: bool,  # noqa: FBT001 - a parameter
) -> None:
    activity = Activity()
    activity.failed(error, 100.0)
    assert moving(activity, 100.0) is worth_looking
    assert not moving(activity, 100.0 + ACTIVE_FOR)


def test_every_error_is_one_or_the_other() -> None:
    told = {ServerFailed, TimedOut, Unreachable, BrokenAnswer, Throttled, Unauthenticated}
    told |= {Forbidden, NotFound, Rejected, FlexibleNotSupported}
    assert told == set(LEAVES)


def test_a_failure_does_not_end_what_a_poll_has_shown() -> None:
    activity = Activity()
    activity.observe(seen(STOPPING), 0.0)
    activity.failed(Throttled("x", retry_after=9.0), 60.0)
    assert moving(activity, ACTIVE_FOR - 1)
