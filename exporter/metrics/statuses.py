"""Reading Azure's statuses: codes, levels, times, and which of several statuses counts.

A code has the form `<kind>/<state>[/<more>]`, in any letter case, and nothing about it is
certain: parts may be missing, empty or new. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from exporter.model.instance_view import Status

UNKNOWN = "unknown"
LEVELS = ("info", "warning", "error")
"""Azure's levels by rank: 0 Info, 1 Warning, 2 Error."""

_RANKS = {level: rank for rank, level in enumerate(LEVELS)}
_SPELLED_RANKS = {"Info": 0, "Warning": 1, "Error": 2}
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}")


class Code(NamedTuple):
    """A status code taken apart, in lower case; parts that Azure does not send are empty."""

    kind: str
    state: str
    rest: str


class ReadStatus(NamedTuple):
    """The status that counts among several of one kind.

    `state` is empty where the code has none, `shown` is then `unknown`. `level` is 0, 1 or 2, and
    None where Azure sends none or one that is not known; `timestamp` is Unix time in seconds,
    None where Azure's text is no time.
    """

    kind: str
    state: str
    rest: str
    level: int | None
    timestamp: float | None

    @property
    def shown(self) -> str:
        """The state as families serve it that take Azure's own word."""
        return self.state or UNKNOWN

    @property
    def number(self) -> int | None:
        """The number at the code's end, as -1 in `ProvisioningState/failed/-1`."""
        return int(self.rest) if _NUMBER.fullmatch(self.rest) else None


@lru_cache(maxsize=2048)
def split_code(code: str | None) -> Code:
    """Take a code apart: `ProvisioningState/failed/X` is (provisioningstate, failed, x)."""
    kind, _, tail = (code or "").strip().lower().partition("/")
    state, _, rest = tail.partition("/")
    return Code(kind, state, rest)


def level_of(status: Status) -> int | None:
    """The level as a number, so that `max by` and `>= 2` work."""
    level = status.level
    if level is None:
        return None
    rank = _SPELLED_RANKS.get(level)
    return _RANKS.get(level.lower()) if rank is None else rank


def timestamp_of(text: str | None) -> float | None:
    """Read an RFC 3339 time as Unix seconds; a time without an offset is UTC.

    Text that is no time gives None, and so does a time before 1970: .NET's year 1 is how
    Azure's services write no time.
    """
    if text is None or len(text) < len("2000-01-01T00:00:00") or text[10] not in "Tt ":
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 0 else None


def read_status(status: Status) -> ReadStatus:
    """Read one status."""
    kind, state, rest = split_code(status.code)
    return ReadStatus(kind, state, rest, level_of(status), timestamp_of(status.time))


def worst(statuses: Iterable[ReadStatus]) -> ReadStatus | None:
    """The status that counts: the worst level, then the newest, then the first."""
    chosen: ReadStatus | None = None
    for status in statuses:
        if chosen is None or _weight(status) > _weight(chosen):
            chosen = status
    return chosen


def _weight(status: ReadStatus) -> tuple[int, float]:
    return (
        -1 if status.level is None else status.level,
        0.0 if status.timestamp is None else status.timestamp,
    )


def read_all(statuses: list[Status | None] | None) -> list[ReadStatus]:
    """Read a list of statuses, without the nulls that it may hold."""
    return [read_status(status) for status in statuses or () if status is not None]
