"""Who is polled how often when the budget does not allow what all wish."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.azure.budget import Rates
from exporter.polling.planner import PAGE_PAUSE, PLANNED, QUIET_STRETCH, Demand, Plan, plan

ROOM = Rates(requests=1e9, views=1e9)


def spent(demands: Sequence[Demand], found: Plan) -> tuple[float, float]:
    """Requests and views per second under a plan."""
    return (
        sum(demand.pages / found.interval(demand) for demand in demands),
        sum(demand.views / found.interval(demand) for demand in demands),
    )


def round_robin(demands: Sequence[Demand], rates: Rates) -> float:
    """By how much all would be stretched alike."""
    requests, views = spent(demands, Plan())
    return max(1.0, requests / (rates.requests * PLANNED), views / (rates.views * PLANNED))


def fleet(quiet: int, moving: int, *, wished: float = 60.0, views: int = 20) -> list[Demand]:
    return [Demand(wished, views=views, moving=number < moving) for number in range(quiet + moving)]


@pytest.mark.parametrize("moving", [False, True])
def test_with_room_everyone_gets_the_wished_interval_exactly(moving: bool) -> None:  # noqa: FBT001 - a parameter
    demands = [Demand(wished, views=20, moving=moving) for wished in (6.0, 17.3, 60.0, 3600.0)]
    found = plan(demands, ROOM)
    assert [found.interval(demand) for demand in demands] == [6.0, 17.3, 60.0, 3600.0]


def test_a_fleet_that_just_fits_is_not_stretched() -> None:
    demands = fleet(97, 0, wished=60.0, views=0)
    assert plan(demands, Rates(requests=100 / 60, views=1.0)) == Plan()
    assert plan([*demands, Demand(60.0)], Rates(requests=100 / 60, views=1.0)) != Plan()


def test_no_sets_need_no_plan() -> None:
    assert plan([], Rates(requests=1.0, views=1.0)) == Plan()


def test_a_few_sets_in_motion_come_near_what_they_wish_and_the_quiet_ones_wait_longer() -> None:
    demands = fleet(950, 50)
    rates = Rates(requests=3.0, views=10_000 / 120)
    alike = round_robin(demands, rates)
    found = plan(demands, rates)
    assert 5 < alike < 6
    assert found.moving < 1.6
    assert found.quiet == pytest.approx(alike * QUIET_STRETCH, rel=0.01)


def test_a_single_set_in_motion_has_its_wished_interval_and_the_others_no_more_than_needed() -> (
    None
):
    demands = fleet(999, 1)
    rates = Rates(requests=3.0, views=1e9)
    found = plan(demands, rates)
    assert found.moving == 1.0
    assert found.quiet == pytest.approx(round_robin(demands, rates), rel=0.01)


def test_when_all_sets_are_in_motion_all_are_stretched_alike() -> None:
    demands = fleet(0, 1000)
    rates = Rates(requests=3.0, views=1e9)
    found = plan(demands, rates)
    alike = round_robin(demands, rates)
    assert found.moving == pytest.approx(alike)
    # One that comes to rest before the next plan must not overtake those in motion.
    assert found.quiet >= found.moving


def test_the_more_sets_are_in_motion_the_less_each_of_them_gains() -> None:
    rates = Rates(requests=3.0, views=1e9)
    stretches = [plan(fleet(1000 - moving, moving), rates).moving for moving in range(0, 1001, 50)]
    assert stretches == sorted(stretches)


def test_sets_are_stretched_by_a_factor_so_a_faster_one_stays_faster() -> None:
    demands = [*fleet(500, 0, wished=60.0), *fleet(50, 0, wished=10.0)]
    found = plan(demands, Rates(requests=3.0, views=1e9))
    assert found.interval(demands[0]) == pytest.approx(6 * found.interval(demands[-1]))


def test_views_stretch_as_requests_do() -> None:
    demands = fleet(100, 0, views=1000)
    found = plan(demands, Rates(requests=1e9, views=100.0))
    assert found.quiet == pytest.approx(100 * 1000 / 60 / (100 * PLANNED))


def test_a_set_of_many_pages_is_polled_no_faster_than_its_own_limit_allows() -> None:
    many = Demand(10.0, pages=9, views=1000)
    assert plan([many], ROOM).interval(many) == 9 * PAGE_PAUSE
    assert plan([many, Demand(60.0)], ROOM).interval(Demand(60.0)) == 60.0


def test_a_wish_below_the_pause_is_kept_where_the_endpoint_is_not_azure_s() -> None:
    assert Demand(1.0).interval == 1.0
    assert Demand(1.0, pages=3).interval == 3.0


demand_lists = st.lists(
    st.builds(
        Demand,
        wished=st.floats(min_value=1.0, max_value=3600.0),
        pages=st.integers(min_value=1, max_value=10),
        views=st.integers(min_value=0, max_value=1200),
        moving=st.booleans(),
    ),
    min_size=1,
    max_size=60,
)
rates_of_all_kinds = st.builds(
    Rates,
    requests=st.floats(min_value=1e-3, max_value=10.0),
    views=st.floats(min_value=1e-2, max_value=500.0),
)


@given(demand_lists, rates_of_all_kinds)
def test_the_calls_of_every_plan_fit_the_budget(demands: list[Demand], rates: Rates) -> None:
    requests, views = spent(demands, plan(demands, rates))
    assert requests <= rates.requests * PLANNED * (1 + 1e-9)
    assert views <= rates.views * PLANNED * (1 + 1e-9)


@given(demand_lists, rates_of_all_kinds)
def test_no_set_starves_and_none_is_polled_more_often_than_it_wishes(
    demands: list[Demand], rates: Rates
) -> None:
    found = plan(demands, rates)
    longest = QUIET_STRETCH * round_robin(demands, rates) * (1 + 1e-9)
    for demand in demands:
        assert demand.interval <= found.interval(demand) <= demand.interval * longest


@given(demand_lists, rates_of_all_kinds)
def test_a_set_in_motion_never_waits_longer_than_in_a_round_robin(
    demands: list[Demand], rates: Rates
) -> None:
    assert plan(demands, rates).moving <= round_robin(demands, rates) * (1 + 1e-9)


@given(demand_lists, rates_of_all_kinds)
def test_the_order_of_the_sets_changes_nothing(demands: list[Demand], rates: Rates) -> None:
    found, turned = plan(demands, rates), plan(demands[::-1], rates)
    assert (turned.moving, turned.quiet) == pytest.approx((found.moving, found.quiet))
