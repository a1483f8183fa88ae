"""What may be spent of one limit: documented at first, then by what Azure says remains."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.azure.allowance import LEAST, PERIOD, Charges, Limit, Policy

NAME = "HighCostGetVMScaleSetSubscriptionMaximum"


def policy(capacity: float = 1080.0, name: str = NAME) -> Policy:
    return Policy(name, now=0.0, capacity=capacity)


def test_at_the_start_the_documented_refill_is_shared() -> None:
    assert policy().per_minute(0.0, 0.5) == 180.0
    assert policy().per_minute(0.0, 1.0) == 360.0


def test_a_bucket_that_is_half_full_or_fuller_leaves_the_whole_share() -> None:
    found = policy()
    for remaining in (1080, 900, 700, 540):
        found.seen(remaining, 1.0)
        assert found.per_minute(1.0, 0.5) == 180.0


def test_a_bucket_that_others_empty_makes_us_yield_at_once() -> None:
    found = policy()
    found.seen(1080, 0.0)
    found.seen(324, 1.0)
    assert found.per_minute(1.0, 0.5) == pytest.approx(90.0)
    found.seen(0, 2.0)
    assert found.per_minute(2.0, 0.5) == pytest.approx(180.0 * LEAST)


def test_what_was_given_up_comes_back_a_tenth_of_the_share_a_minute() -> None:
    found = policy()
    found.seen(0, 0.0)
    found.seen(1080, 0.0)
    shares = [found.per_minute(60.0 * minute, 0.5) / 180.0 for minute in range(12)]
    assert shares[:3] == pytest.approx([0.05, 0.15, 0.25])
    assert shares[-1] == 1.0


def test_a_bucket_that_is_larger_than_documented_is_used() -> None:
    found = policy()
    found.seen(3000, 0.0)
    assert found.per_minute(0.0, 0.5) == 500.0


def test_a_bucket_that_is_never_as_full_as_documented_is_believed_smaller() -> None:
    found = policy()
    for minute in range(int(2 * PERIOD / 60) + 2):
        found.seen(300, 60.0 * minute)
    later = 2 * PERIOD + 900.0
    assert found.per_minute(later, 0.5) == pytest.approx(50.0)


def test_a_429_halves_what_is_spent_and_the_headers_bring_it_back() -> None:
    found = policy()
    found.refused(0.0)
    assert found.per_minute(0.0, 0.5) == 90.0
    assert found.per_minute(600.0, 0.5) == 90.0, "without an answer nothing is known to be better"
    found.seen(1080, 600.0)
    assert found.per_minute(600.0, 0.5) == 90.0
    assert found.per_minute(1200.0, 0.5) == 180.0


def test_many_429_leave_enough_to_learn_when_it_is_over() -> None:
    found = policy()
    for _ in range(100):
        found.refused(0.0)
    assert found.per_minute(0.0, 0.5) == pytest.approx(180.0 * LEAST)


@pytest.mark.parametrize(
    ("name", "minutes"),
    [("HighCostGetVMScaleSet3Min", 3), ("HighCostGetVMScaleSet30Min", 30), ("Whatever", 3)],
)
def test_a_name_of_the_old_generation_tells_how_soon_the_bucket_fills(
    name: str, minutes: int
) -> None:
    found = policy(capacity=0.0, name=name)
    found.seen(900, 0.0)
    assert found.per_minute(0.0, 1.0) == pytest.approx(900 / minutes)


def test_a_limit_that_nobody_knows_is_none_until_azure_names_it() -> None:
    assert policy(capacity=0.0).per_minute(0.0, 0.5) == math.inf


@given(st.lists(st.tuples(st.floats(0, 120), st.integers(0, 10**7) | st.none()), max_size=60))
def test_whatever_azure_says_a_share_is_spent_and_never_more_than_the_share(
    answers: list[tuple[float, int | None]],
) -> None:
    found, now, highest = policy(), 0.0, 1080.0
    for pause, remaining in answers:
        now += pause
        if remaining is None:
            found.refused(now)
        else:
            found.seen(remaining, now)
            highest = max(highest, remaining)
        assert 0 < found.per_minute(now, 0.5) <= 0.5 * highest / 3 + 1e-6 or highest == 0


def test_a_charge_counts_for_a_minute() -> None:
    charges = Charges()
    charges.add(3, 0.0)
    charges.add(2, 30.0)
    assert [charges.total(now) for now in (0.0, 59.9, 60.0, 89.9, 90.0)] == [5, 5, 2, 2, 0]


def test_the_wait_is_until_enough_of_the_charges_are_old() -> None:
    charges = Charges()
    charges.add(3, 0.0)
    charges.add(2, 30.0)
    assert charges.wait(3, 40.0) == 20.0
    assert charges.wait(4, 40.0) == 50.0
    assert charges.wait(6, 40.0) == math.inf


def test_every_policy_of_a_limit_must_allow_a_cost() -> None:
    limit = Limit(NAME, 1080.0, 0.0)
    limit.policies["Other"] = policy(capacity=90.0, name="Other")
    assert limit.per_minute(0.0, 1.0) == 30.0
    assert limit.wait(30, 0.0, 1.0) == 0.0
    limit.charge(30, 0.0)
    assert limit.wait(1, 10.0, 1.0) == 50.0


def test_a_cost_beyond_the_whole_allowance_fits_after_a_minute_of_rest() -> None:
    limit = Limit(NAME, 1080.0, 0.0)
    assert limit.wait(10_000, 0.0, 0.5) == 0.0
    limit.charge(1, 0.0)
    assert limit.wait(10_000, 0.0, 0.5) == 60.0
