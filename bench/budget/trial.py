"""One trial: a fleet, a way to poll it, and a neighbour, for an hour of simulated time."""

from __future__ import annotations

import asyncio
import gc
import logging
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.budget.fleets import INTERVAL, SHARE, FleetPlan
from bench.budget.meter import Meter, region_charge
from bench.budget.pollers import FixedInterval, Polling, RoundRobin, let_everything_go_out
from bench.budget.quiet import quiet_logs
from exporter.azure.errors import NoAnswer
from exporter.polling.target_state import TargetState
from exporter.process import Process
from exporter.runtime.clock import Clock
from exporter.simulator import buckets
from exporter.simulator.server import SimulatedAzure
from soak import timelapse
from soak.world import World, new_world

WARM_UP = 600.0
UNSERVED = ("azure_vmss_*disk*", "azure_vmss_*agent*", "azure_vmss_*extension*", "*_status_*")
"""Families that only cost time here."""

TOKEN = "bench"  # noqa: S105 - it guards nothing real
HOUR = 3600.0

Way = Literal["exporter", "fixed", "round robin"]

REGION_POLICIES = (
    buckets.SUBSCRIPTION_HIGH_COST,
    buckets.VM_VIEWS,
    buckets.SUBSCRIPTION_LOW_COST,
)
"""What a neighbour spends from: the buckets of the whole region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a trial found. Times are seconds; parts are of share × refill, or of the capacity.

    Attributes:
        way: who polled.
        fleet: what was polled.
        neighbour: the part of the quota that the neighbour took.
        throttled: answers 429 in the hour.
        throttled_in_warm_up: those before it.
        calls: requests for lists that were answered in the hour.
        request_part, view_part: the most in a simulated minute.
        request_span, view_span: the most in any 60 seconds.
        machine_part: the most lists of virtual machines in a simulated minute, of share × refill.
        most_spent: how much was gone of the emptiest bucket of the region, at worst.
        neighbour_refused: calls of the neighbour's that were refused in the hour.
        mean_age, quiet_age, oldest: ages of what is served.
        walk_time: the mean duration of a poll.
        seen_after: the median time until a failure was seen.
        missed: the part of the failures that were never seen.
        failures: how many there were.
        took: seconds of real time.
    """

    way: Way
    fleet: FleetPlan
    neighbour: float
    throttled: int
    throttled_in_warm_up: int
    calls: int
    request_part: float
    view_part: float
    request_span: float
    view_span: float
    machine_part: float
    most_spent: float
    neighbour_refused: int
    mean_age: float
    quiet_age: float
    oldest: float
    walk_time: float
    seen_after: float
    missed: float
    failures: int
    took: float

    @property
    def target_age(self) -> float:
        """What the mean age is to reach."""
        return 1.2 * self.fleet.best_interval(neighbour=self.neighbour) / 2 + self.walk_time


class StillToken:
    """One token, for ever."""

    def __init__(self, azure: SimulatedAzure, _: Clock) -> None:
        azure.tokens = {TOKEN}

    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        """The token."""
        del claims, stale
        return TOKEN

    async def close(self) -> None:
        """Nothing is open."""


class Neighbour:
    """Another client of the subscription that spends a part of the refill, evenly.

    Args:
        part: of the refill.
    """

    def __init__(self, world: World, part: float) -> None:
        self.refused = 0
        self._world = world
        self.part = part
        self._owed = dict.fromkeys(REGION_POLICIES, 0.0)

    def spend(self) -> None:
        """Spend what a second is worth."""
        for policy in REGION_POLICIES:
            self._owed[policy] += self.part * buckets.DEFAULTS[policy].refill / buckets.WINDOW
            cost = int(self._owed[policy])
            self._owed[policy] -= cost
            if cost and self._world.azure.limits.spend([region_charge(self._world, policy, cost)]):
                self.refused += 1


def run(
    plan: FleetPlan,
    way: Way,
    *,
    neighbour: float,
    rate: float = 0.0,
    seed: int = 1,
    hour: float = HOUR,
) -> Result:
    """Run a trial.

    Args:
        plan: the fleet.
        way: who polls.
        neighbour: the part of the quota that another client takes.
        rate: requests per second, for the round robin.
        seed: of the fleet's life and the latencies.
        hour: simulated seconds to measure.
    """
    try:
        with quiet_logs(logging.CRITICAL):
            return timelapse.run(_trial(plan, way, neighbour, rate, seed, hour))
    finally:
        gc.unfreeze()
        gc.collect()


def compare(
    plan: FleetPlan, *, neighbour: float, seed: int, hour: float, baselines: bool
) -> list[Result]:
    """The exporter's trial of a fleet, and those of the simple ways; each is told when it ends.

    Args:
        plan: the fleet.
        neighbour: the part of the quota that another client takes.
        seed: of the fleet's life and the latencies.
        hour: simulated seconds to measure.
        baselines: whether the simple ways are tried too.
    """
    ours = _told(run(plan, "exporter", neighbour=neighbour, seed=seed, hour=hour))
    if not baselines:
        return [ours]
    # The round robin spends the same calls as ours.
    rate = max(ours.calls, 1) / hour
    return [
        ours,
        _told(run(plan, "fixed", neighbour=neighbour, seed=seed, hour=hour)),
        _told(run(plan, "round robin", neighbour=neighbour, rate=rate, seed=seed, hour=hour)),
    ]


def _told(result: Result) -> Result:
    sys.stderr.write(
        f"{result.fleet.name}, neighbour {result.neighbour:.0%}, {result.way}: "
        f"{result.throttled} x 429, mean age {result.mean_age:.1f} s, took {result.took:.0f} s\n"
    )
    return result


async def _trial(  # noqa: PLR0917 - called in one place
    plan: FleetPlan, way: Way, part: float, rate: float, seed: int, hour: float
) -> Result:
    started = time.monotonic()
    settings = {
        "polling": {"interval": f"{INTERVAL:g}s", "budget_share": SHARE},
        "metrics": {"deny": list(UNSERVED), "max_series": 0},
    }
    async with new_world(
        plan.fleet(seed),
        tokens=StillToken,
        settings=settings,
        seed=seed,
        prepare=_as_it_is if way == "exporter" else let_everything_go_out,
    ) as world:
        meter = Meter(world, warm_up=WARM_UP)
        world.session.seen = meter.see
        world.poller.ended = _telling(meter.retrieved)
        neighbour = Neighbour(world, part)
        gc.collect()
        gc.freeze()  # fifty thousand instances need not be looked through again and again
        await _poll(_polling(way, world, rate), world, meter, neighbour, end=WARM_UP + hour)
    return _result(plan, way, meter, neighbour, took=time.monotonic() - started)


async def _poll(
    polling: Polling, world: World, meter: Meter, neighbour: Neighbour, *, end: float
) -> None:
    """Let everybody do as they do until a simulated time."""
    task = asyncio.create_task(polling.run())
    while world.clock.monotonic() < end and not task.done():
        neighbour.spend()
        meter.look()
        if world.clock.monotonic() < WARM_UP:
            neighbour.refused = 0
        await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        raise RuntimeError(f"polling ended by itself: {task.exception()!r}")


def _result(
    plan: FleetPlan, way: Way, meter: Meter, neighbour: Neighbour, *, took: float
) -> Result:
    delays = meter.delays()
    high, views = (
        buckets.DEFAULTS[policy] for policy in (buckets.SUBSCRIPTION_HIGH_COST, buckets.VM_VIEWS)
    )
    return Result(
        way=way,
        fleet=plan,
        neighbour=neighbour.part,
        throttled=meter.throttled,
        throttled_in_warm_up=meter.throttled_in_warm_up,
        calls=meter.requests.since(WARM_UP) + meter.machine_requests.since(WARM_UP),
        request_part=meter.requests.highest_minute(WARM_UP) / (SHARE * high.refill),
        view_part=meter.views.highest_minute(WARM_UP) / (SHARE * views.refill),
        request_span=meter.requests.highest_span(WARM_UP) / (SHARE * high.refill),
        view_span=meter.views.highest_span(WARM_UP) / (SHARE * views.refill),
        machine_part=meter.machine_requests.highest_minute(WARM_UP)
        / (SHARE * buckets.DEFAULTS[buckets.VM_LIST].refill),
        # In whole tokens: one less two thirds is more than a third, in floats.
        most_spent=max(
            (buckets.DEFAULTS[policy].capacity - left) / buckets.DEFAULTS[policy].capacity
            for policy, left in meter.least_left.items()
        ),
        neighbour_refused=neighbour.refused,
        mean_age=meter.all_ages.mean,
        quiet_age=meter.quiet_ages.mean,
        oldest=meter.oldest,
        walk_time=meter.walk_time(),
        seen_after=statistics.median(delays) if delays else float("nan"),
        missed=sum(delay == float("inf") for delay in delays) / max(1, len(delays)),
        failures=len(delays),
        took=took,
    )


def _as_it_is(_: Process) -> None:
    """Leave the exporter's process alone."""


def _polling(way: Way, world: World, rate: float) -> Polling:
    if way == "fixed":
        return FixedInterval(world)
    if way == "round robin":
        return RoundRobin(world, rate=rate)
    return world.exporter.scheduler


def _telling(
    retrieved: Callable[[TargetState], None],
) -> Callable[[TargetState, NoAnswer | None, bool], None]:
    def ended(state: TargetState, error: NoAnswer | None, is_new: bool) -> None:  # noqa: FBT001 - a callback's
        del error
        if is_new:
            retrieved(state)

    return ended
