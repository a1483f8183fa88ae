"""Which interval is in force for each set: what the polls show goes in, the plan comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import inf

from exporter.azure.errors import NoAnswer
from exporter.azure.operation import Operation
from exporter.azure.ratelimit.budget import Budget, Rates
from exporter.polling.planner import Demand, Load, Part, Plan, plan_subscription
from exporter.polling.target_state import MODEL_INTERVAL, TargetState
from exporter.polling.targets import Observer
from exporter.runtime.clock import Clock

PLAN_FOR = 5.0
"""Seconds for which a plan is good."""

_Region = tuple[str, str, Operation]
_UNPLANNED = Plan()


class Intervals(Observer):
    """The interval in force of every set.

    Args:
        targets: the sets that are polled now.
        budget: what may be spent, and what each set costs.
    """

    def __init__(self, targets: Iterable[TargetState], *, budget: Budget, clock: Clock) -> None:
        self._targets = targets
        self._budget = budget
        self._clock = clock
        self._plans: dict[_Region, Plan] = {}
        self._planned_until = -inf

    def of(self, state: TargetState) -> float:
        """The seconds between two polls of a set that are in force now."""
        now = self._clock.monotonic()
        return self._plan(state, now).interval(self._demand(state, now))

    def of_model(self, state: TargetState) -> float:
        """The seconds between two GETs of a set that are in force now."""
        now = self._clock.monotonic()
        return MODEL_INTERVAL * self._plan(state, now).gets

    def requested(self, state: TargetState) -> float:
        """The same with room to spare."""
        return self._demand(state, self._clock.monotonic()).interval

    def polled(self, state: TargetState, error: NoAnswer | None) -> None:
        """Record how a poll has ended."""
        now = self._clock.monotonic()
        if error is not None:
            state.activity.failed(error, now)
        elif state.data.poll.up and state.data.snapshot is not None:
            state.activity.observe(state.data.snapshot.mapped, now)

    def plan_anew(self) -> None:
        """Plan with what is known now, though the plan in force is not old."""
        self._planned_until = 0.0

    def removed(self, state: TargetState) -> None:
        """Let the budget forget what polls of a target cost."""
        self._budget.forget(state.target.scale_set)

    def _plan(self, state: TargetState, now: float) -> Plan:
        region = _region(state)
        if now >= self._planned_until or region not in self._plans:
            self._plan_all(now)
            self._planned_until = now + PLAN_FOR
        # None for a set that is not a target any more, whose last task may still ask.
        return self._plans.get(region, _UNPLANNED)

    def _plan_all(self, now: float) -> None:
        # One pass over the sets, whatever the number of regions.
        loads: dict[str, dict[Part, Load]] = defaultdict(lambda: defaultdict(Load))
        for state in self._targets:
            subscription, location, operation = _region(state)
            loads[subscription][location, operation].add(self._demand(state, now))
        self._plans = {}
        for subscription, its in loads.items():
            rates = {part: self._rates(subscription, part, its) for part in its}
            plans = plan_subscription(its, rates, self._budget.reads(subscription))
            for (location, operation), made in plans.items():
                self._plans[subscription, location, operation] = made

    def _rates(self, subscription: str, part: Part, loads: Mapping[Part, Load]) -> Rates:
        """What the sets of one kind in a region may spend: the limit on GETs is shared by all."""
        rates = self._budget.rates(subscription, *part)
        gets = sum(load.gets for (location, _), load in loads.items() if location == part[0])
        own = loads[part].gets
        return replace(rates, gets=rates.gets * own / gets) if own else rates

    def _demand(self, state: TargetState, now: float) -> Demand:
        cost = self._budget.expected(state.target.scale_set)
        return Demand(
            requested=state.target.interval,
            pages=max(1, cost.pages) if cost else 1,
            views=cost.views if cost else state.capacity or 0,
            active=now < state.activity.until,
            # A list of scale sets tells the models of those that are discovered.
            get_interval=MODEL_INTERVAL if state.target.origin == "configured" else inf,
        )


def _region(state: TargetState) -> _Region:
    subscription = state.target.scale_set.subscription_id.casefold()
    return subscription, state.location, state.data.list_operation
