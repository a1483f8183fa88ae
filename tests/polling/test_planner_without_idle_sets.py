"""A plan for a region in which every set is active or in trouble, as in an outage."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exporter.azure.ratelimit.budget import Rates
from exporter.polling.planner import Demand, Load, Plan, plan


def planned(demands: Sequence[Demand], rates: Rates) -> Plan:
    return plan(Load.of(demands), rates)


def test_sets_that_are_all_in_trouble_share_what_there_is() -> None:
    demands = [Demand(requested=60.0, active=True)] * 120
    made = planned(demands, Rates(requests=1.0, views=1000.0))
    spent = sum(1 / made.interval(demand) for demand in demands)
    assert spent == pytest.approx(0.97)


def test_a_region_without_sets_is_not_stretched() -> None:
    assert planned([], Rates(requests=1.0, views=1.0)) == Plan()
