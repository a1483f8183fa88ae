"""Which interval is in force for each set: what the polls show goes in, the plan comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from math import inf

from exporter.azure.errors import NoAnswer
from exporter.azure.ratelimit.budget import Budget
from exporter.polling.planner import Demand, Load, Plan, plan_subscription
from exporter.polling.target_state import MODEL_INTERVAL, TargetState
from exporter.runtime.clock import Clock

PLAN_FOR = 5.0
"""Seconds for which a plan is good."""

_Region = tuple[str, str]


class Intervals:
    """The interval in force of every set.

    Args:
        records: the sets.
        budget: what may be spent, and what each set costs.
        clock: the time.
    """

    def __init__(self, records: Iterable[TargetState], *, budget: Budget, clock: Clock) -> None:
        self._records = tuple(records)
        self._budget = budget
        self._clock = clock
        self._plans: dict[_Region, Plan] = {}
        self._planned_until = -inf

    def of(self, record: TargetState) -> float:
        """The seconds between two polls of a set that are in force now."""
        now = self._clock.monotonic()
        return self._plan(record, now).interval(self._demand(record, now))

    def of_model(self, record: TargetState) -> float:
        """The seconds between two GETs of a set that are in force now."""
        now = self._clock.monotonic()
        return self._plan(record, now).get_interval(self._demand(record, now))

    def requested(self, record: TargetState) -> float:
        """The same with room to spare."""
        return self._demand(record, self._clock.monotonic()).interval

    def polled(self, record: TargetState, error: NoAnswer | None) -> None:
        """Take notice of how a poll has ended."""
        now = self._clock.monotonic()
        if error is not None:
            record.activity.failed(error, now)
        elif record.poll.up and record.snapshot is not None:
            record.activity.seen(record.snapshot.mapped, now)

    def _plan(self, record: TargetState, now: float) -> Plan:
        region = _region(record)
        if now >= self._planned_until or region not in self._plans:
            self._plan_all(now)
            self._planned_until = now + PLAN_FOR
        return self._plans[region]

    def _plan_all(self, now: float) -> None:
        # One pass over the sets, whatever the number of regions.
        loads: dict[str, dict[str, Load]] = defaultdict(lambda: defaultdict(Load))
        for record in self._records:
            subscription, location = _region(record)
            loads[subscription][location].add(self._demand(record, now))
        self._plans = {}
        for subscription, its in loads.items():
            rates = {location: self._budget.rates(subscription, location) for location in its}
            plans = plan_subscription(its, rates, self._budget.reads(subscription))
            for location, made in plans.items():
                self._plans[subscription, location] = made

    def _demand(self, record: TargetState, now: float) -> Demand:
        cost = self._budget.expected(record.target.scale_set)
        return Demand(
            requested=record.target.interval,
            pages=max(1, cost.pages) if cost else 1,
            views=cost.views if cost else record.capacity or 0,
            moving=now < record.activity.until,
            get_interval=MODEL_INTERVAL,
        )


def _region(record: TargetState) -> _Region:
    return record.target.scale_set.subscription_id.casefold(), record.location
