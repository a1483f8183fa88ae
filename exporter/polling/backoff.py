"""How long a set waits after a failure that the next beat would only meet again."""

from __future__ import annotations

from exporter.azure.errors import AzureError, Forbidden, ServerFailed

FORBIDDEN_FIRST = 60.0
FORBIDDEN_LONGEST = 300.0
"""Seconds after a 403, doubling from the first to the longest. Somebody must grant a role, and
Azure needs minutes to heed it; until then every call is spent for nothing."""


class Backoff:
    """The pause of one set: after a 403, and after a 5xx that names its end."""

    def __init__(self) -> None:
        self._forbidden = 0

    def after(self, error: AzureError | None) -> float:
        """Seconds from the end of a poll, or of a GET of the facts, until the next at least.

        Args:
            error: what made it fail; None after a success.
        """
        if not isinstance(error, Forbidden):
            self._forbidden = 0
            return (error.retry_after or 0.0) if isinstance(error, ServerFailed) else 0.0
        pause = min(FORBIDDEN_LONGEST, FORBIDDEN_FIRST * 2.0**self._forbidden)
        # Beyond the longest pause there is nothing to count, and a power would overflow one day.
        self._forbidden += pause < FORBIDDEN_LONGEST
        return pause
