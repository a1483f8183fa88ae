"""The state of the token, on the exporter's own metrics."""

from __future__ import annotations

from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    ServerFailed,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from exporter.telemetry import Telemetry

REASONS: tuple[str, ...] = tuple(
    kind.reason for kind in (Unauthenticated, Unreachable, TimedOut, ServerFailed, BrokenAnswer)
)
"""Why a token cannot be had: a closed set, of those of a poll."""

_EXPIRY = "token_expiry_timestamp_seconds"
_FAILURES = "token_failures_total"


class TokenWatch:
    """Counts what fails, and tells when the token in use ends.

    Args:
        expiries: when the tokens of all credentials end, where there are several.
    """

    def __init__(
        self, telemetry: Telemetry, expiries: dict[TokenWatch, float] | None = None
    ) -> None:
        self._telemetry = telemetry
        self._expiries = {} if expiries is None else expiries
        # From 0 on, or `increase()` would miss the first failure.
        for reason in REASONS:
            telemetry.counter(_FAILURES, reason=reason)

    def got(self, expires_on: float | None) -> None:
        """Record a token and its Unix time of expiry; None if that is unknown."""
        if expires_on is None:
            self._expiries.pop(self, None)
        else:
            self._expiries[self] = expires_on
        if self._expiries:
            self._telemetry.gauge(_EXPIRY).set(min(self._expiries.values()))
        else:
            self._telemetry.hide(_EXPIRY)

    def failed(self, error: AzureError) -> None:
        """Record a failed try."""
        reason = error.reason if error.reason in REASONS else Unauthenticated.reason
        self._telemetry.counter(_FAILURES, reason=reason).inc()
