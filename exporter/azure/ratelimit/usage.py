"""What a call may spend of Azure's read limits, and what it has spent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporter.azure.operation import OPERATIONS, DocumentedLimit, Operation, Scope
from exporter.azure.ratelimit.headers import LimitHeaders
from exporter.azure.ratelimit.limit import Limit

PAGE_INSTANCES = 120
"""Instances on a page of Azure's, for a set whose list was never seen."""


KEPT_FOR = 3600.0
"""Seconds after which limits are forgotten that nothing was asked of: no set is polled by them.
Until then a set that comes back goes by what was learned, and by what was spent in the last
minute."""


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


class Region:
    """The limits of one subscription and region.

    Attributes:
        used: the monotonic time when anything was asked of them for the last time.
    """

    def __init__(self, now: float) -> None:
        self.used = now
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

    def is_not(self, other: Region) -> None:
        """The other one is forgotten: no set of this one is in it."""
        for documented, mine in self._limits.items():
            mine.candidates = [
                its for its in mine.candidates if its is not other._limits[documented]
            ]

    def in_use(self, now: float) -> bool:
        """Whether anything was asked of the limits lately, or is reserved of them."""
        lately = now - self.used < KEPT_FOR
        return lately or any(limit.reserved for limit in self.all_limits)


class Reservation:
    """What is reserved for the requests of one call, and what they were charged.

    The scheduler gets it from the budget and hands it down to the client. A call has several
    requests if its answer has several pages. Once it is closed it may be used again: nothing is
    reserved then, so each request waits for itself.

    Attributes:
        begun: whether a request has gone out.
        pages: answers so far.
        views: VMs viewed so far, by Azure's headers.
        all_told: whether these were in every answer.
        expires: the monotonic time when a reservation ends that is not made use of.
    """

    def __init__(self, operation: Operation, scope: Scope, region: Region) -> None:
        self.operation = operation
        self.scope = scope
        self.region = region
        self.requests_limit, self.views_limit = region.limits(operation)
        self.expires = 0.0
        self._reset()

    def _reset(self) -> None:
        self.begun = False
        self.pages = 0
        self.views = 0
        self.all_told = True

    def set_aside(self, requests: float, views: float) -> None:
        """Reserve that much for the next requests."""
        self.requests_limit.reserved[self] = requests
        if self.views_limit is not None:
            self.views_limit.reserved[self] = views

    @property
    def reserved_requests(self) -> float:
        """The requests that may go out at once."""
        return self.requests_limit.reserved.get(self, 0.0)

    @property
    def reserved_views(self) -> float:
        """The VMs that may be viewed at once."""
        return self.views_limit.reserved.get(self, 0.0) if self.views_limit is not None else 0.0

    def spend(self, views: int | None, now: float) -> None:
        """Record what a request was charged; None if it is not known."""
        self.pages += 1
        if views is None:
            # As much as was reserved for it: Azure may have counted that.
            self.all_told, views = False, int(min(self.reserved_views, PAGE_INSTANCES))
        else:
            self.views += views
        self.requests_limit.charge(1.0, now)
        if self.views_limit is not None:
            self.views_limit.charge(views, now)
        self.set_aside(max(0.0, self.reserved_requests - 1), max(0.0, self.reserved_views - views))

    def release(self) -> None:
        """Give back what is still reserved, and begin anew."""
        self.requests_limit.reserved.pop(self, None)
        if self.views_limit is not None:
            self.views_limit.reserved.pop(self, None)
        self._reset()


class Request:
    """One request: what it was charged, once the answer tells.

    Attributes:
        pending: whether it may have been charged, with an amount that is not known.
    """

    def __init__(
        self,
        record: Callable[[LimitHeaders, int], None],
        *,
        not_sent: Callable[[], None] = lambda: None,
    ) -> None:
        self._record = record
        self._not_sent = not_sent
        self.pending = True

    def answered(self, limits: LimitHeaders, status: int) -> None:
        """Record an answer's headers, whatever its status."""
        self.pending = False
        self._record(limits, status)

    def not_sent(self) -> None:
        """Record that nothing went out, so nothing is charged."""
        self.pending = False
        self._not_sent()
