"""Asks a budget for calls as the scheduler and the client do, and notes what went out when."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from multidict import CIMultiDict

from exporter.azure.operation import GET_SCALE_SET, LIST_INSTANCES, Scope
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.headers import LimitHeaders
from exporter.azure.ratelimit.limit import WINDOW
from exporter.azure.ratelimit.usage import Reservation
from exporter.model.scale_set import ScaleSetId
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION
from support.azure_room import sample
from support.clock import FakeClock

REQUESTS = "HighCostGetVMScaleSetSubscriptionMaximum"
VIEWS = "VMScaleSetVMViewsSubscriptionMaximum"
GETS = "GetVMScaleSetSubscriptionMaximum"
OWN_BUCKET = "HighCostGetVMScaleSetResource"
WEST = "westeurope"


def a_set(name: object = "web", subscription: str = SUBSCRIPTION) -> ScaleSetId:
    return ScaleSetId(subscription, "rg", str(name))


WEB = a_set()


def headers(charge: object = None, reads: int | None = None, **remaining: int) -> CIMultiDict[str]:
    found: CIMultiDict[str] = CIMultiDict()
    if charge is not None:
        found["x-ms-request-charge"] = str(charge)
    if reads is not None:
        found["x-ms-ratelimit-remaining-subscription-reads"] = str(reads)
    told = (f"Microsoft.Compute/{name};{number}" for name, number in remaining.items())
    if remaining:
        found["x-ms-ratelimit-remaining-resource"] = ",".join(told)
    return found


class Caller:
    """Asks a budget as the scheduler and the client do, and notes when requests went out.

    Args:
        burst: requests at one moment; by default any number, for the tests of Compute's limits.
    """

    def __init__(self, clock: FakeClock, *, share: float = 0.5, burst: float = 1e6) -> None:
        self.clock = clock
        self.telemetry = Telemetry(version="1", python_version="3", process=False)
        self.budget = Budget(clock=clock, telemetry=self.telemetry, share=share, burst=burst)
        self.sent: list[tuple[float, ScaleSetId, int]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def walk(
        self,
        scale_set: ScaleSetId = WEB,
        *charges: int,
        location: str = WEST,
        turn: bool = True,
        instances: int | None = None,
        answer: CIMultiDict[str] | None = None,
        takes: float = 0.0,
        status: int = 200,
        complete: bool = True,
    ) -> None:
        budget = self.budget
        scope = Scope.of(scale_set, location)
        if turn:
            reservation = await budget.reserve(LIST_INSTANCES, scope, instances=instances)
        else:
            reservation = budget.unreserved(LIST_INSTANCES, scope)
        for charge in charges or (20,):
            async with budget.request(reservation) as request:
                self.sent.append((self.clock.monotonic(), scale_set, charge))
                await self.clock.sleep(takes)
                found = headers(charge) if answer is None else answer
                request.answered(LimitHeaders.of(found), status)
        budget.close(reservation, complete=complete)

    async def get(
        self,
        scale_set: ScaleSetId = WEB,
        location: str = WEST,
        answer: CIMultiDict[str] | None = None,
    ) -> None:
        reservation = await self.budget.reserve(GET_SCALE_SET, Scope.of(scale_set, location))
        async with self.budget.request(reservation) as request:
            self.sent.append((self.clock.monotonic(), scale_set, 0))
            request.answered(LimitHeaders.of(answer or headers()), 200)
        self.budget.close(reservation)

    def start(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self.tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with suppress(asyncio.CancelledError):
                await task

    def used(self, policy: str, location: str = WEST, subscription: str = SUBSCRIPTION) -> float:
        labels = {"subscription_id": subscription, "location": location, "policy": policy}
        found = sample(self.telemetry, "budget_used_ratio", **labels)
        assert found is not None
        return found


async def requests_of(budget: Budget, reservation: Reservation, *answers: CIMultiDict[str]) -> None:
    """Requests that are answered at once with these headers."""
    for answer in answers:
        async with budget.request(reservation) as request:
            request.answered(LimitHeaders.of(answer), 200)


async def whole_walk(
    budget: Budget, scale_set: ScaleSetId, location: str, *answers: CIMultiDict[str]
) -> None:
    """A walk for which nothing is reserved, whose pages have these headers."""
    reservation = budget.unreserved(LIST_INSTANCES, Scope.of(scale_set, location))
    await requests_of(budget, reservation, *answers)
    budget.close(reservation, complete=True)


async def pass_time(clock: FakeClock, seconds: float) -> None:
    """Let time pass in small steps, in which long chains of those who wait come to their end."""
    for _ in range(int(seconds)):
        await clock.advance(1)


def most_in_a_minute(sent: list[tuple[float, ScaleSetId, int]]) -> tuple[int, int]:
    """The most requests and views in any window of a minute."""
    requests = views = 0
    for begin, _, _ in sent:
        inside = [charge for at, _, charge in sent if begin <= at < begin + WINDOW]
        requests, views = max(requests, len(inside)), max(views, sum(inside))
    return requests, views
