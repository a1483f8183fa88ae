"""Which interval each scale set gets when the budget does not allow what all of them wish.

Pure arithmetic for the sets of one region. While everything fits, every set has the interval that
it wishes. Otherwise all would be stretched by the same factor, a round robin; instead the quiet
ones are stretched a little more than that, and the sets in motion share what this frees: there are
few of them as a rule, so it brings them close to what they wish.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.azure.budget import Rates

PLANNED = 0.97
"""The part of the budget that is planned with. The rest is for calls that nobody planned, and for
the time that a call is under way."""

QUIET_STRETCH = 1.18
"""How much more than in a round robin the quiet sets may be stretched."""

PAGE_PAUSE = 6.0
"""Seconds per page between two walks over a set: its own limit is ten requests a minute."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one set needs.

    Attributes:
        wished: seconds between two polls.
        pages: requests of one poll.
        views: VMs viewed by one poll.
        moving: whether the set is in motion or in trouble.
    """

    wished: float
    pages: int = 1
    views: int = 0
    moving: bool = False

    @property
    def interval(self) -> float:
        """The wished interval, if it is not too short for the set's own limit.

        Intervals below the pause are allowed for endpoints only that are not Azure's.
        """
        return max(self.wished, self.pages * min(self.wished, PAGE_PAUSE))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much intervals are stretched: 1 for not at all."""

    moving: float = 1.0
    quiet: float = 1.0

    def interval(self, demand: Demand) -> float:
        """The seconds between two polls of a set that are in force."""
        return demand.interval * (self.moving if demand.moving else self.quiet)


def plan(demands: Iterable[Demand], rates: Rates) -> Plan:
    """Share out what may be spent.

    Args:
        demands: the sets of one region.
        rates: what may be spent there on requests and on VM views, per second, both above 0.

    Returns:
        A plan within the rates. No set waits longer than `QUIET_STRETCH` times what it would in a
        round robin over all.
    """
    # What would be spent per second with no interval stretched: on requests, and on views.
    moving, quiet = [0.0, 0.0], [0.0, 0.0]
    for demand in demands:
        sums = moving if demand.moving else quiet
        sums[0] += demand.pages / demand.interval
        sums[1] += demand.views / demand.interval
    spent = [
        (m, q, rate * PLANNED)
        for m, q, rate in zip(moving, quiet, (rates.requests, rates.views), strict=True)
    ]
    alike = max((m + q) / rate for m, q, rate in spent)
    if alike <= 1:
        return Plan()
    longest = QUIET_STRETCH * alike
    of_moving = max(1.0, *(m / (rate - q / longest) for m, q, rate in spent))
    if not any(quiet):
        # One that comes to rest before the next plan must not overtake the others.
        return Plan(moving=of_moving, quiet=of_moving)
    # With few sets in motion the quiet ones need not be stretched that much.
    of_quiet = max(1.0, *(q / (rate - m / of_moving) if q else 0.0 for m, q, rate in spent))
    return Plan(moving=of_moving, quiet=of_quiet)
