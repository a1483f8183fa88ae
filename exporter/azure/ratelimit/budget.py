"""What the exporter may spend of Azure's read limits, and what it has spent.

The limits are those of the subscription and region of a scale set (`limit.py` tells how they
are learned). In any minute the exporter's charges stay within `polling.budget_share` of what flows
back: a charge counts from the answer on for a minute, and a call that is under way counts too.
The Resource Manager's own limit, of a subscription over all regions, paces the requests
(`pacing.py`).
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from exporter.azure.operation import GET_SCALE_SET, LIST_INSTANCES, Operation, Scope
from exporter.azure.ratelimit.headers import LimitHeaders
from exporter.azure.ratelimit.limit import WINDOW, Limit, Policy, is_plausible, limit_of
from exporter.azure.ratelimit.pacing import BURST, Pace
from exporter.azure.ratelimit.usage import (
    KEPT_FOR,
    Cost,
    Region,
    Request,
    Reservation,
)
from exporter.azure.ratelimit.user_quota import UserQuota
from exporter.model.quota import QuotaUse
from exporter.model.scale_set import ScaleSetId
from exporter.policy_names import OTHER
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

DEFAULT_SHARE = 0.5

LONG_WALK = 20
"""Pages after which a call has no priority any more: no set of Azure's has as many."""

RESERVED_FOR = 10.0
"""Seconds for which what a call needs stays reserved until its first request."""

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


class Budget:
    """Gives out what may be spent, and learns from every answer what that is.

    Args:
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
        # Those that wait for their first request.
        self._unused: set[Reservation] = set()
        self._costs: dict[tuple[str, ...], Cost] = {}
        # By subscription and credential: the Resource Manager counts each client for itself.
        self._paces: dict[str, dict[str, Pace]] = {}
        self._quotas: dict[str, UserQuota] = {}
        self._next_purge = clock.monotonic() + KEPT_FOR

    def rates(
        self, subscription_id: str, location: str, operation: Operation = LIST_INSTANCES
    ) -> Rates:
        """What may be spent in a region by Compute's limits.

        Args:
            operation: how the instances are listed.
        """
        now = self._clock.monotonic()
        self._purge(now)
        region = self._region(subscription_id, location)
        requests, views = region.limits(operation)
        gets, _ = region.limits(GET_SCALE_SET)
        return Rates(
            *(
                math.inf if limit is None else limit.per_minute(now, self.share) / WINDOW
                for limit in (requests, views, gets)
            )
        )

    def reads(self, subscription_id: str) -> float:
        """How many requests of any kind one client may send per second, over all regions."""
        paces = self._paces.get(subscription_id.casefold(), {}).values()
        return min(pace.per_second() for pace in paces or [self._pace(Scope(subscription_id))])

    def expected(self, scale_set: ScaleSetId) -> Cost | None:
        """What the next walk over a set will cost by the last one; None before the first."""
        return self._costs.get(scale_set.key)

    def quotas(self) -> Iterator[QuotaUse]:
        """How much is spent of each limit of each region."""
        now = self._clock.monotonic()
        for (subscription, location), region in list(self._regions.items()):
            for limit in region.all_limits:
                for policy in list(limit.policies.values()):
                    yield self._use(limit, policy, subscription, location, now)

    async def reserve(
        self,
        operation: Operation,
        scope: Scope,
        *,
        instances: int | None = None,
        in_advance: bool = True,
    ) -> Reservation:
        """Wait until the requests of a call fit into the budget; first come, first served.

        Args:
            instances: how many the scale set has, if known.
            in_advance: whether to reserve what it needs until the first request, which should
                follow soon. Without that each request waits for itself.

        Returns:
            What the requests go by. To be closed.
        """
        reservation = self.unreserved(operation, scope)
        region = reservation.region
        cost = self._cost(operation, scope, instances) if operation.page_size else Cost(1, 0)
        pace = self._pace(scope)
        async with region.queues[operation]:
            while wait := self._wait(reservation, cost):
                await self._clock.sleep(wait)
            if not in_advance:
                await pace.reserve(operation, cost.pages)
                return reservation
            reservation.set_aside(cost.pages, cost.views)
            try:
                await pace.reserve(operation, cost.pages)
            except BaseException:  # a cancelled poll gives back what was reserved, too
                self._release(reservation)
                raise
            reservation.expires = self._clock.monotonic() + RESERVED_FOR
            self._unused.add(reservation)
            return reservation

    def unreserved(self, operation: Operation, scope: Scope) -> Reservation:
        """A reservation of nothing: each request waits until it fits, before later `reserve`."""
        region = self._region(scope.subscription_id, scope.location)
        return Reservation(operation, scope, region)

    @asynccontextmanager
    async def request(self, reservation: Reservation) -> AsyncIterator[Request]:
        """Make one request, as soon as it fits, and count it whether or not an answer comes.

        What is reserved for it goes at once. Further requests of a call that has begun, and those
        for which nothing is reserved, wait here, and go before the next `reserve`.
        """
        self._unused.discard(reservation)
        reservation.begun = True
        pace = self._pace(reservation.scope)
        if reservation.reserved_requests < 1:
            await self._admit(reservation)
        if reservation.operation.by_user:
            await self._quota(reservation.scope).send()
        await pace.send()
        request = Request(partial(self._answered, reservation), not_sent=pace.not_sent)
        try:
            yield request
        finally:
            if request.pending:
                pace.charge()
                reservation.spend(None, self._clock.monotonic())

    def close(self, reservation: Reservation, *, complete: bool = False) -> None:
        """Give back what a call did not need, and remember what it cost.

        Args:
            complete: whether it came to its end; else the next one may cost twice as much.
        """
        pages, scale_set = reservation.pages, reservation.scope.scale_set
        cost, all_told = Cost(pages, reservation.views), reservation.all_told
        self._release(reservation)
        if not pages or scale_set is None or not reservation.operation.page_size:
            return
        before = self._costs.get(scale_set.key)
        if not (complete and all_told):
            if before is None:
                return  # The set's size tells more.
            cost = before.raised_to(cost)
        self._costs[scale_set.key] = cost

    def forget(self, scale_set: ScaleSetId) -> None:
        """Let go of what is known of a scale set: it is not polled any more."""
        self._costs.pop(scale_set.key, None)

    def throttled(self, operation: Operation, scope: Scope, policy: str) -> None:
        """Record a 429 of Compute's: spend half as much, and come back slowly.

        Args:
            policy: the limit that was exceeded; empty where Azure does not say.
        """
        region = self._region(scope.subscription_id, scope.location)
        now = self._clock.monotonic()
        limits = region.limits(operation)
        for limit in [limit_of(policy, *limits)] if policy else limits:
            if limit is not None:
                limit.refused(policy, now)

    def throttled_by_resource_manager(self, scope: Scope) -> None:
        """Record a 429 of the Resource Manager's, which concerns none of Compute's limits."""
        self._pace(scope).refused()

    def _cost(self, operation: Operation, scope: Scope, instances: int | None) -> Cost:
        known = self.expected(scope.scale_set) if scope.scale_set else None
        if known is not None:
            # A set that grows a little must not view more than was reserved for it.
            return Cost(known.pages, known.views + known.views // 4 + 5)
        count = operation.page_size if instances is None else instances
        pages = max(1, math.ceil(count / operation.page_size))
        return Cost(pages, 0 if operation.views is None else count)

    def _wait(self, reservation: Reservation, cost: Cost) -> float:
        """Seconds until the call may begin; 0 where it may now."""
        if reservation.region.walks_waiting:
            return RECHECK
        return self._wait_for(reservation, cost.pages, cost.views)

    def _wait_for(self, reservation: Reservation, requests: float, views: float) -> float:
        now = self._clock.monotonic()
        self._release_expired(now)
        views_limit = reservation.views_limit
        wait = max(
            reservation.requests_limit.wait(requests, now, self.share),
            views_limit.wait(views, now, self.share) if views_limit is not None else 0.0,
        )
        if wait <= 0:
            return 0.0
        return RECHECK if wait > WINDOW else wait + _MOMENT

    async def _admit(self, reservation: Reservation) -> None:
        region = reservation.region
        page = reservation.operation.page_size if reservation.views_limit else 0
        needed = max(0.0, page - reservation.reserved_views)
        goes_first = reservation.pages < LONG_WALK
        async with nullcontext() if goes_first else region.queues[reservation.operation]:
            region.walks_waiting += goes_first
            try:
                while wait := self._wait_for(reservation, 1.0, needed):
                    await self._clock.sleep(wait)
            finally:
                region.walks_waiting -= goes_first
        reservation.set_aside(1.0, reservation.reserved_views + needed)

    def _answered(self, reservation: Reservation, limits: LimitHeaders, status: int) -> None:
        now, scope = self._clock.monotonic(), reservation.scope
        remains = limits.compute
        views = limits.viewed if status == HTTPStatus.OK else 0
        if views is None and remains and not limits.tells_charge:
            views = 0  # Azure leaves the header out where no VM was viewed.
        reservation.spend(views, now)
        counted = (reservation.requests_limit, reservation.views_limit)
        for name, remaining in remains.items():
            limit = limit_of(name, *counted)
            if limit is None or not is_plausible(name):
                continue
            if policy := limit.seen(name, remaining, now):
                self._show(limit, policy, scope.subscription_id, scope.location)
        for limit in counted:
            if limit is not None and remains:
                limit.answered(remains.keys(), now)
        if limits.user_quota is not None:
            self._quota(scope).seen(*limits.user_quota)
        pace = self._pace(scope)
        pace.charge()
        for policy in pace.seen(limits.resource_manager):
            self._show_pace(policy, scope.subscription_id)

    def _release_expired(self, now: float) -> None:
        for unused in [unused for unused in self._unused if unused.expires <= now]:
            self._release(unused)

    def _release(self, reservation: Reservation) -> None:
        self._unused.discard(reservation)
        self._pace(reservation.scope).give_back(reservation.reserved_requests)
        reservation.release()

    def _purge(self, now: float) -> None:
        """Forget the limits of regions and subscriptions that nothing was asked of for long."""
        if now < self._next_purge:
            return
        self._next_purge = now + KEPT_FOR
        self._release_expired(now)
        in_use = {
            subscription for (subscription, _), found in self._regions.items() if found.in_use(now)
        }
        for (subscription, location), region in list(self._regions.items()):
            # The one of sets whose region is not known yet lasts as long as the others.
            if subscription not in in_use or (location and not region.in_use(now)):
                del self._regions[subscription, location]
                if unplaced := self._regions.get((subscription, "")):
                    unplaced.is_not(region)
        for subscription in self._paces.keys() - {
            subscription for subscription, _ in self._regions
        }:
            del self._paces[subscription]

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
        region.used = self._clock.monotonic()
        return region

    def _quota(self, scope: Scope) -> UserQuota:
        quota = self._quotas.get(scope.counted_by)
        if quota is None:
            quota = UserQuota(clock=self._clock, share=lambda: self.share)
            self._quotas[scope.counted_by] = quota
        return quota

    def _pace(self, scope: Scope) -> Pace:
        paces = self._paces.setdefault(scope.subscription_id.casefold(), {})
        pace = paces.get(scope.credential)
        if pace is None:
            pace = Pace(clock=self._clock, share=lambda: self.share, burst=self._burst)
            paces[scope.credential] = pace
            for policy in pace.policies.values():
                self._show_pace(policy, scope.subscription_id)
        return pace

    def _use(
        self, limit: Limit, policy: Policy, subscription_id: str, location: str, now: float
    ) -> QuotaUse:
        allowed = policy.per_minute(now, self.share)
        return QuotaUse(subscription_id, location, policy.name, limit.used(now), allowed)

    def _show(self, limit: Limit, policy: Policy, subscription_id: str, location: str) -> None:
        def used_ratio() -> float:
            now = self._clock.monotonic()
            return self._use(limit, policy, subscription_id, location, now).ratio

        self._show_ratio(used_ratio, policy, subscription_id, location)

    def _show_pace(self, policy: Policy, subscription_id: str) -> None:
        paces = self._paces[subscription_id.casefold()]

        def used_ratio() -> float:
            """Of the client that comes closest to the limit."""
            ratios = [
                pace.used_ratio(own)
                for pace in paces.values()
                if (own := pace.policies.get(policy.name))
            ]
            return max(ratios, default=0.0)

        self._show_ratio(used_ratio, policy, subscription_id, "")

    def _show_ratio(
        self, ratio: Callable[[], float], policy: Policy, subscription_id: str, location: str
    ) -> None:
        labels = self._telemetry.policy_labels(subscription_id, location, policy.name)
        if labels["policy"] != OTHER:  # The ratio of which of them would it be?
            self._telemetry.gauge("budget_used_ratio", **labels).set_function(ratio)
