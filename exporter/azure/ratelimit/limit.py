"""How much of one of Azure's limits may be spent: learned from what Azure says remains.

Compute's limits are buckets that belong to all clients of a subscription and region. A client sees
how full they are, in the headers of its own answers, and nothing else. So the level decides: while
a bucket stays half full, all clients together take no more than flows back, and the whole share
may be spent. Below that others take more than their part, and the share shrinks with the level.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection
from math import inf

from exporter.policy_names import FORGET_AFTER

WINDOW = 60.0
"""Seconds over which charges are summed up: Azure's buckets are filled once a minute."""

USUAL_MINUTES = 3.0
"""A documented bucket holds what flows back in so many minutes (`capacity = 3 × refill`)."""

FULL_SHARE_LEVEL, EMPTY_LEVEL = 0.5, 0.1
"""The level of a bucket from which on the whole share may be spent, and where nothing is left.

Two thirds remain at the end of a minute in which all clients together took what flows back.
"""

LEAST = 0.05
"""The part of the share that is always spent: without calls the exporter would never learn that
the others have ended."""

RISE = 0.1
"""The part of the share that may come back in a minute, and by how much a bucket may be believed
larger than a minute before."""

PERIOD = 600.0
"""Seconds after which a bucket that never was as full as believed is believed smaller, and what
was last said of one no longer counts: a full one flows back in less."""

NEAR = 0.95
"""A bucket seen this full is as large as believed: other clients call between two of our
requests."""

MOST_POLICIES = 32
"""Names of policies that are remembered for one limit: Azure has used two or three."""

MEMORY = 0.9
"""What an answer weighs against the next one, where it is counted how many name a policy."""

_ROUNDING = 1e-9
_MINUTES = re.compile(r"(\d{1,3})Min$", re.IGNORECASE)


class Policy:
    """One limit of Azure's, by its name.

    Args:
        name: as Azure spells it. One that ends in `3Min` or `30Min`, of the old generation, holds
            what flows back in so many minutes.
        now: the monotonic time.
        capacity: what it is believed to hold until Azure shows something else.
        minutes: in which an empty bucket refills, where the name does not tell.
        rise: the part of the share that may come back in a minute.
        largest: what may be spent never goes by a larger bucket than this.

    Attributes:
        named_by: how many of the last answers named it; older ones weigh less.
    """

    def __init__(
        self,
        name: str,
        *,
        now: float,
        capacity: float,
        minutes: float = USUAL_MINUTES,
        rise: float = RISE,
        largest: float = inf,
    ) -> None:
        self.name = name
        found = _MINUTES.search(name)
        self._minutes = max(1.0, float(found[1])) if found else minutes
        self._share_rise = rise
        self._largest = largest
        self._believed = capacity
        self._highest_before = capacity
        self._highest = 0.0
        self._period_end = now + PERIOD
        self._part = self._wanted_part = 1.0
        self._risen_at = self._seen_at = now
        self.named_by = 0.0

    def seen(self, remaining: float, now: float) -> None:
        """Record what remains by an answer of Azure's."""
        self._rise(now)
        if now >= self._period_end:
            self._highest_before, self._highest = self._highest or self._highest_before, 0.0
            self._period_end = now + PERIOD
        # More than believed may be an error, and what flows back is not seen: up slowly.
        minutes = min(1.0, (now - self._seen_at) / 60.0)
        ceiling = self._capacity * (1.0 + RISE * minutes)
        self._highest = max(self._highest, min(remaining, ceiling))
        self._seen_at = now
        level = remaining / max(1.0, self._capacity)
        part = (level - EMPTY_LEVEL) / (FULL_SHARE_LEVEL - EMPTY_LEVEL)
        self._wanted_part = min(1.0, max(LEAST, part))
        self._part = min(self._part, self._wanted_part)

    def forgotten(self, now: float) -> bool:
        """Whether no answer has named it for long."""
        return now >= self._seen_at + FORGET_AFTER

    def refused(self, now: float) -> None:
        """Record a call that Azure throttled: the limit was assumed too high."""
        self._rise(now)
        # What is wanted stays: the next header corrects it, if there are headers at all.
        self._part = max(LEAST, self._part / 2)

    def per_minute(self, now: float, share: float) -> float:
        """What may be spent in a minute: down at once, up slowly."""
        self._rise(now)
        return share * min(self._capacity, self._largest) / self._minutes * self._part

    def is_current(self, now: float) -> bool:
        """Whether Azure has named it lately: names change, and a header may be an error."""
        return now < self._seen_at + PERIOD

    @property
    def _capacity(self) -> float:
        highest = max(self._highest, self._highest_before)
        return self._believed if NEAR * self._believed <= highest < self._believed else highest

    def _rise(self, now: float) -> None:
        if not self.is_current(now):
            self._wanted_part = 1.0
        risen = self._share_rise * (now - self._risen_at) / 60.0
        self._part = min(self._wanted_part, self._part + risen)
        self._risen_at = now


class Charges:
    """The charges of the last minute."""

    def __init__(self) -> None:
        self._charges: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def add(self, cost: float, now: float) -> None:
        """Note a charge; it may have been made at any time until now."""
        if cost > 0:
            self._charges.append((now + WINDOW, cost))
            self._sum += cost

    def total(self, now: float) -> float:
        """The sum over the last minute."""
        while self._charges and self._charges[0][0] <= now:
            self._sum -= self._charges.popleft()[1]
        if not self._charges:
            self._sum = 0.0
        return self._sum

    def wait(self, amount: float, now: float) -> float:
        """Seconds until charges of that amount are more than a minute old; infinite if never."""
        for ends, cost in self._charges:
            amount -= cost
            if amount <= 0:
                return ends - now
        return inf


class Limit:
    """What is spent in one region of one thing that Azure counts: requests, or VM views.

    Args:
        policy: the policy that counts it, by its documented name.
        capacity: what its bucket holds, as documented or believed.
        now: the monotonic time.

    Attributes:
        capacity: the same; what the bucket of a policy with another name is believed to hold.
        policies: the policies that count it, by name. Each of them is a limit.
        unplaced: limits whose charges may be of this one's bucket, as their region is not known.
        candidates: the other way round, the limits that this one's charges may belong to. What is
            spent must fit into each of them, too.
        held: what calls that are under way or about to begin may still spend.
    """

    def __init__(self, policy: str, capacity: float, now: float) -> None:
        self.capacity = capacity
        self._documented = Policy(policy, now=now, capacity=capacity)
        self.policies = {policy: self._documented}
        self.unplaced: list[Limit] = []
        self.candidates: list[Limit] = []
        self.reserved: dict[object, float] = {}
        self._charges = Charges()
        self._answers = 0.0

    def seen(self, name: str, remaining: float, now: float) -> Policy | None:
        """Record what remains by a policy; None where there are too many already."""
        policy = self.policies.get(name)
        if policy is None and len(self.policies) < MOST_POLICIES:
            policy = self.policies[name] = Policy(name, now=now, capacity=self.capacity)
        if policy is not None:
            policy.seen(remaining, now)
        return policy

    def answered(self, names: Collection[str], now: float) -> None:
        """Record which policies an answer has named."""
        self._answers = MEMORY * self._answers + 1.0
        for name, policy in list(self.policies.items()):
            policy.named_by = MEMORY * policy.named_by + (name in names)
            if policy is not self._documented and policy.forgotten(now):
                del self.policies[name]

    def refused(self, name: str, now: float) -> None:
        """Record a call that was throttled by a policy; all where none has that name."""
        named = self.policies.get(name)
        for policy in [named] if named else self.policies.values():
            policy.refused(now)

    def charge(self, cost: float, now: float) -> None:
        """Note what Azure has charged."""
        self._charges.add(cost, now)

    def used(self, now: float) -> float:
        """The charges of the last minute."""
        return self._charges.total(now)

    def per_minute(self, now: float, share: float) -> float:
        """What may be spent in any minute.

        Limits that are not documented count while most answers name them: a limit of the region is
        in every answer, and what one set's answers alone tell must not hold up the others.
        """
        return min(
            policy.per_minute(now, share)
            for policy in self.policies.values()
            if policy is self._documented or (policy.is_current(now) and self._is_usual(policy))
        )

    def _is_usual(self, policy: Policy) -> bool:
        return 2 * policy.named_by > self._answers or not self._answers

    def wait(self, cost: float, now: float, share: float) -> float:
        """Seconds until the cost fits, 0 where it does; infinite where only held costs may go.

        A cost above the allowance fits when nothing else was spent for a minute.
        """
        return max(limit._wait(cost, now, share) for limit in (self, *self.candidates))  # noqa: SLF001 - others of this class

    def _wait(self, cost: float, now: float, share: float) -> float:
        allowance = self.per_minute(now, share)
        others = sum(limit.taken(now) for limit in self.unplaced)
        missing = self.taken(now) + others + min(cost, allowance) - allowance
        return 0.0 if missing <= _ROUNDING * allowance else self._charges.wait(missing, now)

    def taken(self, now: float) -> float:
        """The charges of the last minute, and what may still be spent without asking."""
        return self.used(now) + sum(self.reserved.values())


def limit_of(policy: str, calls: Limit, views: Limit | None) -> Limit | None:
    """What a policy counts, whatever its name is; None for nothing that is counted here."""
    if "vmviews" in policy.casefold():
        return views
    # One set's own bucket: its interval keeps within that.
    return None if policy.casefold().endswith("resource") else calls


def is_plausible(policy: str) -> bool:
    """Whether a header's policy may limit the calls that are made here, by its name."""
    return any(word in policy.casefold() for word in ("vmscaleset", "vmviews"))
