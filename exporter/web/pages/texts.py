"""What the pages say: states with their signs, times and ages, and texts from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.metrics.instance_json import readable
from exporter.metrics.statuses import timestamp_of
from exporter.metrics.verdict import VERDICTS, Verdict

LONGEST_LABEL = 120
"""Characters of a name that are shown."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class State:
    """A state as the pages show it: in one colour everywhere, and never by the colour alone.

    Attributes:
        key: its name in style sheets and addresses.
        sign: a character that stands for it.
        title: in words.
    """

    key: str
    sign: str
    title: str


_TITLES = {
    "failed": ("✕", "failed"),
    "warning": ("▲", "warning"),
    "unknown": ("?", "unknown"),
    "changing": ("↻", "changing"),
    "off": ("○", "off"),
    "ok": ("✓", "well"),
}

STATES: dict[str, State] = {verdict: State(verdict, *_TITLES[verdict]) for verdict in VERDICTS}
"""The states of instances; the worst first."""

PROBLEMS = frozenset(("failed", "warning", "unknown"))
"""The keys of states in which something is wrong."""

FAILING = State("failing", "!", "poll failing")
"""A set whose last poll failed: what is shown of it may be old."""

NEW = State("new", "…", "not polled yet")
"""A set that was never polled."""


def state_of(verdict: Verdict) -> State:
    """How a verdict is shown."""
    return STATES[verdict]


def shown(text: str | None) -> str:
    """A text from outside as people may see it; empty for none."""
    return readable(text) or ""


def label(text: str | None) -> str:
    """A name from outside, on one line and not too long."""
    line = " ".join(shown(text).split())
    return line if len(line) <= LONGEST_LABEL else line[: LONGEST_LABEL - 1] + "…"


def when(timestamp: float | None) -> str:
    """A Unix time as `2026-11-22 03:04:05 UTC`; empty for none."""
    moment = _moment(timestamp)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def machine_time(timestamp: float | None) -> str:
    """The same for the `datetime` of a `time` element."""
    moment = _moment(timestamp)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def duration(seconds: float | None) -> str:
    """Seconds in the largest unit that fits, as `12 min`; empty for none."""
    if seconds is None:
        return ""
    whole = int(max(0.0, seconds))
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    if whole < 2 * _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h"
    return f"{whole // _DAY} days"


@dataclass(frozen=True, slots=True)
class Since:
    """Since when something is so.

    Attributes:
        machine: for the `datetime` of a `time` element.
        text: the time.
        ago: how long that is.
    """

    machine: str
    text: str
    ago: str

    @classmethod
    def of(cls, timestamp: float | None, now: float) -> Since | None:
        """The words for a Unix time; None where nobody has told it."""
        text = when(timestamp)
        if timestamp is None or not text:
            return None
        return cls(machine_time(timestamp), text, duration(now - timestamp))

    @classmethod
    def of_azure(cls, time: str | None, now: float) -> Since | None:
        """The same for a time as Azure writes it; None for none that can be read."""
        return cls.of(timestamp_of(time), now)


def _moment(timestamp: float | None) -> datetime | None:
    if timestamp is None:
        return None
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError):
        return None
