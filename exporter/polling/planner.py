"""Which interval each scale set gets when the budget does not allow the requested ones.

Pure arithmetic for the regions of one subscription. While everything fits, every set has the
interval that it requests. Otherwise all would be stretched by the same factor, a round robin;
instead idle sets are stretched a little more than that, and the active sets share what this frees:
there are usually few of them, so it brings them close to their requested interval.

The GETs of the sets have a limit of their own, and share the Resource Manager's with the lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from exporter.azure.operation import Operation
from exporter.azure.ratelimit.budget import Rates

PLANNED = 0.97
"""The part of the budget that is planned with. The rest is for calls that were not planned, and for
the time that a call is under way."""

IDLE_STRETCH = 1.18
"""How much more than in a round robin the idle sets may be stretched."""

PAGE_PAUSE = 6.0
"""Seconds per page between two walks over a set: its own limit is ten requests a minute."""


Part = tuple[str, Operation]
"""The sets of a region that are listed by one operation, which has limits of its own."""

GETS_PART = 0.25
"""The part of the Resource Manager's limit that the GETs of the sets keep where all is short: what
the lists show changes more often."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one set needs.

    Attributes:
        requested: seconds between two polls.
        pages: requests of one poll.
        views: VMs viewed by one poll.
        active: whether the set changes or fails.
        get_interval: seconds between two GETs of the set itself.
    """

    requested: float
    pages: int = 1
    views: int = 0
    active: bool = False
    get_interval: float = inf

    @property
    def interval(self) -> float:
        """The requested interval, if it is not too short for the set's own limit.

        Intervals below the pause are allowed for endpoints only that are not Azure's.
        """
        return max(self.requested, self.pages * min(self.requested, PAGE_PAUSE))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much intervals are stretched: 1 for not at all.

    Attributes:
        active: those of active sets.
        idle: those of the others.
        gets: those between two GETs of a set itself.
    """

    active: float = 1.0
    idle: float = 1.0
    gets: float = 1.0

    def interval(self, demand: Demand) -> float:
        """The seconds between two polls of a set that are in force."""
        return demand.interval * (self.active if demand.active else self.idle)

    def get_interval(self, demand: Demand) -> float:
        """The seconds between two GETs of a set that are in force."""
        return demand.get_interval * self.gets


@dataclass(slots=True)
class Load:
    """What sets would spend per second with no interval stretched; the sum of their demands.

    Attributes:
        active: requests and VM views of the active sets.
        idle: those of the others.
        gets: GETs of the sets.
    """

    active: list[float] = field(default_factory=lambda: [0.0, 0.0])
    idle: list[float] = field(default_factory=lambda: [0.0, 0.0])
    gets: float = 0.0

    @classmethod
    def of(cls, demands: Iterable[Demand]) -> Load:
        """The sum of some demands."""
        load = cls()
        for demand in demands:
            load.add(demand)
        return load

    def add(self, demand: Demand) -> None:
        """Add one set."""
        sums = self.active if demand.active else self.idle
        sums[0] += demand.pages / demand.interval
        sums[1] += demand.views / demand.interval
        self.gets += 1 / demand.get_interval

    def __add__(self, other: Load) -> Load:
        """Both together."""
        return Load(
            [mine + its for mine, its in zip(self.active, other.active, strict=True)],
            [mine + its for mine, its in zip(self.idle, other.idle, strict=True)],
            self.gets + other.gets,
        )

    def lists(self, made: Plan) -> float:
        """Requests for lists per second under a plan."""
        return self.active[0] / made.active + self.idle[0] / made.idle


def plan(load: Load, rates: Rates) -> Plan:
    """Share out what may be spent in one region.

    Args:
        load: of the region's sets.
        rates: what may be spent there, per second, all above 0.

    Returns:
        A plan within the rates. No set waits longer than `IDLE_STRETCH` times what it would in a
        round robin over all.
    """
    gets = max(1.0, load.gets / (rates.gets * PLANNED))
    spent = [
        (m, q, rate * PLANNED)
        for m, q, rate in zip(load.active, load.idle, (rates.requests, rates.views), strict=True)
    ]
    alike = max((m + q) / rate for m, q, rate in spent)
    if alike <= 1:
        return Plan(gets=gets)
    longest = IDLE_STRETCH * alike
    of_active = max(1.0, *(m / (rate - q / longest) for m, q, rate in spent))
    if not any(load.idle):
        # One that comes to rest before the next plan must not overtake the others.
        return Plan(active=of_active, idle=of_active, gets=gets)
    # With few active sets the idle ones need not be stretched that much.
    of_idle = max(1.0, *(q / (rate - m / of_active) if q else 0.0 for m, q, rate in spent))
    return Plan(active=of_active, idle=of_idle, gets=gets)


def plan_subscription(
    loads: Mapping[Part, Load], rates: Mapping[Part, Rates], reads: float
) -> dict[Part, Plan]:
    """Share out what may be spent in all regions of a subscription.

    Args:
        loads: of the sets of each region that are listed by one operation; under the empty name of
            those whose region is unknown. They may belong to any region.
        rates: what may be spent on each of them, per second.
        reads: what may be spent by the Resource Manager's limit over all of them, per second.

    Returns:
        The plan of each.
    """
    wanted = {
        (location, operation): load + unplaced
        if location and (unplaced := loads.get(("", operation)))
        else load
        for (location, operation), load in loads.items()
    }
    plans = {region: plan(load, rates[region]) for region, load in wanted.items()}
    lists = sum(load.lists(plans[region]) for region, load in loads.items())
    gets = sum(load.gets / plans[region].gets for region, load in loads.items())
    available = reads * PLANNED
    if lists + gets <= available:
        return plans
    for_gets = min(gets, max(available - lists, available * GETS_PART))
    if lists > available - for_gets:
        part = (available - for_gets) / lists
        plans = {
            region: _with_fewer_requests(load, rates[region], plans[region], part)
            for region, load in wanted.items()
        }
        lists = sum(load.lists(plans[region]) for region, load in loads.items())
    # Where views are short too, or regions unknown, the new plans may still be a little above.
    of_lists = max(1.0, lists / (available - for_gets))
    of_gets = gets / for_gets if gets else 1.0
    return {
        region: Plan(made.active * of_lists, made.idle * of_lists, made.gets * of_gets)
        for region, made in plans.items()
    }


def _with_fewer_requests(load: Load, rates: Rates, made: Plan, part: float) -> Plan:
    """A plan for that part of the requests of a plan that was made."""
    requests = load.lists(made) * part / PLANNED
    return plan(load, replace(rates, requests=requests)) if requests else made
