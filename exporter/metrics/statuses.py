"""Reading Azure's statuses: codes, levels, times, and which of several statuses counts.

A code has the form `<kind>/<state>[/<more>]`, in any letter case, and nothing about it is
certain: parts may be missing, empty or new. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from exporter.exposition.text_format import cut, number
from exporter.model.instance_view import Status

UNKNOWN = "unknown"
LEVELS = ("info", "warning", "error")
"""Azure's levels by rank: 0 Info, 1 Warning, 2 Error."""

_RANKS = {level: rank for rank, level in enumerate(LEVELS)}
_USUAL_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}):([0-5][0-9])(?:\.([0-9]{1,9}))?(?:\+00:00|Z)"
)
_REMEMBERED = 4096
"""Codes with their levels whose parsed form is kept."""

_LONGEST_REMEMBERED = 1024
"""Characters of such a code and level."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}")


@dataclass(frozen=True, eq=False, slots=True)
class ParsedStatus:
    """What a status says by its code and level.

    The same code and level give the same object, unless they are very long or forgotten.

    Attributes:
        kind: the first part of the code, in lower case, as all parts are.
        state: the second part; empty where the code has none.
        rest: what follows; empty where nothing does.
        level: 0, 1 or 2; None where Azure sends none or one that is not known.
        level_is_new: whether Azure sends a level that is not known.
        number: the number at the code's end, as -1 in `ProvisioningState/failed/-1`.
    """

    kind: str
    state: str
    rest: str
    level: int | None
    level_is_new: bool
    number: int | None

    @property
    def shown(self) -> str:
        """The state as families serve it that take Azure's own word."""
        return self.state or UNKNOWN


_known: dict[tuple[str | None, str | None], ParsedStatus] = {}


def read(status: Status) -> ParsedStatus:
    """What a status says.

    A fleet has few codes and many statuses, so each is taken apart once.
    """
    return _known.get((status.code, status.level)) or _learn(status.code, status.level)


def _learn(code: str | None, level: str | None) -> ParsedStatus:
    parsed = _take_apart(code, level)
    if len(code or "") + len(level or "") > _LONGEST_REMEMBERED:
        # Texts of megabytes would stay for ever.
        return parsed
    if len(_known) >= _REMEMBERED:
        _known.clear()
    _known[code, level] = parsed
    return parsed


def _take_apart(code: str | None, level: str | None) -> ParsedStatus:
    """`ProvisioningState/failed/X` is (provisioningstate, failed, x)."""
    kind, _, tail = (code or "").lower().partition("/")
    kind, (state, _, rest) = kind.strip(), tail.partition("/")
    state, rest = state.strip(), rest.strip()
    rank = None if level is None else _RANKS.get(level.lower())
    return ParsedStatus(
        kind=kind,
        state=cut(state),
        rest=cut(rest),
        level=rank,
        level_is_new=level is not None and rank is None,
        number=int(rest) if _NUMBER.fullmatch(rest) else None,
    )


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


def timestamp_text(text: str | None) -> str | None:
    """The same time as the number that is written into an exposition, to the microsecond.

    Azure writes nearly all times in one form. Of those only the minute is read by a parser, and
    most minutes more than once; making a float of each time and text of each float took longer.
    """
    if text is None:
        return None
    usual = _USUAL_TIME.fullmatch(text)
    start = _minute(usual[1]) if usual else None
    if usual is None or start is None:
        moment = timestamp_of(text)
        return None if moment is None else number(moment)
    fraction = (usual[3] or "")[:6].rstrip("0")
    seconds = start + int(usual[2])
    return f"{seconds}.{fraction}" if fraction else str(seconds)


@lru_cache(maxsize=4096)
def _minute(text: str) -> int | None:
    """Unix seconds of `2024-07-08T07:27`; None for what is not a minute after 1970 began."""
    moment = timestamp_of(f"{text}:00Z")
    return None if moment is None else int(moment)


def present(statuses: Iterable[Status | None] | None) -> list[Status]:
    """A list of Azure's without the nulls that it may hold."""
    return [status for status in statuses or () if status is not None]


def worst(statuses: Sequence[Status]) -> Status:
    """The status that counts of one or more: the worst level, then the newest, then the first."""
    return statuses[0] if len(statuses) == 1 else max(statuses, key=weight)


def weight(status: Status) -> tuple[int, float]:
    """What decides which of several statuses counts: its level, then its time."""
    level = read(status).level
    return (-1 if level is None else level, timestamp_of(status.time) or 0.0)
