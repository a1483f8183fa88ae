"""Azure's read limits: token buckets per caller, per subscription and region, and per scale set.

Sources: "Compute throttling limits" and "Understand how ARM throttles requests" of Microsoft's
documentation, and the header values of recorded answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.model.scale_set import ScaleSetId
from exporter.simulator.description import BucketDescription, LimitsDescription

WINDOW = 60.0  # seconds; Compute's buckets are filled up once in each

SUBSCRIPTION_HIGH_COST = "HighCostGetVMScaleSetSubscriptionMaximum"
RESOURCE_HIGH_COST = "HighCostGetVMScaleSetResource"
VM_VIEWS = "VMScaleSetVMViewsSubscriptionMaximum"
SUBSCRIPTION_LOW_COST = "GetVMScaleSetSubscriptionMaximum"
RESOURCE_LOW_COST = "GetVMScaleSetResource"
SUBSCRIPTION_VM = "GetVMScaleSetVMSubscriptionMaximum"
RESOURCE_VM = "GetVMScaleSetVMResource"
GRAPH_WINDOW = 5.0  # seconds; of Resource Graph's quota

GRAPH_QUERIES = "graph_queries"
SUBSCRIPTION_VM_LOW_COST = "LowCostGetSubscriptionMaximum"
VM_LIST = "HighCostGetSubscriptionMaximum"

DEFAULTS = {
    SUBSCRIPTION_HIGH_COST: BucketDescription(capacity=1080, refill=360),
    RESOURCE_HIGH_COST: BucketDescription(capacity=30, refill=10),
    VM_VIEWS: BucketDescription(capacity=30_000, refill=10_000),
    SUBSCRIPTION_LOW_COST: BucketDescription(capacity=2400, refill=800),
    RESOURCE_LOW_COST: BucketDescription(capacity=36, refill=12),
    SUBSCRIPTION_VM: BucketDescription(capacity=6000, refill=2000),
    RESOURCE_VM: BucketDescription(capacity=36, refill=12),
    SUBSCRIPTION_VM_LOW_COST: BucketDescription(capacity=24_000, refill=8000),
    VM_LIST: BucketDescription(capacity=900, refill=300),
}


@dataclass(slots=True)
class TokenBucket:
    """A bucket that starts full; `refill` flows back at the end of each `window` seconds."""

    capacity: int
    refill: int
    window: float
    opened: float
    tokens: int = -1
    refused: int = 0
    windows: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.capacity

    def fill(self, now: float) -> None:
        """Let flow back what is due at that monotonic time."""
        passed = max(0, int((now - self.opened) / self.window))
        if passed > self.windows:
            self.tokens = min(self.capacity, self.tokens + (passed - self.windows) * self.refill)
            self.windows = passed
            self.refused = 0

    def wait(self, now: float, cost: int) -> float:
        """Seconds until `cost` tokens will be there; a cost above the capacity needs a full one."""
        missing = min(cost, self.capacity) - self.tokens
        if missing <= 0:
            return 0.0
        needed = self.windows + math.ceil(missing / self.refill)
        return self.opened + needed * self.window - now


@dataclass(frozen=True, slots=True)
class Charge:
    """One policy that a call is charged to: the bucket's key, and the cost."""

    policy: str
    key: tuple[str, ...]
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """A bucket that had too little: its policy, the seconds to wait, and what was counted."""

    policy: str
    wait: float
    allowed: int
    measured: int


class Limits:
    """All buckets, made when they are first needed.

    Args:
        description: the limits of the fleet file.
        monotonic: the clock that the buckets are filled by.
    """

    def __init__(self, description: LimitsDescription, monotonic: Callable[[], float]) -> None:
        self.description = description
        self._monotonic = monotonic
        self._buckets: dict[tuple[str, ...], TokenBucket] = {}

    def spend(self, charges: Sequence[Charge]) -> Refusal | None:
        """Take every charge from its bucket, or none of them: then the first refusal."""
        if not self.description.enabled:
            return None
        now = self._monotonic()
        for charge in charges:
            bucket = self._bucket(charge)
            wait = bucket.wait(now, charge.cost)
            if wait > 0:
                bucket.refused += 1
                return Refusal(
                    policy=charge.policy,
                    wait=wait,
                    allowed=bucket.capacity,
                    measured=bucket.capacity + bucket.refused,
                )
        for charge in charges:
            bucket = self._bucket(charge)
            bucket.tokens = max(0, bucket.tokens - charge.cost)
        return None

    def remaining(self, charge: Charge) -> int:
        """What is left in the bucket that the charge belongs to."""
        return self._bucket(charge).tokens

    def resets_after(self, charge: Charge) -> float:
        """Seconds until something flows back into the bucket that the charge belongs to."""
        bucket, now = self._bucket(charge), self._monotonic()
        return bucket.opened + (bucket.windows + 1) * bucket.window - now

    def drain(self, policy: str) -> None:
        """Empty every bucket of a policy that was used before, as another client would."""
        now = self._monotonic()
        for (name, *_), bucket in self._buckets.items():
            if name == policy:
                bucket.fill(now)
                bucket.tokens = 0

    def _bucket(self, charge: Charge) -> TokenBucket:
        now = self._monotonic()
        key = (charge.policy, *charge.key)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = self._new(charge.policy, now)
        bucket.fill(now)
        return bucket

    def _new(self, policy: str, now: float) -> TokenBucket:
        # ARM's own buckets flow back each second.
        for name, description in (
            ("principal_reads", self.description.principal_reads),
            ("subscription_reads", self.description.subscription_reads),
        ):
            if policy == name:
                return TokenBucket(description.capacity, description.refill, 1.0, now)
        if policy == GRAPH_QUERIES:
            quota = self.description.graph_queries.capacity
            return TokenBucket(quota, quota, GRAPH_WINDOW, now)
        given = self.description.policies.get(policy) or DEFAULTS[policy]
        return TokenBucket(given.capacity, given.refill, WINDOW, now)


def reads(subscription_id: str, principal: str) -> tuple[Charge, Charge]:
    """What ARM itself charges every read: the caller's bucket, and the subscription's."""
    return (
        Charge("principal_reads", (subscription_id, principal)),
        Charge("subscription_reads", (subscription_id,)),
    )


def instance_list(scale_set: ScaleSetId, location: str, viewed: int) -> list[Charge]:
    """A page of the instance list: one of each High Cost bucket, and every VM viewed."""
    subscription, *_ = scale_set.key
    charges = [
        Charge(SUBSCRIPTION_HIGH_COST, (subscription, location)),
        Charge(RESOURCE_HIGH_COST, scale_set.key),
    ]
    if viewed:
        charges.append(Charge(VM_VIEWS, (subscription, location), viewed))
    return charges


def set_view(scale_set: ScaleSetId, location: str) -> list[Charge]:
    """The instance view of a scale set: High Cost, without VM views."""
    return instance_list(scale_set, location, 0)


def set_list(subscription_id: str, location: str) -> list[Charge]:
    """The scale sets of a resource group or location: High Cost, per subscription only."""
    return [Charge(SUBSCRIPTION_HIGH_COST, (subscription_id.casefold(), location))]


def set_get(scale_set: ScaleSetId, location: str) -> list[Charge]:
    """One scale set: Low Cost."""
    subscription, *_ = scale_set.key
    return [
        Charge(SUBSCRIPTION_LOW_COST, (subscription, location)),
        Charge(RESOURCE_LOW_COST, scale_set.key),
    ]


def instance_get(scale_set: ScaleSetId, location: str, instance_id: str) -> list[Charge]:
    """One instance, or its view."""
    subscription, *_ = scale_set.key
    return [
        Charge(SUBSCRIPTION_VM, (subscription, location)),
        Charge(RESOURCE_VM, (*scale_set.key, instance_id)),
        Charge(VM_VIEWS, (subscription, location)),
    ]


def machine_get(scale_set: ScaleSetId, location: str) -> list[Charge]:
    """One virtual machine: Low Cost."""
    subscription, *_ = scale_set.key
    return [Charge(SUBSCRIPTION_VM_LOW_COST, (subscription, location))]


def machine_list(subscription_id: str, location: str) -> list[Charge]:
    """The list of virtual machines, where Flexible instances live."""
    return [Charge(VM_LIST, (subscription_id.casefold(), location))]


def graph_query(principal: str) -> Charge:
    """A page of Resource Graph, by the client over all subscriptions."""
    return Charge(GRAPH_QUERIES, (principal,))
