"""The fleets of the bench, and what a sweep over one costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from exporter.simulator import buckets
from exporter.simulator.description import FleetDescription, ScaleSetDescription
from exporter.simulator.fleet import Fleet

INTERVAL = 60.0
"""Seconds between two polls that every set wishes for."""

SHARE = 0.5
"""The part of the quota that the exporter may use."""

PAGE_SIZE = 120
MOVING_SHARE = 0.05
STEP = 0.999
SET_PAUSE = 6.0
"""Seconds per page of one set, from the bucket that each set has of its own."""

_PACE, _TROUBLE = 2.0, 0.3
"""Two changes per instance and hour, one in seven of them a failure that lasts nine minutes."""


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """One fleet.

    Attributes:
        name: what the table calls it.
        sizes: the instances of the quiet sets, one number per set.
        moving: the instances of the sets active.
        has_target: whether the mean age is to reach the target.
        half_flexible: whether every second set is a Flexible one.
    """

    name: str
    sizes: tuple[int, ...]
    moving: tuple[int, ...]
    has_target: bool = True
    half_flexible: bool = False

    @property
    def all_sizes(self) -> tuple[int, ...]:
        """The instances of all sets."""
        return self.sizes + self.moving

    @property
    def instances(self) -> int:
        """How many instances there are at the start."""
        return sum(self.all_sizes)

    @property
    def requests(self) -> int:
        """How many requests a sweep over all sets takes."""
        return sum(pages(size) for size in self.all_sizes)

    def fleet(self, seed: int) -> SteppedFleet:
        """The fleet, with a life from that seed."""
        described = [
            ScaleSetDescription(
                name=f"{kind}-{number:04d}",
                size=size,
                pace=pace,
                trouble=trouble,
                orchestration="flexible" if self.half_flexible and number % 2 else "uniform",
            )
            for kind, sizes, pace, trouble in (
                ("quiet", self.sizes, 0.0, 0.0),
                ("moving", self.moving, _PACE, _TROUBLE),
            )
            for number, size in enumerate(sizes)
        ]
        return SteppedFleet(FleetDescription(seed=seed, page_size=PAGE_SIZE, scale_sets=described))

    def best_interval(self, *, neighbour: float) -> float:
        """B: the interval that the quota allows for every set, or the requested one.

        Args:
            neighbour: the part of the quota that another client takes.
        """
        share = SHARE - max(0.0, neighbour - (1 - SHARE))
        requests = share * buckets.DEFAULTS[buckets.SUBSCRIPTION_HIGH_COST].refill / 60
        views = share * buckets.DEFAULTS[buckets.VM_VIEWS].refill / 60
        largest = max(pages(size) for size in self.all_sizes)
        part = 0.5 if self.half_flexible else 1.0
        uniform = max(
            INTERVAL,
            part * self.requests / requests,
            part * self.instances / views,
            SET_PAUSE * largest,
        )
        if not self.half_flexible:
            return uniform
        # Flexible sets have a limit of their own, which no neighbour of the bench uses.
        machines = SHARE * buckets.DEFAULTS[buckets.VM_LIST].refill / 60
        return (uniform + max(INTERVAL, part * self.requests / machines)) / 2


class SteppedFleet(Fleet):
    """A fleet that lives in steps of a second: thousands of sets at every request take too long."""

    def advance(self, now: float) -> None:
        """Let the fleet live up to `now`, a Unix time, or up to less than a second before."""
        if self.started is None or now - self.unix_time(self.elapsed) >= STEP:
            super().advance(now)


def even(sets: int) -> FleetPlan:
    """A fleet of sets with 20 instances each, a twentieth of them active."""
    moving = max(1, round(sets * MOVING_SHARE))
    return FleetPlan(f"{sets:,} × 20", (20,) * (sets - moving), (20,) * moving)


def half_flexible(sets: int) -> FleetPlan:
    """The same, every second set a Flexible one."""
    return replace(even(sets), name=f"{sets:,} × 20, half Flexible", half_flexible=True)


def skewed(sets: int = 200) -> FleetPlan:
    """A fleet with sets of 1 to 1,000 instances, most of them small."""
    sizes = [round(1000 ** (number / (sets - 1))) for number in range(sets)]
    step = round(1 / MOVING_SHARE)
    moving = tuple(sizes[step // 2 :: step])
    quiet = tuple(size for place, size in enumerate(sizes) if place % step != step // 2)
    return FleetPlan(f"{sets} × 1 to 1,000", quiet, moving, has_target=False)


def pages(size: int) -> int:
    """How many requests a walk over a set of that size takes."""
    return max(1, math.ceil(size / PAGE_SIZE))
