"""Times as Azure writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def azure_time(unix_time: float) -> str:
    """A status's time: seven digits of the second's fraction, and the offset written out."""
    return (
        f"{datetime.fromtimestamp(unix_time, UTC).isoformat(timespec='microseconds')[:26]}3+00:00"
    )


def agent_time(unix_time: float) -> str:
    """The time of an agent's status: whole seconds."""
    return datetime.fromtimestamp(unix_time, UTC).isoformat(timespec="seconds")
