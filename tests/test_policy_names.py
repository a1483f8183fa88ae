"""Which rate-limit policies are shown: a bounded number, counted from 0, and none for ever."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from exporter.policy_names import FORGET_AFTER, MOST_NAMES, OTHER
from exporter.telemetry import NEW_LABELS_WAIT, PREFIX, Telemetry
from support.answers import SUBSCRIPTION, samples
from support.clock import FakeClock

THROTTLED = "azure_throttled_total"
REMAINING = "azure_ratelimit_remaining"
FAMILIES = (REMAINING, "azure_throttled_until_timestamp_seconds", "budget_used_ratio")


@pytest.fixture
def telemetry(clock: FakeClock) -> Telemetry:
    return Telemetry(version="1", python_version="3", process=False, monotonic=clock.monotonic)


def named(telemetry: Telemetry, policy: str, *, location: str = "west", value: int = 1) -> None:
    """What an answer that names a policy leaves behind."""
    labels = telemetry.policy_labels(SUBSCRIPTION, location, policy)
    for family in FAMILIES:
        telemetry.gauge(family, **labels).set(value)
    telemetry.expect(THROTTLED, **labels)


def throttled(telemetry: Telemetry, policy: str) -> None:
    telemetry.count_open(THROTTLED, **telemetry.policy_labels(SUBSCRIPTION, "west", policy))


def shown(telemetry: Telemetry, family: str, location: str = "west") -> dict[str, float]:
    """The samples of a family on the page, by policy."""
    page = samples(generate_latest(telemetry.registry).decode())
    return {
        dict(labels)["policy"]: value
        for (name, labels), value in page.items()
        if name == PREFIX + family and dict(labels)["location"] == location
    }


def test_of_endless_names_so_many_are_shown_and_the_rest_is_other(telemetry: Telemetry) -> None:
    for number in range(500):
        named(telemetry, f"Policy{number}", value=number)
        throttled(telemetry, f"Policy{number}")
    for family in (*FAMILIES, THROTTLED):
        found = shown(telemetry, family)
        assert found.keys() == {*(f"Policy{number}" for number in range(MOST_NAMES)), OTHER}
    assert shown(telemetry, REMAINING)[OTHER] == 499


def test_every_region_has_names_of_its_own(telemetry: Telemetry) -> None:
    for number in range(100):
        named(telemetry, f"Policy{number}")
    named(telemetry, "Policy99", location="east")
    assert shown(telemetry, REMAINING, "east") == {"Policy99": 1}


def test_letter_case_makes_no_second_series(telemetry: Telemetry) -> None:
    named(telemetry, "HighCost")
    labels = telemetry.policy_labels(SUBSCRIPTION.upper(), "West", "HIGHCOST")
    assert labels == telemetry.policy_labels(SUBSCRIPTION, "west", "HighCost")
    assert shown(telemetry, REMAINING).keys() == {"HighCost"}


async def test_a_name_that_no_answer_has_for_an_hour_goes_and_makes_room(
    telemetry: Telemetry, clock: FakeClock
) -> None:
    for number in range(MOST_NAMES + 1):
        named(telemetry, f"Policy{number}")
    await clock.advance(FORGET_AFTER / 2)
    named(telemetry, "Policy0")
    await clock.advance(FORGET_AFTER / 2)
    for family in (*FAMILIES, THROTTLED):
        assert shown(telemetry, family).keys() == {"Policy0"}
    named(telemetry, "Renamed")
    assert shown(telemetry, REMAINING).keys() == {"Policy0", "Renamed"}
    await clock.advance(FORGET_AFTER)
    assert shown(telemetry, REMAINING) == {}, "though no answer came"


async def test_a_counter_that_went_begins_at_0_and_other_never_falls_back(
    telemetry: Telemetry, clock: FakeClock
) -> None:
    for number in range(MOST_NAMES + 5):
        throttled(telemetry, f"Policy{number}")
    before = 0.0
    for _ in range(8):
        await clock.advance(FORGET_AFTER / 4)
        throttled(telemetry, "Policy1")
        for number in range(MOST_NAMES, MOST_NAMES + 5):
            # While there is room again, they get names of their own.
            throttled(telemetry, f"Policy{number}")
        found = shown(telemetry, THROTTLED)
        assert found.get(OTHER, before) >= before
        before = found.get(OTHER, before)
        assert len(found) <= MOST_NAMES + 1
    assert "Policy0" not in shown(telemetry, THROTTLED)
    throttled(telemetry, "Policy0")
    assert shown(telemetry, THROTTLED)["Policy0"] == 0
    await clock.advance(NEW_LABELS_WAIT)
    assert shown(telemetry, THROTTLED)["Policy0"] == 1


# What was never named before


async def test_a_429_under_an_unknown_policy_is_served_as_0_for_two_minutes_whoever_reads(
    telemetry: Telemetry, clock: FakeClock
) -> None:
    throttled(telemetry, "HighCostGet3Min")
    for _ in range(int(NEW_LABELS_WAIT / 10)):
        assert shown(telemetry, THROTTLED) == {"HighCostGet3Min": 0}
        await clock.advance(5)
        throttled(telemetry, "HighCostGet3Min")
        assert shown(telemetry, THROTTLED) == {"HighCostGet3Min": 0}
        await clock.advance(5)
    assert shown(telemetry, THROTTLED) == {"HighCostGet3Min": 1 + NEW_LABELS_WAIT / 10}
    throttled(telemetry, "HighCostGet3Min")
    assert shown(telemetry, THROTTLED) == {"HighCostGet3Min": 2 + NEW_LABELS_WAIT / 10}


async def test_a_429_under_a_policy_that_headers_have_told_for_long_counts_at_once(
    telemetry: Telemetry, clock: FakeClock
) -> None:
    named(telemetry, "HighCost")
    await clock.advance(NEW_LABELS_WAIT)
    throttled(telemetry, "HighCost")
    assert shown(telemetry, THROTTLED) == {"HighCost": 1}


def test_a_429_right_after_the_first_header_waits_too(telemetry: Telemetry) -> None:
    named(telemetry, "HighCost")
    throttled(telemetry, "HighCost")
    assert shown(telemetry, THROTTLED) == {"HighCost": 0}
