"""What is being spent of Azure's read limits: by a walk over a set's pages, in a region."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from multidict import MultiMapping

from exporter.azure.allowance import Limit
from exporter.azure.operation import OPERATIONS, DocumentedLimit, Operation

PAGE_INSTANCES = 120
"""Instances on a page of Azure's, for a set whose list was never seen."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a walk over a set's instances costs: requests, and VMs viewed."""

    pages: int
    views: int

    def raised_to(self, seen: Cost) -> Cost:
        """What a walk that did not end says: no less than before, and twice as much at most."""
        most_views = max(PAGE_INSTANCES, 2 * self.views)
        return Cost(
            min(max(seen.pages, self.pages), 2 * self.pages),
            min(max(seen.views, self.views), most_views),
        )


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

    def __init__(self, region: Region, operation: Operation, held_until: float) -> None:
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
        documented = [limit for operation in OPERATIONS for limit in operation.limits]
        self._limits: dict[DocumentedLimit, Limit] = {
            limit: Limit(*limit, now) for limit in documented
        }
        self.queues = {operation: asyncio.Lock() for operation in OPERATIONS}
        self.walks_waiting = 0

    @property
    def all_limits(self) -> Iterable[Limit]:
        """The limits of all operations."""
        return self._limits.values()

    def limits(self, operation: Operation) -> tuple[Limit, Limit | None]:
        """What counts the requests of an operation, and what the VMs viewed."""
        views = operation.views
        return self._limits[operation.requests], None if views is None else self._limits[views]

    def may_be(self, other: Region) -> None:
        """The sets of this one, whose region is not known, may be in the other one."""
        for documented, mine in self._limits.items():
            its = other._limits[documented]
            mine.candidates.append(its)
            its.unplaced.append(mine)


class Spending:
    """One request: what it was charged, once the answer tells.

    Attributes:
        pending: whether it may have been charged, and nobody knows what.
    """

    def __init__(
        self,
        take_notice: Callable[[MultiMapping[str], int], None],
        *,
        not_sent: Callable[[], None] = lambda: None,
    ) -> None:
        self._take_notice = take_notice
        self._not_sent = not_sent
        self.pending = True

    def answered(self, headers: MultiMapping[str], status: int) -> None:
        """Take notice of an answer's headers, whatever its status."""
        self.pending = False
        self._take_notice(headers, status)

    def not_sent(self) -> None:
        """Nothing went out, and nothing is charged."""
        self.pending = False
        self._not_sent()
