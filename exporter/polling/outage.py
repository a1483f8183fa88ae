"""Consecutive failures of one scale set: each reason is logged once, and so is the recovery."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from exporter.azure.errors import AzureError
from exporter.model.scale_set import ScaleSetId

INTERNAL = "internal"
"""The reason of a failure that is the exporter's own fault."""

FAULT = "a fault of the exporter; see its log"

_log = structlog.get_logger(__name__)


class Described(NamedTuple):
    """The reason of a failure, its message, and what of it is logged."""

    reason: str
    message: str
    logged: str


def describe(error: AzureError | None, *, messages: bool) -> Described:
    """Describe why a call failed.

    Args:
        error: the failure; None for a fault of the exporter.
        messages: whether texts of Azure's may be logged.
    """
    if error is None:
        return Described(INTERNAL, FAULT, FAULT)
    # The advice is the exporter's own text, the rest may quote Azure.
    return Described(error.reason, str(error), str(error) if messages else error.advice)


class Outage:
    """The failures of a scale set since its last success."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._polls = 0
        self._reasons: set[str] = set()

    def failing(self, scale_set: ScaleSetId, reason: str, message: str, now: float) -> None:
        """Log a reason that is new in this outage.

        Args:
            reason: of the closed set of `poll_failures_total`.
            message: what failed and what to do, for people.
            now: the monotonic time.
        """
        if self._since is None:
            self._since = now
        if reason not in self._reasons:
            self._reasons.add(reason)
            _log.warning(
                "scale set failing", scale_set=str(scale_set), reason=reason, error=message
            )

    def poll_failed(self) -> None:
        """Count a failed poll."""
        self._polls += 1

    def knows(self, reason: str) -> bool:
        """Whether the reason was logged in this outage."""
        return reason in self._reasons

    def ended(self, scale_set: ScaleSetId, now: float) -> None:
        """Log the recovery, if there was an outage."""
        if self._since is not None:
            _log.info(
                "scale set recovered",
                scale_set=str(scale_set),
                failing_seconds=round(now - self._since),
                failed_polls=self._polls,
            )
        self._since, self._polls = None, 0
        self._reasons.clear()
