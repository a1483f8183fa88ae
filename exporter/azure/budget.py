"""What the exporter may spend of Azure's read limits, and what it has spent.

The limits are those of the subscription and region of a scale set (`allowance.py` tells how they
are learned). In any minute the exporter's charges stay within `polling.budget_share` of what flows
back: a charge counts from the answer on for a minute, and a call that is under way counts too.
The Resource Manager's own limit, of a subscription over all regions, paces the requests
(`pacing.py`).
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from multidict import MultiMapping

from exporter.azure.allowance import WINDOW, Limit, Policy, is_plausible, limit_of
from exporter.azure.operation import GET_SCALE_SET, LIST_INSTANCES, Operation
from exporter.azure.pacing import BURST, Pace
from exporter.azure.ratelimit import CHARGE, charge_of, remaining_of_arm, remaining_of_compute
from exporter.azure.spending import PAGE_INSTANCES, Cost, Region, Spending, Walk
from exporter.model.scale_set import ScaleSetId
from exporter.policy_names import OTHER
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

DEFAULT_SHARE = 0.5

LONG_WALK = 20
"""Pages after which a walk goes before no turn any more: no set of Azure's has as many."""
HOLD = 10.0
"""Seconds for which what a poll needs is held for it until its first request."""

RECHECK = 0.5
"""Seconds until a wait looks again that waits for calls under way, not for the minute's end."""

_Key = tuple[str, str]
_MOMENT = 0.001


@dataclass(frozen=True, slots=True)
class Rates:
    """What may be spent in a region, per second: on instance lists, and on GETs of the sets."""

    requests: float
    views: float
    gets: float = math.inf


@dataclass(frozen=True, slots=True)
class _Call:
    operation: Operation
    scale_set: ScaleSetId
    location: str

    @property
    def key(self) -> tuple[str, ...]:
        return (self.operation.name, *self.scale_set.key)


class Budget:
    """Gives out what may be spent, and learns from every answer what that is.

    Args:
        clock: the time.
        telemetry: shows how much of the budget is used.
        share: the part of Azure's limits that the exporter may use, up to 1.
        burst: requests of one subscription that may go out at the same moment.

    Attributes:
        share: the same; it may be changed at any time.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        telemetry: Telemetry,
        share: float = DEFAULT_SHARE,
        burst: float = BURST,
    ) -> None:
        self.share = share
        self._burst = burst
        self._clock = clock
        self._telemetry = telemetry
        self._regions: dict[_Key, Region] = {}
        self._walks: dict[tuple[str, ...], Walk] = {}
        self._costs: dict[tuple[str, ...], Cost] = {}
        self._paces: dict[str, Pace] = {}

    def rates(self, subscription_id: str, location: str) -> Rates:
        """What may be spent in a region by Compute's limits."""
        now = self._clock.monotonic()
        region = self._region(subscription_id, location)
        requests, views = region.limits(LIST_INSTANCES)
        gets, _ = region.limits(GET_SCALE_SET)
        limits = (limit for limit in (requests, views, gets) if limit is not None)
        return Rates(*(limit.per_minute(now, self.share) / WINDOW for limit in limits))

    def reads(self, subscription_id: str) -> float:
        """How many requests of any kind may be sent per second, over all regions."""
        return self._pace(subscription_id).per_second()

    def expected(self, scale_set: ScaleSetId) -> Cost | None:
        """What the next walk over a set will cost by the last one; None before the first."""
        return self._costs.get(scale_set.key)

    async def turn(
        self,
        operation: Operation,
        scale_set: ScaleSetId,
        location: str,
        *,
        instances: int | None = None,
        hold: bool = True,
    ) -> None:
        """Wait until the calls for a set fit into the budget; first come, first served.

        Args:
            operation: which calls.
            scale_set: the set.
            location: its region; empty where it is not known.
            instances: how many it has, by its facts.
            hold: whether to keep what was asked for until the first request, which should follow
                soon. Without it each request waits for itself.
        """
        call = _Call(operation, scale_set, location)
        region = self._region(scale_set.subscription_id, location)
        cost = self._cost(scale_set, instances) if operation.views is not None else Cost(1, 0)
        async with region.queues[operation]:
            while wait := self._wait(region, call, cost):
                await self._clock.sleep(wait)
            if not hold:
                await self._pace(scale_set.subscription_id).turn(operation, cost.pages)
                return
            self._end(call.key)
            walk = self._new_walk(region, call)
            walk.hold(cost.pages, cost.views)
            walk.held_until = math.inf
            try:
                await self._pace(scale_set.subscription_id).turn(operation, cost.pages)
            except BaseException:  # a cancelled poll gives back what it held, too
                self._end(call.key)
                raise
            walk.held_until = self._clock.monotonic() + HOLD

    @asynccontextmanager
    async def request(
        self, operation: Operation, scale_set: ScaleSetId, location: str
    ) -> AsyncIterator[Spending]:
        """Make one request, as soon as it fits, and count it whether or not an answer comes.

        What `turn` holds for the set goes at once. Further requests of a walk that has begun, and
        calls without a turn, wait here, and go before the next turn.
        """
        call = _Call(operation, scale_set, location)
        region = self._region(scale_set.subscription_id, location)
        walk = self._walks.get(call.key)
        if walk is None or walk.region is not region:
            self._end(call.key)
            walk = self._new_walk(region, call)
        walk.begun = True
        pace = self._pace(scale_set.subscription_id)
        try:
            if walk.held_calls < 1:
                await self._admit(region, walk, call)
            await pace.send()
            spending = Spending(partial(self._answered, walk, call), not_sent=pace.not_sent)
            try:
                yield spending
            finally:
                if spending.pending:
                    pace.charge()
                    walk.spend(None, self._clock.monotonic())
        finally:
            if operation.views is None:  # one request, not a walk over pages
                self._end(call.key)

    def end_walk(self, scale_set: ScaleSetId, *, complete: bool) -> None:
        """Give back what a walk over a set's instances did not need, and remember its cost.

        Args:
            scale_set: the set.
            complete: whether it came to its end; else the next one may cost twice as much.
        """
        walk = self._end((LIST_INSTANCES.name, *scale_set.key))
        if walk is None or not walk.pages:
            return
        cost = Cost(walk.pages, walk.views)
        before = self._costs.get(scale_set.key)
        if not (complete and walk.all_told):
            if before is None:
                return  # The set's size tells more.
            cost = before.raised_to(cost)
        self._costs[scale_set.key] = cost

    def throttled(
        self, operation: Operation, scale_set: ScaleSetId, location: str, policy: str
    ) -> None:
        """Take notice of a 429 of Compute's: spend half as much, and come back slowly.

        Args:
            operation: which call.
            scale_set: for which set.
            location: its region.
            policy: the limit that was exceeded; empty where Azure does not say.
        """
        region = self._region(scale_set.subscription_id, location)
        now = self._clock.monotonic()
        limits = region.limits(operation)
        for limit in [limit_of(policy, *limits)] if policy else limits:
            if limit is not None:
                limit.refused(policy, now)

    def throttled_by_resource_manager(self, subscription_id: str) -> None:
        """Record a 429 of the Resource Manager's, which concerns none of Compute's limits."""
        self._pace(subscription_id).refused()

    def _cost(self, scale_set: ScaleSetId, instances: int | None) -> Cost:
        known = self.expected(scale_set)
        if known is not None:
            # A set that grows a little must not view more than was held for it.
            return Cost(known.pages, known.views + known.views // 4 + 5)
        count = PAGE_INSTANCES if instances is None else instances
        return Cost(max(1, math.ceil(count / PAGE_INSTANCES)), count)

    def _wait(self, region: Region, call: _Call, cost: Cost) -> float:
        """Seconds until a turn; 0 where it is now."""
        if region.walks_waiting:
            return RECHECK
        return self._wait_for(region, call, cost.pages, cost.views)

    def _wait_for(self, region: Region, call: _Call, calls: float, views: float) -> float:
        now = self._clock.monotonic()
        for key, walk in list(self._walks.items()):
            if not walk.begun and walk.held_until <= now:
                self._end(key)
        limit, views_limit = region.limits(call.operation)
        wait = max(
            limit.wait(calls, now, self.share),
            views_limit.wait(views, now, self.share) if views_limit is not None else 0.0,
        )
        if wait <= 0:
            return 0.0
        return RECHECK if wait > WINDOW else wait + _MOMENT

    async def _admit(self, region: Region, walk: Walk, call: _Call) -> None:
        needed = max(0.0, (PAGE_INSTANCES if walk.views_limit else 0) - walk.held_views)
        goes_first = walk.pages < LONG_WALK
        async with nullcontext() if goes_first else region.queues[call.operation]:
            region.walks_waiting += goes_first
            try:
                while wait := self._wait_for(region, call, 1.0, needed):
                    await self._clock.sleep(wait)
            finally:
                region.walks_waiting -= goes_first
        walk.hold(1.0, walk.held_views + needed)

    def _answered(self, walk: Walk, call: _Call, headers: MultiMapping[str], status: int) -> None:
        now = self._clock.monotonic()
        remains = remaining_of_compute(headers)
        views = charge_of(headers) if status == HTTPStatus.OK else 0
        if views is None and remains and CHARGE not in headers:
            views = 0  # Azure leaves the header out where no VM was viewed.
        walk.spend(views, now)
        for name, remaining in remains.items():
            limit = limit_of(name, walk.calls, walk.views_limit)
            if limit is None or not is_plausible(name):
                continue
            if policy := limit.seen(name, remaining, now):
                self._show(limit, policy, call.scale_set.subscription_id, call.location)
        for limit in (walk.calls, walk.views_limit):
            if limit is not None and remains:
                limit.answered(remains.keys(), now)
        pace = self._pace(call.scale_set.subscription_id)
        pace.charge()
        for policy in pace.seen(remaining_of_arm(headers)):
            self._show_pace(pace, policy, call.scale_set.subscription_id)

    def _new_walk(self, region: Region, call: _Call) -> Walk:
        held_until = self._clock.monotonic() + HOLD
        return self._walks.setdefault(call.key, Walk(region, call.operation, held_until))

    def _end(self, key: tuple[str, ...]) -> Walk | None:
        walk = self._walks.pop(key, None)
        if walk is not None:
            # The first part of a key is the operation, the second one the subscription.
            self._pace(key[1]).give_back(walk.held_calls)
            walk.end()
        return walk

    def _region(self, subscription_id: str, location: str) -> Region:
        key = subscription_id.casefold(), location.casefold()
        region = self._regions.get(key)
        if region is None:
            region = self._regions[key] = Region(self._clock.monotonic())
            if location:
                self._region(subscription_id, "").may_be(region)
            for limit in region.all_limits:
                for policy in limit.policies.values():
                    self._show(limit, policy, subscription_id, location)
        return region

    def _pace(self, subscription_id: str) -> Pace:
        pace = self._paces.get(subscription_id.casefold())
        if pace is None:
            pace = Pace(clock=self._clock, share=lambda: self.share, burst=self._burst)
            self._paces[subscription_id.casefold()] = pace
            for policy in pace.policies.values():
                self._show_pace(pace, policy, subscription_id)
        return pace

    def _show(self, limit: Limit, policy: Policy, subscription_id: str, location: str) -> None:
        def used_ratio() -> float:
            now = self._clock.monotonic()
            allowed = policy.per_minute(now, self.share)
            return limit.used(now) / allowed if allowed else 0.0

        self._show_ratio(used_ratio, policy, subscription_id, location)

    def _show_pace(self, pace: Pace, policy: Policy, subscription_id: str) -> None:
        self._show_ratio(partial(pace.used_ratio, policy), policy, subscription_id, "")

    def _show_ratio(
        self, ratio: Callable[[], float], policy: Policy, subscription_id: str, location: str
    ) -> None:
        labels = self._telemetry.policy_labels(subscription_id, location, policy.name)
        if labels["policy"] != OTHER:  # The ratio of which of them would it be?
            self._telemetry.gauge("budget_used_ratio", **labels).set_function(ratio)
