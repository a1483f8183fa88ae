"""A large fleet on a clock that stands still: Azure's real buckets, and as little else as can be."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence

from multidict import CIMultiDict

from exporter.azure.errors import NotSent, ServerFailed, Throttled, TimedOut
from exporter.azure.operation import LIST_INSTANCES
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.headers import LimitHeaders
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.ratelimit.usage import Reservation
from exporter.azure.scale_sets import Restart
from exporter.model.instance_view import Instance, InstancePage, Problem
from exporter.model.scale_set import ScaleSetId, ScaleSetModel
from exporter.simulator.buckets import (
    SUBSCRIPTION_HIGH_COST,
    VM_VIEWS,
    WINDOW,
    Charge,
    Limits,
    Refusal,
    instance_list,
    reads,
    set_get,
)
from exporter.simulator.description import LimitsDescription
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
from support.source import page

TICK = 0.5


class CoarseClock(FakeClock):
    """Sleepers wake together, on the next half second: thousands of them cost little."""

    def _moment(self, wanted: float) -> float:
        return math.ceil(wanted / TICK - 1e-9) * TICK

    def _wake(self) -> None:
        moment = self._next()
        while self._next() <= moment:
            super()._wake()

    async def settle(self) -> None:
        """Let all that can run now run, to the end: time that passes meanwhile looks like delay."""
        ready = vars(asyncio.get_running_loop())["_ready"]
        await asyncio.sleep(0)
        while ready:  # noqa: ASYNC110 - nothing tells that all tasks wait
            await asyncio.sleep(0)


class MeteredSource:
    """Azure for a large fleet: every call is charged as the simulator charges it.

    A set's region is the part of its name before the dash.

    Attributes:
        instances: how many every set has.
        calls: when each instance list was asked for, by region.
        views: when VMs were viewed, and how many, by region.
        polled: when each set was polled.
        throttled: how many calls Azure has refused, by Compute's limits or the Resource Manager's.
        sent: when each request of any kind went out.
        least_reads: the least that was left in the Resource Manager's bucket.
        failing: the sets whose calls fail with HTTP 503.
        hanging: the sets whose calls end after that many seconds, without an answer.
        changing: the sets of which every poll finds another state.
    """

    def __init__(self, clock: FakeClock, telemetry: Telemetry, budget: Budget) -> None:
        self._clock = clock
        self._budget = budget
        self._limits = Limits(LimitsDescription(), clock.monotonic)
        self.gate = RetryAfterGate(clock=clock, telemetry=telemetry)
        self.instances = 20
        self.calls: dict[str, list[float]] = defaultdict(list)
        self.views: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self.polled: dict[str, list[float]] = defaultdict(list)
        self.throttled = 0
        self.sent: list[float] = []
        self.least_reads = math.inf
        self.failing: set[str] = set()
        self.hanging: dict[str, float] = {}
        self.changing: set[str] = set()
        self._pages = [
            page(instance({"statuses": [{"code": f"PowerState/{state}"}]}))
            for state in ("running", "deallocated")
        ]

    async def instance_pages(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> AsyncGenerator[InstancePage | Restart, None]:
        name, place = scale_set.name, region_of(scale_set)
        complete = False
        assert reservation is not None
        try:
            async with self._budget.request(reservation) as request:
                if wait := self.gate.remaining(SUBSCRIPTION, location):
                    request.not_sent()
                    raise NotSent("not sent", retry_after=wait)
                now = self._clock.monotonic()
                self.calls[place].append(now)
                self.polled[name].append(now)
                if name in self.hanging:
                    await self._clock.sleep(self.hanging[name])
                    raise TimedOut("late")
                charges = instance_list(scale_set, place, self.instances)
                refusal = self._spend(charges)
                status = 429 if refusal else 503 if name in self.failing else 200
                headers = self._headers(charges)
                if status == 200:
                    headers["x-ms-request-charge"] = str(self.instances)
                    self.views[place].append((now, self.instances))
                request.answered(LimitHeaders.of(headers), status)
            if refusal:
                self.throttled += 1
                self._budget.throttled(LIST_INSTANCES, reservation.scope, refusal.policy)
                self.gate.put(SUBSCRIPTION, location, refusal.wait, policy=refusal.policy)
                raise Throttled("429", retry_after=refusal.wait, policy=refusal.policy)
            if status != 200:
                raise ServerFailed("503", status=503)
            yield self._pages[len(self.polled[name]) % 2 if name in self.changing else 0]
            complete = True
        finally:
            self._budget.close(reservation, complete=complete)

    virtual_machine_pages = instance_pages

    async def virtual_machine(
        self, scale_set: ScaleSetId, name: str, *, location: str = ""
    ) -> Instance | None:
        raise AssertionError(f"no instance goes: {scale_set} {name} {location}")

    async def scale_set_model(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> tuple[ScaleSetModel, list[Problem]]:
        place = region_of(scale_set)
        assert reservation is not None
        async with self._budget.request(reservation) as request:
            if wait := self.gate.remaining(SUBSCRIPTION, location):
                request.not_sent()
                raise NotSent("not sent", retry_after=wait)
            charges = set_get(scale_set, place)
            self.throttled += self._spend(charges) is not None
            request.answered(LimitHeaders.of(self._headers(charges)), 200)
        return ScaleSetModel(location=place, capacity=self.instances), []

    def take(self, location: str, *, requests: int, views: int) -> bool:
        """Spend as another client of the subscription does; whether it was there."""
        key = (SUBSCRIPTION, location)
        charges = [Charge(SUBSCRIPTION_HIGH_COST, key, requests), Charge(VM_VIEWS, key, views)]
        return self._limits.spend(charges) is None

    def drain(self) -> None:
        """Take all that is left, in every region, as a neighbour gone wild does."""
        self._limits.drain(SUBSCRIPTION_HIGH_COST)

    def _spend(self, charges: Sequence[Charge]) -> Refusal | None:
        self.sent.append(self._clock.monotonic())
        arm = reads(SUBSCRIPTION, "principal")
        refusal = self._limits.spend(arm) or self._limits.spend(charges)
        self.least_reads = min(self.least_reads, self._limits.remaining(arm[0]))
        return refusal

    def _headers(self, charges: Sequence[Charge]) -> CIMultiDict[str]:
        told = (
            f"Microsoft.Compute/{charge.policy};{self._limits.remaining(charge)}"
            for charge in charges
        )
        left = self._limits.remaining(reads(SUBSCRIPTION, "principal")[0])
        return CIMultiDict(
            {
                "x-ms-ratelimit-remaining-resource": ",".join(told),
                "x-ms-ratelimit-remaining-subscription-reads": str(left),
            }
        )

    def in_minutes(self, location: str, begin: float, end: float) -> list[tuple[int, int]]:
        """The requests and views of every whole minute of Azure's between two times."""
        requests: dict[int, int] = defaultdict(int)
        views: dict[int, int] = defaultdict(int)
        for at in self.calls[location]:
            requests[int(at // WINDOW)] += 1
        for at, count in self.views[location]:
            views[int(at // WINDOW)] += count
        minutes = range(math.ceil(begin / WINDOW), int(end // WINDOW))
        return [(requests[minute], views[minute]) for minute in minutes]


def region_of(scale_set: ScaleSetId) -> str:
    return scale_set.name.partition("-")[0]
