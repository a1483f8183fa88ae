"""Request pacing: the Resource Manager's own read limit of one subscription.

Before any resource provider the Resource Manager counts every read of a principal by subscription,
whatever the region: a token bucket of 250 that refills by 25 each second. It is smaller than what
Compute allows in a minute, so requests are paced: at most a few at a time, and over any longer
time no more than the share of the refill, lowered with the level that the headers show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from exporter.azure.operation import Operation
from exporter.azure.ratelimit.limit import Charges, Policy
from exporter.runtime.clock import Clock

READS = "subscription-reads"
CAPACITIES = {
    READS: 250,
    "subscription-global-reads": 3750,
    "tenant-reads": 250,
    "tenant-global-reads": 3750,
}
"""What the buckets hold, by the endings of the headers that tell what remains of them. Every
documented one refills within ten seconds."""

REFILL_MINUTES = 1 / 6

RISE = 1.0
"""The part of the share that may return in a minute: these buckets refill in seconds."""

BURST = 5.0
"""Requests of a subscription that may go out at the same moment."""

FIRST_PER_OTHER = 3
"""While both wait, so many calls that go first, the instance lists, go out for each other one: data
that changes often before data that changes rarely."""

FEW_READS = 25
READS_PAUSE = 1.0
"""With fewer reads left than refill in a second, wait that long."""

LONGEST_SLEEP = 1.0
"""Seconds after which a wait is worked out again: the rate may have risen meanwhile."""

_MOMENT = 0.001


class TokenBucket:
    """A token bucket that starts full; a cost above its size runs it into debt.

    Args:
        size: the most tokens it holds.
        now: the monotonic time.
    """

    def __init__(self, size: float, now: float) -> None:
        self._size = self._tokens = size
        self._filled_at = now

    def wait(self, cost: float, rate: float, now: float) -> float:
        """Seconds until the cost may be taken, at that many tokens per second."""
        self._tokens = min(self._size, self._tokens + rate * (now - self._filled_at))
        self._filled_at = now
        return max(0.0, (min(cost, self._size) - self._tokens) / rate)

    def take(self, cost: float) -> None:
        """Take tokens; negative amounts put some back."""
        self._tokens = min(self._size, self._tokens - cost)


class Pace:
    """When the next request of a subscription may go out.

    Polls wait in `reserve`, before they take one of the slots; each request passes `send`, which
    has no queue unless retries or unexpected pages come in between.

    Args:
        share: tells the part of the limit that may be used.
        burst: the most requests at one moment.

    Attributes:
        policies: the Resource Manager's limits that were seen, by name.
    """

    def __init__(self, *, clock: Clock, share: Callable[[], float], burst: float) -> None:
        now = clock.monotonic()
        self._clock = clock
        self._share = share
        self._cooperative = TokenBucket(burst, now)
        self._sends = TokenBucket(burst, now)
        # By whether the operation goes first.
        self._queues = {True: asyncio.Lock(), False: asyncio.Lock()}
        self._waiting = {True: 0, False: 0}
        self._first_in_a_row = 0
        self._gate = asyncio.Lock()
        self._sending = 0
        self._paused_until = 0.0
        self._charges = Charges()
        self.policies = {READS: _policy(READS, now)}

    def per_second(self) -> float:
        """How many requests may go out in a second, at length."""
        now, share = self._clock.monotonic(), self._share()
        allowed = (
            policy.per_minute(now, share)
            for name, policy in self.policies.items()
            if name == READS or policy.is_current(now)
        )
        return min(allowed) / 60

    async def reserve(self, operation: Operation, calls: float) -> None:
        """Wait until the requests of one poll may begin; first come, first served.

        Args:
            operation: one that goes first leaves the others one call in `FIRST_PER_OTHER` + 1.
            calls: how many requests the poll will need.
        """
        goes_first = operation.goes_first
        self._waiting[goes_first] += 1
        try:
            async with self._queues[goes_first]:
                while wait := self._reserve_wait(calls, goes_first=goes_first):
                    await self._clock.sleep(wait)
                self._cooperative.take(calls)
                self._first_in_a_row = self._first_in_a_row + 1 if goes_first else 0
        finally:
            self._waiting[goes_first] -= 1

    def give_back(self, calls: float) -> None:
        """Return the requests that a finished poll reserved and did not need."""
        self._cooperative.take(-calls)

    async def send(self) -> None:
        """Wait until one request may go out."""
        self._sending += 1
        try:
            async with self._gate:
                while wait := self._wait(self._sends, 1.0):
                    await self._clock.sleep(wait)
                self._sends.take(1.0)
        finally:
            self._sending -= 1

    def not_sent(self) -> None:
        """Give back what `send` has taken."""
        self._sends.take(-1.0)

    def charge(self) -> None:
        """Count a request that went out."""
        self._charges.add(1.0, self._clock.monotonic())

    def used_ratio(self, policy: Policy) -> float:
        """What was charged in the last minute, as a part of what a limit allows."""
        now = self._clock.monotonic()
        allowed = policy.per_minute(now, self._share())
        return self._charges.total(now) / allowed if allowed else 0.0

    def seen(self, remaining: Mapping[str, int]) -> list[Policy]:
        """Record what remains by an answer's headers.

        Returns:
            The limits that it names and that count here.
        """
        now = self._clock.monotonic()
        named = []
        for name in remaining.keys() & CAPACITIES.keys():
            policy = self.policies.setdefault(name, _policy(name, now))
            policy.seen(remaining[name], now)
            named.append(policy)
        if remaining.get(READS, FEW_READS) < FEW_READS:
            self._paused_until = now + READS_PAUSE
        return named

    def refused(self) -> None:
        """Record a 429 of the Resource Manager's: spend half as much, and come back slowly."""
        now = self._clock.monotonic()
        for policy in self.policies.values():
            policy.refused(now)

    def _reserve_wait(self, calls: float, *, goes_first: bool) -> float:
        wait = self._wait(self._cooperative, calls)
        if not wait and (self._sending or self._yields(goes_first=goes_first)):
            return min(LONGEST_SLEEP, 1 / self.per_second())
        return wait

    def _yields(self, *, goes_first: bool) -> bool:
        """Whether a call of the other kind is next."""
        if not self._waiting[not goes_first]:
            return False
        first_is_next = self._first_in_a_row < FIRST_PER_OTHER
        return first_is_next != goes_first

    def _wait(self, bucket: TokenBucket, cost: float) -> float:
        now = self._clock.monotonic()
        wait = max(bucket.wait(cost, self.per_second(), now), self._paused_until - now)
        return min(LONGEST_SLEEP, wait + _MOMENT) if wait > 0 else 0.0


def _policy(name: str, now: float) -> Policy:
    capacity = CAPACITIES[name]
    return Policy(
        name, now=now, capacity=capacity, minutes=REFILL_MINUTES, rise=RISE, largest=capacity
    )
