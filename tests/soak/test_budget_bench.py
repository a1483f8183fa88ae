"""The bench of the budget in small: what it measures, and how."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.budget import real_time, trial
from bench.budget.fleets import even, half_flexible, skewed
from bench.budget.meter import Ages, Charges
from bench.budget.targets import targets


def test_the_best_interval_is_what_the_quota_allows() -> None:
    # 180 requests a minute are the half; 20 views a set weigh less.
    assert even(10).best_interval(neighbour=0.0) == 60.0
    assert even(1_000).best_interval(neighbour=0.5) == pytest.approx(1000 / 3)
    # A neighbour that takes 80 percent leaves 72 requests a minute.
    assert even(1_000).best_interval(neighbour=0.8) == pytest.approx(1000 / 1.2)
    # In large sets the views weigh more.
    large = skewed()
    assert large.best_interval(neighbour=0.0) == pytest.approx(large.instances / (5000 / 60))


def test_flexible_sets_have_a_limit_of_their_own_in_the_best_interval() -> None:
    # 500 lists at 180 a minute, and 500 at 150.
    expected = (500 / 3 + 500 / 2.5) / 2
    assert half_flexible(1_000).best_interval(neighbour=0.5) == pytest.approx(expected)
    assert half_flexible(10).best_interval(neighbour=0.0) == 60.0


def test_flexible_sets_are_polled_and_their_lists_counted() -> None:
    result = trial.run(half_flexible(40), "exporter", neighbour=0.0, hour=300.0)
    assert result.throttled == result.throttled_in_warm_up == 0
    assert result.machine_part == pytest.approx(20 / 150, abs=0.02)
    assert result.request_part == pytest.approx(20 / 180, abs=0.02)
    assert result.mean_age == pytest.approx(30.0, abs=4.0)


def test_a_twentieth_of_the_sets_moves() -> None:
    assert (len(even(1_000).sizes), len(even(1_000).moving)) == (950, 50)
    assert (len(skewed().sizes), len(skewed().moving)) == (190, 10)


def test_charges_are_counted_by_the_minute_and_by_any_60_seconds() -> None:
    charges = Charges()
    for time, cost in ((10.0, 9), (650.0, 1), (659.0, 2), (661.0, 3), (710.5, 1)):
        charges.add(time, cost)
    assert charges.since(600.0) == 7
    assert charges.highest_minute(600.0) == 4
    assert charges.highest_span(600.0) == 6


def test_ages_are_weighted_by_instances() -> None:
    ages = Ages({"one": 1, "three": 3}, now=0.0)
    ages.renew("three", 3, 10.0)
    ages.look(20.0)
    assert ages.mean == pytest.approx((20 + 3 * 10) / 4)
    assert ages.oldest(20.0) == 20.0
    ages.renew("unknown", 5, 20.0)
    assert ages.oldest(21.0) == 21.0


@pytest.mark.parametrize("way", ["exporter", "fixed", "round robin"])
def test_a_small_fleet_is_polled_every_minute_by_all(way: trial.Way) -> None:
    result = trial.run(even(4), way, neighbour=0.5, rate=4 / 60, hour=300.0)
    assert result.throttled == result.throttled_in_warm_up == result.neighbour_refused == 0
    assert result.calls == pytest.approx(20, abs=2)
    assert result.mean_age == pytest.approx(30.0, abs=4.0)
    assert result.request_part == pytest.approx(4 / 180, abs=0.01)
    assert 0.2 < result.walk_time < 1.2
    assert result.most_spent <= 1 / 3


def test_a_bucket_of_which_both_took_all_that_flows_back_is_a_third_spent() -> None:
    # 359 requests of a minute are the neighbour's, and one is the only set's.
    result = trial.run(even(1), "round robin", neighbour=359 / 360, rate=1 / 60, hour=180.0)
    assert result.most_spent == 1 / 3
    judged = {t.name.partition(": ")[2]: t for t in targets([replace(result, way="exporter")])}
    assert judged["spent of the bucket"].reached


def test_targets_compare_with_the_baselines() -> None:
    results = [
        trial.run(even(4), way, neighbour=0.0, rate=4 / 60, hour=60.0)
        for way in ("exporter", "fixed")
    ]
    found = {target.name.partition(": ")[2]: target for target in targets(results)}
    assert found["throttled answers"].reached
    assert found["mean age"].reached
    # Nothing is throttled in a small fleet, so F sets no target.
    assert "mean age against F" not in found
    assert not math.isnan(results[0].mean_age)


def test_the_real_time_part_polls_over_sockets_and_judges_what_came_back() -> None:
    result = real_time.run(even(6), minutes=0.05, seed=1)
    assert result.throttled == 0
    assert (result.polled, result.described) == (6, 6)
    assert result.lists == result.gets == 6
    assert 250 - 2 * 6 <= result.least_reads <= 250
    assert 1 <= result.most_at_once <= result.most_in_a_second <= 12
    assert all(target.reached for target in real_time.targets(result))
    judged = real_time.targets(replace(result, throttled=1, polled=0))
    assert [target.reached for target in judged] == [False, False]
    assert "| 429 | 0 |" in real_time.document(result, command="this", facts=[])


def test_the_most_requests_of_any_span_are_counted() -> None:
    assert real_time.most_within([], 1.0) == 0
    assert real_time.most_within([0.0, 0.4, 0.9, 1.0, 1.3, 5.0], 1.0) == 4
