"""Durations as Prometheus writes them: `500ms`, `30s`, `5m`, `1h30m`."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?(?:([0-9]{1,9})ms)?")
_MILLISECONDS = (3_600_000, 60_000, 1_000, 1)

EXPECTED = "a duration such as 30s"
"""What a message says was expected."""


def parse_duration(text: str) -> float:
    """Read a duration.

    Args:
        text: whole numbers with `h`, `m`, `s` and `ms`, each unit at most once, largest first.

    Returns:
        Seconds, more than 0.

    Raises:
        ValueError: the text is not a duration, or it is one of zero length.
    """
    match = _DURATION.fullmatch(text)
    milliseconds = 0
    if match is not None:
        counts = (int(group or 0) for group in match.groups())
        milliseconds = sum(count * unit for count, unit in zip(counts, _MILLISECONDS, strict=True))
    if milliseconds == 0:
        raise ValueError(f"expected {EXPECTED}, got {text!r}")
    return milliseconds / 1000
