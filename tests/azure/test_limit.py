"""How much of a limit may be spent: down at once, up slowly, and never by one odd header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.azure.ratelimit.limit import (
    EMPTY_LEVEL,
    FULL_SHARE_LEVEL,
    LEAST,
    MOST_POLICIES,
    NEAR,
    PERIOD,
    RISE,
    WINDOW,
    Charges,
    Limit,
    Policy,
)
from exporter.policy_names import FORGET_AFTER

NAME = "HighCostGetVMScaleSetSubscriptionMaximum"
FULL = 1080.0
FLOWS_BACK = 360.0


def policy(name: str = NAME, capacity: float = FULL) -> Policy:
    return Policy(name, now=0.0, capacity=capacity)


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_before_any_answer_the_share_of_the_documented_refill_may_be_spent(share: float) -> None:
    assert policy().per_minute(0.0, share) == pytest.approx(share * FLOWS_BACK)


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("HighCostGetVMScaleSet3Min", 3),
        ("HighCostGetVMScaleSet30Min", 30),
        ("highcostgetvmscaleset30MIN", 30),
        ("HighCost0Min", 1),
        ("HighCostMin", 3),
        ("HighCost5MinMore", 3),
        ("", 3),
    ],
)
def test_the_old_generation_s_names_tell_in_how_many_minutes_a_bucket_flows_back(
    name: str, minutes: int
) -> None:
    assert policy(name, 900.0).per_minute(0.0, 1.0) == pytest.approx(900 / minutes)


def test_while_the_bucket_stays_half_full_the_whole_share_may_be_spent() -> None:
    kept = policy()
    for now, level in enumerate([1.0, 0.67, 0.5, FULL_SHARE_LEVEL]):
        kept.seen(FULL * level, float(now))
        assert kept.per_minute(now, 0.5) == pytest.approx(180)


@pytest.mark.parametrize("level", [0.49, 0.3, 0.2])
def test_below_that_the_share_shrinks_with_the_level_at_once(level: float) -> None:
    kept = policy()
    kept.seen(FULL, 0.0)
    kept.seen(FULL * level, 0.0)
    part = (level - EMPTY_LEVEL) / (FULL_SHARE_LEVEL - EMPTY_LEVEL)
    assert kept.per_minute(0.0, 0.5) == pytest.approx(180 * part)


@pytest.mark.parametrize("remaining", [0, 1, 108])
def test_a_drained_bucket_leaves_a_little_to_learn_by(remaining: int) -> None:
    kept = policy()
    kept.seen(remaining, 0.0)
    assert kept.per_minute(0.0, 0.5) == pytest.approx(180 * LEAST)


def test_what_was_taken_away_comes_back_slowly() -> None:
    kept = policy()
    kept.seen(0, 0.0)
    for minute in range(20):
        kept.seen(FULL, minute * 60.0)
        part = min(1.0, LEAST + RISE * minute)
        assert kept.per_minute(minute * 60.0, 0.5) == pytest.approx(180 * part)


def test_it_comes_back_no_further_than_the_level_allows() -> None:
    kept = policy()
    for now in range(0, 500, 10):
        kept.seen(FULL * 0.3, float(now))
    assert kept.per_minute(500.0, 0.5) == pytest.approx(90)


def test_a_smaller_bucket_than_documented_lowers_the_share_at_once_and_is_learned() -> None:
    kept = policy()
    kept.seen(200, 0.0)
    assert kept.per_minute(0.0, 1.0) < 80
    for now in range(10, 3600, 10):
        kept.seen(200, float(now))
    assert kept.per_minute(3600.0, 1.0) == pytest.approx(200 / 3)


def test_a_larger_bucket_than_documented_is_believed_slowly() -> None:
    kept = policy()
    before = kept.per_minute(0.0, 1.0)
    for now in range(10, 1200, 10):
        kept.seen(2900, float(now))
        found = kept.per_minute(now, 1.0)
        assert found <= before * (1 + RISE / 6 + 1e-9)
        before = found
    assert before == pytest.approx(2900 / 3)


def test_a_bucket_seen_nearly_full_is_as_large_as_believed() -> None:
    kept = policy()
    for now in range(0, 3600, 10):
        kept.seen(1040, float(now))
    assert kept.per_minute(3600.0, 1.0) == pytest.approx(FLOWS_BACK)


@pytest.mark.parametrize("nonsense", [10**14, 10**6, 1081])
def test_one_header_with_nonsense_changes_little_and_not_for_long(nonsense: int) -> None:
    kept = policy()
    for now in range(0, 600, 10):
        kept.seen(1000, float(now))
    kept.seen(nonsense, 600.0)
    for now in range(601, 601 + 2 * int(PERIOD) + 10, 10):
        kept.seen(1000, float(now))
        assert 0.9 * FLOWS_BACK < kept.per_minute(now, 1.0) <= FLOWS_BACK * (1 + RISE)
    assert kept.per_minute(2000.0, 1.0) <= FLOWS_BACK


def test_a_refusal_halves_what_may_be_spent_and_it_comes_back_slowly_without_any_header() -> None:
    kept = policy()
    kept.refused(0.0)
    assert kept.per_minute(0.0, 0.5) == pytest.approx(90)
    kept.refused(0.0)
    assert kept.per_minute(0.0, 0.5) == pytest.approx(45)
    assert kept.per_minute(60.0, 0.5) == pytest.approx(45 + 180 * RISE)
    assert kept.per_minute(600.0, 0.5) == pytest.approx(180)


def test_refusals_without_end_leave_the_least() -> None:
    kept = policy()
    for _ in range(50):
        kept.refused(0.0)
    assert kept.per_minute(0.0, 0.5) == pytest.approx(180 * LEAST)


def test_what_was_said_long_ago_no_longer_counts() -> None:
    kept = policy()
    kept.seen(0, 0.0)
    assert kept.per_minute(PERIOD - 1, 0.5) == pytest.approx(180 * LEAST)
    assert kept.per_minute(PERIOD + 3600, 0.5) == pytest.approx(180)


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=0, max_value=700),
            st.one_of(st.none(), st.integers(min_value=0, max_value=10**15)),
        ),
        max_size=60,
    )
)
def test_whatever_azure_says_what_may_be_spent_rises_by_no_more_than_a_little(
    steps: list[tuple[float, int | None]],
) -> None:
    kept, now = policy(), 0.0
    before = kept.per_minute(now, 0.5)
    for passed, remaining in steps:
        now += passed
        if remaining is None:
            kept.refused(now)
        else:
            kept.seen(remaining, now)
        found = kept.per_minute(now, 0.5)
        assert found > 0
        whole = 0.5 * kept._capacity / 3
        # One that is seen nearly full is taken for as large as believed.
        larger = (1 + RISE) / NEAR
        assert found <= (larger * before + RISE * passed / 60 * whole) * (1 + 1e-9)
        before = found


def test_charges_count_for_a_minute() -> None:
    charges = Charges()
    charges.add(3, 0.0)
    charges.add(4, 30.0)
    assert charges.total(59.9) == 7
    assert charges.total(60.0) == 4
    assert charges.total(90.0) == 0


def test_a_wait_is_until_enough_charges_are_a_minute_old() -> None:
    charges = Charges()
    charges.add(3, 0.0)
    charges.add(4, 30.0)
    assert charges.wait(3, 40.0) == 20.0
    assert charges.wait(3.5, 40.0) == 50.0
    assert charges.wait(8, 40.0) == float("inf")


def test_the_lowest_of_all_policies_counts() -> None:
    limit = Limit(NAME, FULL, 0.0)
    limit.seen(NAME, FULL, 0.0)
    limit.seen("Renamed", 324, 0.0)
    assert limit.per_minute(0.0, 0.5) == pytest.approx(90)


def test_a_policy_that_azure_no_longer_names_is_forgotten() -> None:
    limit = Limit(NAME, FULL, 0.0)
    limit.seen("OnceOnly", 0, 0.0)
    for now in range(0, int(PERIOD), 10):
        limit.seen(NAME, FULL, float(now))
        assert limit.per_minute(now, 0.5) == pytest.approx(180 * LEAST)
    limit.seen(NAME, FULL, PERIOD)
    assert limit.per_minute(PERIOD, 0.5) == pytest.approx(180)


def test_headers_cannot_make_any_number_of_policies() -> None:
    limit = Limit(NAME, FULL, 0.0)
    for number in range(1000):
        limit.seen(f"Policy{number}", FULL, 0.0)
    assert len(limit.policies) == MOST_POLICIES


def test_a_refusal_under_a_name_that_no_header_had_counts_for_all_policies() -> None:
    limit = Limit(NAME, FULL, 0.0)
    limit.seen("Other", FULL, 0.0)
    limit.refused("Other", 0.0)
    assert limit.policies[NAME].per_minute(0.0, 0.5) == pytest.approx(180)
    limit.refused("Unheard", 0.0)
    assert limit.policies[NAME].per_minute(0.0, 0.5) == pytest.approx(90)
    assert limit.policies["Other"].per_minute(0.0, 0.5) == pytest.approx(45)


def test_what_is_held_counts_as_spent() -> None:
    limit = Limit(NAME, FULL, 0.0)
    limit.reserved["somebody"] = 175.0
    assert limit.wait(5, 0.0, 0.5) == 0.0
    assert limit.wait(6, 0.0, 0.5) == float("inf")


def test_a_cost_above_the_allowance_waits_until_nothing_else_was_spent_for_a_minute() -> None:
    limit = Limit(NAME, FULL, 0.0)
    assert limit.wait(1e6, 0.0, 0.5) == 0.0
    limit.charge(1, 10.0)
    assert limit.wait(1e6, 20.0, 0.5) == 10.0 + WINDOW - 20.0


def test_a_policy_that_no_answer_named_for_an_hour_makes_room_for_another() -> None:
    limit = Limit(NAME, FULL, 0.0)
    for number in range(MOST_POLICIES):
        limit.seen(f"Policy{number}", FULL, 0.0)
    assert limit.seen("Late", FULL, 1.0) is None
    limit.answered([NAME], FORGET_AFTER)
    assert limit.policies.keys() == {NAME}
    assert limit.seen("Late", FULL, FORGET_AFTER) is limit.policies["Late"]
