"""Who is polled how often when the budget does not allow what all wish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.azure.operation import LIST_INSTANCES
from exporter.azure.ratelimit.budget import Rates
from exporter.polling import planner
from exporter.polling.planner import (
    GETS_PART,
    IDLE_STRETCH,
    PAGE_PAUSE,
    PLANNED,
    Demand,
    Load,
    Plan,
    plan,
)

ROOM = Rates(requests=1e9, views=1e9)


def plan_subscription(
    loads: Mapping[str, Load], rates: Mapping[str, Rates], reads: float
) -> dict[str, Plan]:
    """Plan the Uniform sets of some regions."""
    found = planner.plan_subscription(
        {(region, LIST_INSTANCES): load for region, load in loads.items()},
        {(region, LIST_INSTANCES): its for region, its in rates.items()},
        reads,
    )
    return {region: plan for (region, _), plan in found.items()}


def planned(demands: Sequence[Demand], rates: Rates) -> Plan:
    return plan(Load.of(demands), rates)


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


def fleet(idle: int, active: int, *, requested: float = 60.0, views: int = 20) -> list[Demand]:
    return [
        Demand(requested, views=views, active=number < active) for number in range(idle + active)
    ]


@pytest.mark.parametrize("active", [False, True])
def test_with_room_everyone_gets_the_wished_interval_exactly(active: bool) -> None:  # noqa: FBT001 - a parameter
    demands = [
        Demand(requested, views=20, active=active) for requested in (6.0, 17.3, 60.0, 3600.0)
    ]
    found = planned(demands, ROOM)
    assert [found.interval(demand) for demand in demands] == [6.0, 17.3, 60.0, 3600.0]


def test_a_fleet_that_just_fits_is_not_stretched() -> None:
    demands = fleet(97, 0, requested=60.0, views=0)
    assert planned(demands, Rates(requests=100 / 60, views=1.0)) == Plan()
    assert planned([*demands, Demand(60.0)], Rates(requests=100 / 60, views=1.0)) != Plan()


def test_no_sets_need_no_plan() -> None:
    assert planned([], Rates(requests=1.0, views=1.0)) == Plan()


def test_a_few_sets_in_motion_come_near_what_they_wish_and_the_quiet_ones_wait_longer() -> None:
    demands = fleet(950, 50)
    rates = Rates(requests=3.0, views=10_000 / 120)
    alike = round_robin(demands, rates)
    found = planned(demands, rates)
    assert 5 < alike < 6
    assert found.active < 1.6
    assert found.idle == pytest.approx(alike * IDLE_STRETCH, rel=0.01)


def test_a_single_set_in_motion_has_its_wished_interval_and_the_others_no_more_than_needed() -> (
    None
):
    demands = fleet(999, 1)
    rates = Rates(requests=3.0, views=1e9)
    found = planned(demands, rates)
    assert found.active == 1.0
    assert found.idle == pytest.approx(round_robin(demands, rates), rel=0.01)


def test_when_all_sets_are_in_motion_all_are_stretched_alike() -> None:
    demands = fleet(0, 1000)
    rates = Rates(requests=3.0, views=1e9)
    found = planned(demands, rates)
    alike = round_robin(demands, rates)
    assert found.active == pytest.approx(alike)
    # One that comes to rest before the next plan must not overtake those active.
    assert found.idle >= found.active


def test_the_more_sets_are_in_motion_the_less_each_of_them_gains() -> None:
    rates = Rates(requests=3.0, views=1e9)
    stretches = [
        planned(fleet(1000 - active, active), rates).active for active in range(0, 1001, 50)
    ]
    assert stretches == sorted(stretches)


def test_sets_are_stretched_by_a_factor_so_a_faster_one_stays_faster() -> None:
    demands = [*fleet(500, 0, requested=60.0), *fleet(50, 0, requested=10.0)]
    found = planned(demands, Rates(requests=3.0, views=1e9))
    assert found.interval(demands[0]) == pytest.approx(6 * found.interval(demands[-1]))


def test_views_stretch_as_requests_do() -> None:
    demands = fleet(100, 0, views=1000)
    found = planned(demands, Rates(requests=1e9, views=100.0))
    assert found.idle == pytest.approx(100 * 1000 / 60 / (100 * PLANNED))


def test_a_set_of_many_pages_is_polled_no_faster_than_its_own_limit_allows() -> None:
    many = Demand(10.0, pages=9, views=1000)
    assert planned([many], ROOM).interval(many) == 9 * PAGE_PAUSE
    assert planned([many, Demand(60.0)], ROOM).interval(Demand(60.0)) == 60.0


def test_a_wish_below_the_pause_is_kept_where_the_endpoint_is_not_azure_s() -> None:
    assert Demand(1.0).interval == 1.0
    assert Demand(1.0, pages=3).interval == 3.0


demand_lists = st.lists(
    st.builds(
        Demand,
        requested=st.floats(min_value=1.0, max_value=3600.0),
        pages=st.integers(min_value=1, max_value=10),
        views=st.integers(min_value=0, max_value=1200),
        active=st.booleans(),
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
    requests, views = spent(demands, planned(demands, rates))
    assert requests <= rates.requests * PLANNED * (1 + 1e-9)
    assert views <= rates.views * PLANNED * (1 + 1e-9)


@given(demand_lists, rates_of_all_kinds)
def test_no_set_starves_and_none_is_polled_more_often_than_it_wishes(
    demands: list[Demand], rates: Rates
) -> None:
    found = planned(demands, rates)
    longest = IDLE_STRETCH * round_robin(demands, rates) * (1 + 1e-9)
    for demand in demands:
        assert demand.interval <= found.interval(demand) <= demand.interval * longest


@given(demand_lists, rates_of_all_kinds)
def test_a_set_in_motion_never_waits_longer_than_in_a_round_robin(
    demands: list[Demand], rates: Rates
) -> None:
    assert planned(demands, rates).active <= round_robin(demands, rates) * (1 + 1e-9)


@given(demand_lists, rates_of_all_kinds)
def test_the_order_of_the_sets_changes_nothing(demands: list[Demand], rates: Rates) -> None:
    found, turned = planned(demands, rates), planned(demands[::-1], rates)
    assert (turned.active, turned.idle) == pytest.approx((found.active, found.idle))


# The GETs of the sets, and the Resource Manager's limit over all regions

rates_of_region = st.builds(
    Rates,
    requests=st.floats(min_value=0.01, max_value=20),
    views=st.floats(min_value=1, max_value=1e5),
    gets=st.floats(min_value=0.01, max_value=40),
)


def read_per_second(loads: dict[str, Load], plans: dict[str, Plan]) -> tuple[float, float]:
    """Lists and GETs per second that reach the Resource Manager."""
    lists = sum(load.lists(plans[region]) for region, load in loads.items())
    return lists, sum(load.gets / plans[region].gets for region, load in loads.items())


def test_gets_above_their_own_limit_are_stretched_and_lists_are_not() -> None:
    demands = [Demand(3600.0, get_interval=300.0)] * 2500
    found = planned(demands, Rates(requests=3.0, views=1e9, gets=400 / 60))
    assert found.interval(demands[0]) == 3600.0
    assert found.get_interval(demands[0]) == pytest.approx(2500 * 60 / (400 * PLANNED))


def test_lists_above_their_limit_do_not_stretch_the_gets() -> None:
    demands = [Demand(60.0, get_interval=300.0)] * 1000
    found = planned(demands, Rates(requests=3.0, views=1e9, gets=400 / 60))
    assert found.get_interval(demands[0]) == 300.0
    assert found.interval(demands[0]) > 300.0


def test_regions_that_fit_each_but_not_together_share_the_subscription_s_reads() -> None:
    loads = {
        f"region{number}": Load.of([Demand(60.0, get_interval=300.0)] * 170) for number in range(10)
    }
    rates = dict.fromkeys(loads, Rates(requests=3.0, views=1e9, gets=400 / 60))
    plans = plan_subscription(loads, rates, 12.5)
    lists, gets = read_per_second(loads, plans)
    assert lists + gets == pytest.approx(12.5 * PLANNED)
    assert gets == pytest.approx(12.5 * PLANNED * GETS_PART)
    assert len(set(plans.values())) == 1, "alike regions are treated alike"


def test_one_busy_region_leaves_the_others_their_part_of_the_reads() -> None:
    busy = Load.of([Demand(60.0, get_interval=300.0)] * 5000)
    small = Load.of([Demand(60.0, get_interval=300.0)] * 60)
    loads = {"busy": busy, "small": small}
    rates = dict.fromkeys(loads, Rates(requests=3.0, views=1e9, gets=400 / 60))
    plans = plan_subscription(loads, rates, 3.0)
    assert sum(read_per_second(loads, plans)) <= 3.0
    assert plans["small"].idle < plans["busy"].idle / 10


def test_sets_of_unknown_region_are_counted_in_every_region_and_once_in_the_subscription() -> None:
    loads = {
        "": Load.of([Demand(60.0)] * 180),
        "west": Load.of([Demand(60.0)] * 180),
        "east": Load.of([Demand(60.0)] * 10),
    }
    rates = dict.fromkeys(loads, Rates(requests=3.0, views=1e9))
    plans = plan_subscription(loads, rates, 1e9)
    assert plans["west"].idle == pytest.approx(2 / PLANNED)
    assert plans["east"].idle == pytest.approx(190 / 180 / PLANNED)
    assert plan_subscription(loads, rates, 6.0) == plans


@given(
    st.dictionaries(
        st.sampled_from(["", "west", "east", "north"]),
        st.tuples(st.integers(0, 400), st.integers(0, 20), rates_of_region),
        min_size=1,
    ),
    st.floats(min_value=0.05, max_value=30),
)
def test_no_plan_spends_more_than_any_of_the_limits(
    regions: dict[str, tuple[int, int, Rates]], reads: float
) -> None:
    loads = {
        region: Load.of(
            [
                Demand(
                    60.0, pages=1 + number % 3, views=50, active=number < active, get_interval=300.0
                )
                for number in range(idle + active)
            ]
        )
        for region, (idle, active, _) in regions.items()
    }
    rates = {region: its for region, (_, _, its) in regions.items()}
    plans = plan_subscription(loads, rates, reads)
    assert sum(read_per_second(loads, plans)) <= reads * PLANNED * (1 + 1e-9)
    for region, load in loads.items():
        made = plans[region]
        assert load.lists(made) <= rates[region].requests * PLANNED * (1 + 1e-9)
        assert load.gets / made.gets <= rates[region].gets * PLANNED * (1 + 1e-9)
        assert min(made.active, made.idle, made.gets) >= 1
