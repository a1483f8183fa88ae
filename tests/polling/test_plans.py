"""How a region's budget is shared out between the sets that want to be polled."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.azure.budget import Rates
from exporter.polling.planner import PLANNED, QUIET_STRETCH, Demand, Plan, plan

ROUNDING = 1 + 1e-9
RATES = Rates(requests=3.0, views=83.0)


def spent(demands: list[Demand], made: Plan) -> tuple[float, float]:
    """Requests and VM views per second, when everybody keeps to the plan."""
    return (
        sum(demand.pages / made.interval(demand) for demand in demands),
        sum(demand.views / made.interval(demand) for demand in demands),
    )


def test_with_room_to_spare_everybody_has_the_wished_interval_exactly() -> None:
    demands = [Demand(wished=60.0, views=20)] * 100 + [Demand(wished=30.0, moving=True)]
    made = plan(demands, RATES)
    assert {made.interval(demand) for demand in demands} == {60.0, 30.0}


def test_without_room_sets_in_motion_come_near_their_wish_and_quiet_ones_wait_a_little_more() -> (
    None
):
    quiet, moving = Demand(wished=60.0, views=20), Demand(wished=60.0, views=20, moving=True)
    made = plan([quiet] * 950 + [moving] * 50, RATES)
    round_robin = 1000 / (RATES.requests * PLANNED)
    assert made.interval(moving) < 0.4 * round_robin
    assert made.interval(quiet) <= QUIET_STRETCH * round_robin * ROUNDING


def test_with_few_in_motion_the_quiet_ones_are_not_stretched_more_than_needed() -> None:
    quiet, moving = Demand(wished=60.0), Demand(wished=60.0, moving=True)
    demands = [quiet] * 999 + [moving]
    made = plan(demands, RATES)
    assert made.interval(moving) == 60.0
    requests, _ = spent(demands, made)
    assert requests == pytest.approx(RATES.requests * PLANNED)


def test_the_scarcer_of_requests_and_views_decides() -> None:
    large = [Demand(wished=60.0, pages=9, views=1000)] * 50
    made = plan(large, RATES)
    assert made.interval(large[0]) == pytest.approx(50 * 1000 / (RATES.views * PLANNED))


def test_no_set_is_walked_more_often_than_its_own_limit_allows() -> None:
    assert Demand(wished=10.0, pages=9).interval == 54.0
    assert Demand(wished=60.0, pages=9).interval == 60.0
    assert Demand(wished=0.1, pages=1).interval == 0.1, "not Azure's"


demands_of_any_kind = st.lists(
    st.builds(
        Demand,
        wished=st.floats(0.1, 3600),
        pages=st.integers(1, 60),
        views=st.integers(0, 6000),
        moving=st.booleans(),
    ),
    max_size=40,
)
rates_of_any_kind = st.builds(
    Rates, requests=st.floats(0.01, 100), views=st.floats(0.01, 10_000) | st.just(math.inf)
)


@given(demands_of_any_kind, rates_of_any_kind)
def test_every_plan_is_within_the_budget_starves_nobody_and_is_never_hastier_than_wished(
    demands: list[Demand], rates: Rates
) -> None:
    made = plan(demands, rates)
    requests, views = spent(demands, made)
    assert requests <= rates.requests * PLANNED * ROUNDING
    assert views <= rates.views * PLANNED * ROUNDING
    alike = max(
        1.0,
        sum(one.pages / one.interval for one in demands) / (rates.requests * PLANNED),
        sum(one.views / one.interval for one in demands) / (rates.views * PLANNED),
    )
    for demand in demands:
        longest = QUIET_STRETCH * alike * demand.interval * ROUNDING
        assert demand.interval <= made.interval(demand) <= longest
    if {demand.moving for demand in demands} == {True, False}:
        assert made.moving <= made.quiet * ROUNDING
