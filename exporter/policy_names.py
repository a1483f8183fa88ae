"""Which names of rate-limit policies have series: a bounded number, and none for ever.

The names come from Azure's answers, change over the years, and could be anything. Each makes
several series, so only a limited number per subscription and region have their own at any time, the
rest is `other`, and a name that no answer has for an hour is removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

MOST_NAMES = 32
"""Names of one subscription and region that have series of their own."""

FORGET_AFTER = 3600.0
"""Seconds after which a policy that no answer names is forgotten."""

OTHER = "other"
"""The label value of all further policies."""


@dataclass(slots=True)
class _Bucket:
    """One subscription and region, as they were spelled first, and when each name was last seen."""

    subscription_id: str
    location: str
    seen: dict[str, tuple[str, float]] = field(default_factory=dict)


class PolicyNames:
    """The names in use, by subscription and region; letter case makes no difference.

    Args:
        forget: called with the labels of a name that goes.
    """

    def __init__(
        self, monotonic: Callable[[], float], *, forget: Callable[[dict[str, str]], None]
    ) -> None:
        self._monotonic = monotonic
        self._forget = forget
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def labels(self, subscription_id: str, location: str, policy: str) -> dict[str, str]:
        """The labels under which a policy is shown, which Azure has named now.

        Args:
            subscription_id: whose limit it is.
            location: its region; empty for a limit of the whole subscription.
            policy: its name; empty where Azure names none.
        """
        key = subscription_id.casefold(), location.casefold()
        bucket = self._buckets.setdefault(key, _Bucket(subscription_id, location))
        name = policy.casefold()
        if name not in bucket.seen:
            self.expire()
            if len(bucket.seen.keys() - {OTHER}) >= MOST_NAMES:
                name = policy = OTHER
        shown, _ = bucket.seen.get(name, (policy, 0.0))
        bucket.seen[name] = shown, self._monotonic()
        # Expiry may have dropped the empty bucket.
        self._buckets[key] = bucket
        return _labels(bucket, shown)

    def expire(self) -> None:
        """Remove the names that no answer had for an hour."""
        oldest = self._monotonic() - FORGET_AFTER
        for key, bucket in list(self._buckets.items()):
            for name, (shown, seen) in list(bucket.seen.items()):
                if seen <= oldest:
                    del bucket.seen[name]
                    self._forget(_labels(bucket, shown))
            if not bucket.seen:
                del self._buckets[key]


def _labels(bucket: _Bucket, policy: str) -> dict[str, str]:
    return {
        "subscription_id": bucket.subscription_id,
        "location": bucket.location,
        "policy": policy,
    }
