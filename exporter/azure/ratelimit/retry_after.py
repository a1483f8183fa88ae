"""Retry-After gate: no request is sent to a throttled bucket before its deadline."""

from __future__ import annotations

from exporter.azure.errors import NotSent
from exporter.azure.operation import Scope
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

DEFAULT_WAIT = 60.0
"""Seconds to wait where Azure does not say: its windows are one minute long."""


class RetryAfterGate:
    """Until when each (subscription, location) is asked to wait.

    Compute's read limits are counted by subscription and region, over all its clients; those of
    the Resource Manager by subscription. A hold without a location is one of a whole
    subscription: Azure said so, or the region is not known yet.
    """

    def __init__(self, *, clock: Clock, telemetry: Telemetry) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._until: dict[tuple[str, str], float] = {}

    def put(
        self,
        subscription_id: str,
        location: str,
        retry_after: float | None,
        *,
        policy: str = "",
        counted_by: str = "",
    ) -> None:
        """Wait from now on; a wait that is in force is never shortened.

        Args:
            subscription_id: whose calls wait.
            location: the region; empty for all of the subscription's.
            retry_after: seconds as Azure says; None where it does not say.
            policy: the limit that was exceeded, for the metric.
            counted_by: whose calls wait, where that is not all of the subscription; see `Scope`.
        """
        wait = DEFAULT_WAIT if retry_after is None else max(0.0, retry_after)
        key = ((counted_by or subscription_id).casefold(), location.casefold())
        until = self._clock.monotonic() + wait
        if until > self._until.get(key, 0.0):
            self._until[key] = until
            labels = self._telemetry.policy_labels(subscription_id, location, policy)
            self._telemetry.gauge("azure_throttled_until_timestamp_seconds", **labels).set(
                self._clock.now() + wait
            )

    def check(self, scope: Scope) -> None:
        """Let a request pass that may go out now.

        Raises:
            NotSent: Azure has asked to wait longer.
        """
        wait = max(
            self.remaining(scope.counted_by, scope.location),
            self.remaining(scope.counted_by_service, ""),
        )
        if wait > 0:
            raise NotSent(f"not sent: Azure asked to wait {wait:.0f} s more", retry_after=wait)

    def remaining(self, subscription_id: str, location: str) -> float:
        """Seconds until a call may go out; 0 where none is held."""
        subscription = subscription_id.casefold()
        until = max(
            self._until.get((subscription, place), 0.0) for place in ("", location.casefold())
        )
        return max(0.0, until - self._clock.monotonic())
