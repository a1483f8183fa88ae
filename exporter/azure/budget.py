"""What the exporter may spend of Azure's read limits, and what it has spent.

The limits are those of the subscription and region of a scale set (`allowance.py` tells how they
are learned). In any minute the exporter's charges stay within `polling.budget_share` of what flows
back: a charge counts from the answer on for a minute, and a call that is under way counts too.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from multidict import MultiMapping

from exporter.azure.allowance import WINDOW, Limit, Policy, limit_of
from exporter.azure.ratelimit import CHARGE, charge_of, remaining_of_arm, remaining_of_compute
from exporter.clock import Clock
from exporter.model.scale_set import ScaleSetId
from exporter.telemetry import Telemetry

LIST_INSTANCES = "list_instances"
GET_SCALE_SET = "get_scale_set"

DEFAULT_SHARE = 0.5

REQUESTS = ("HighCostGetVMScaleSetSubscriptionMaximum", 1080)
VIEWS = ("VMScaleSetVMViewsSubscriptionMaximum", 30_000)
GETS = ("GetVMScaleSetSubscriptionMaximum", 2400)
"""What a page of the instance list, the VMs on it, and a GET of a set are charged to, and what
the buckets hold until headers show something else. The refill of the views is not documented;
a third of the capacity is, for all others."""

PAGE_INSTANCES = 120
"""Instances on a page of Azure's, for a set whose list was never seen."""

HOLD = 10.0
"""Seconds for which what a poll needs is held for it until its first request."""

RECHECK = 0.5
"""Seconds until a wait looks again that waits for calls under way, not for the minute's end."""

READS = "subscription-reads"
FEW_READS = 25
READS_PAUSE = 1.0
"""The Resource Manager's own limit flows back by 25 each second: with fewer left, wait for that."""

_Key = tuple[str, str]
_MOMENT = 0.001


@dataclass(frozen=True, slots=True)
class Cost:
    """What a walk over a set's instances costs: requests, and VMs viewed."""

    pages: int
    views: int


@dataclass(frozen=True, slots=True)
class Rates:
    """What may be spent in a region, per second."""

    requests: float
    views: float


class Walk:
    """The calls of one operation for one scale set, from the reservation to the end.

    Attributes:
        region: where they are counted.
        begun: whether a request has gone out.
        pages: answers so far.
        views: VMs viewed so far, as Azure told.
        all_told: whether Azure told that of every page.
        held_until: when the reservation ends that nobody has made use of.
    """

    def __init__(self, region: Region, operation: str, held_until: float) -> None:
        self.region = region
        self.calls, self.views_limit = region.limits(operation)
        self.begun = False
        self.pages = 0
        self.views = 0
        self.all_told = True
        self.held_until = held_until

    def hold(self, calls: float, views: float) -> None:
        """Keep that much for the next requests."""
        self.calls.held[self] = calls
        if self.views_limit is not None:
            self.views_limit.held[self] = views

    @property
    def held_calls(self) -> float:
        """The requests that may go out at once."""
        return self.calls.held.get(self, 0.0)

    @property
    def held_views(self) -> float:
        """The VMs that may be viewed at once."""
        return self.views_limit.held.get(self, 0.0) if self.views_limit is not None else 0.0

    def spend(self, views: int | None, now: float) -> None:
        """Note what a request was charged; None where nobody knows."""
        self.pages += 1
        if views is None:
            # As much as was held for it: Azure may have counted that.
            self.all_told, views = False, int(min(self.held_views, PAGE_INSTANCES))
        else:
            self.views += views
        self.calls.charge(1.0, now)
        if self.views_limit is not None:
            self.views_limit.charge(views, now)
        self.hold(max(0.0, self.held_calls - 1), max(0.0, self.held_views - views))

    def end(self) -> None:
        """Give back what is still held."""
        self.calls.held.pop(self, None)
        if self.views_limit is not None:
            self.views_limit.held.pop(self, None)


class Region:
    """The limits of one subscription and region."""

    def __init__(self, now: float) -> None:
        self.requests, self.views, self.gets = (
            Limit(name, capacity, now) for name, capacity in (REQUESTS, VIEWS, GETS)
        )
        self.queues = {operation: asyncio.Lock() for operation in (LIST_INSTANCES, GET_SCALE_SET)}
        self.walks_waiting = 0

    def limits(self, operation: str) -> tuple[Limit, Limit | None]:
        """What counts the requests of an operation, and what the VMs viewed."""
        return (self.requests, self.views) if operation == LIST_INSTANCES else (self.gets, None)

    def may_be(self, other: Region) -> None:
        """One of both is that of sets whose region is not known yet."""
        for name in ("requests", "views", "gets"):
            mine, its = getattr(self, name), getattr(other, name)
            mine.beside.append(its)
            its.beside.append(mine)


class Spending:
    """One request: what it was charged, once the answer tells.

    Attributes:
        pending: whether it may have been charged, and nobody knows what.
    """

    def __init__(self, take_notice: Callable[[MultiMapping[str], int], None]) -> None:
        self._take_notice = take_notice
        self.pending = True

    def answered(self, headers: MultiMapping[str], status: int) -> None:
        """Take notice of an answer's headers, whatever its status."""
        self.pending = False
        self._take_notice(headers, status)

    def not_sent(self) -> None:
        """Nothing went out, and nothing is charged."""
        self.pending = False


@dataclass(frozen=True, slots=True)
class _Call:
    operation: str
    scale_set: ScaleSetId
    location: str

    @property
    def key(self) -> tuple[str, ...]:
        return (self.operation, *self.scale_set.key)


class Budget:
    """Gives out what may be spent, and learns from every answer what that is.

    Args:
        clock: the time.
        telemetry: shows how much of the budget is used.
        share: the part of Azure's limits that the exporter may use, up to 1.

    Attributes:
        share: the same; it may be changed at any time.
    """

    def __init__(self, *, clock: Clock, telemetry: Telemetry, share: float = DEFAULT_SHARE) -> None:
        self.share = share
        self._clock = clock
        self._telemetry = telemetry
        self._regions: dict[_Key, Region] = {}
        self._walks: dict[tuple[str, ...], Walk] = {}
        self._costs: dict[tuple[str, ...], Cost] = {}
        self._reads_pause: dict[str, float] = {}

    def rates(self, subscription_id: str, location: str) -> Rates:
        """What may be spent on instance lists."""
        now = self._clock.monotonic()
        region = self._region(subscription_id, location)
        return Rates(
            region.requests.per_minute(now, self.share) / WINDOW,
            region.views.per_minute(now, self.share) / WINDOW,
        )

    def expected(self, scale_set: ScaleSetId) -> Cost | None:
        """What the next walk over a set will cost by the last one; None before the first."""
        return self._costs.get(scale_set.key)

    async def turn(
        self,
        operation: str,
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
        cost = self._cost(scale_set, instances) if operation == LIST_INSTANCES else Cost(1, 0)
        async with region.queues[operation]:
            while wait := self._wait(region, call, cost):
                await self._clock.sleep(wait)
            if hold:
                self._end(call.key)
                walk = self._new_walk(region, call)
                walk.hold(cost.pages, cost.views)

    @asynccontextmanager
    async def request(
        self, operation: str, scale_set: ScaleSetId, location: str
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
        if walk.held_calls < 1:
            await self._admit(region, walk, call)
        spending = Spending(partial(self._answered, walk, call))
        try:
            yield spending
        finally:
            if spending.pending:
                walk.spend(None, self._clock.monotonic())
            if operation != LIST_INSTANCES:
                self._end(call.key)

    def end_walk(self, scale_set: ScaleSetId, *, complete: bool) -> None:
        """Give back what a walk over a set's instances did not need, and remember its cost.

        Args:
            scale_set: the set.
            complete: whether the walk came to its end; one that did not costs more next time.
        """
        walk = self._end((LIST_INSTANCES, *scale_set.key))
        if walk is None or not walk.pages:
            return
        cost = Cost(walk.pages, walk.views)
        before = self._costs.get(scale_set.key)
        if not complete or not walk.all_told:
            if before is None:
                return  # The set's size tells more.
            cost = Cost(max(cost.pages, before.pages), max(cost.views, before.views))
        self._costs[scale_set.key] = cost

    def throttled(self, operation: str, scale_set: ScaleSetId, location: str, policy: str) -> None:
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
                del self._walks[key]
                walk.end()
        limit, views_limit = region.limits(call.operation)
        wait = max(
            limit.wait(calls, now, self.share),
            views_limit.wait(views, now, self.share) if views_limit is not None else 0.0,
            self._reads_pause.get(call.scale_set.key[0], 0.0) - now,
        )
        if wait <= 0:
            return 0.0
        return RECHECK if wait > WINDOW else wait + _MOMENT

    async def _admit(self, region: Region, walk: Walk, call: _Call) -> None:
        views = 0 if walk.views_limit is None else PAGE_INSTANCES
        needed = max(0.0, views - walk.held_views)
        region.walks_waiting += 1
        try:
            while wait := self._wait_for(region, call, 1.0, needed):
                await self._clock.sleep(wait)
        finally:
            region.walks_waiting -= 1
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
            new = limit.seen(name, remaining, now) if limit is not None else None
            if limit is not None and new is not None:
                self._show(limit, new, call.scale_set.subscription_id, call.location)
        if remaining_of_arm(headers).get(READS, FEW_READS) < FEW_READS:
            self._reads_pause[call.scale_set.key[0]] = now + READS_PAUSE

    def _new_walk(self, region: Region, call: _Call) -> Walk:
        until = self._clock.monotonic() + HOLD
        walk = self._walks[call.key] = Walk(region, call.operation, until)
        return walk

    def _end(self, key: tuple[str, ...]) -> Walk | None:
        walk = self._walks.pop(key, None)
        if walk is not None:
            walk.end()
        return walk

    def _region(self, subscription_id: str, location: str) -> Region:
        key = subscription_id.casefold(), location.casefold()
        region = self._regions.get(key)
        if region is None:
            region = self._regions[key] = Region(self._clock.monotonic())
            if location:
                self._region(subscription_id, "").may_be(region)
            for limit in (region.requests, region.views, region.gets):
                for policy in limit.policies.values():
                    self._show(limit, policy, subscription_id, location)
        return region

    def _show(self, limit: Limit, policy: Policy, subscription_id: str, location: str) -> None:
        def used_ratio() -> float:
            now = self._clock.monotonic()
            allowed = policy.per_minute(now, self.share)
            return limit.used(now) / allowed if allowed else 0.0

        self._telemetry.gauge(
            "budget_used_ratio",
            subscription_id=subscription_id,
            location=location,
            policy=policy.name,
        ).set_function(used_ratio)
