"""What Azure's headers tell of its read limits: what remains, and how long to wait."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from multidict import MultiMapping

LONGEST_WAIT = 3600.0
"""Seconds; a longer Retry-After is cut. The longest one ever seen was 1200."""

CHARGE = "x-ms-request-charge"
"""The header that tells how many VMs a page of the instance list has viewed."""

_PREFIX = "x-ms-ratelimit-remaining-"
_RESOURCE = _PREFIX + "resource"
_POLICY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NUMBER = re.compile(r"[0-9]{1,15}")
_USER_QUOTA = "x-ms-user-quota-"
_TIME_SPAN = re.compile(r"([0-9]{1,3}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,9})?)")
_CHARGE = re.compile(r"[0-9]{1,6}")
MOST_POLICIES = 32
"""Policies that are read from one answer: Azure names two or three."""


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """All that an answer's headers tell about read limits, parsed once.

    Attributes:
        compute: what remains of each limit of Microsoft.Compute, by the policy's name.
        resource_manager: what remains of each limit of the Resource Manager, by its name.
        viewed: the VMs viewed by a page of the instance list; None where the header is absent or
            cannot be read.
        tells_charge: whether the header is there.
        user_quota: what remains of the client's quota of Resource Graph, and in how many seconds
            it is full again; None where that is not told.
    """

    compute: Mapping[str, int]
    resource_manager: Mapping[str, int]
    viewed: int | None
    tells_charge: bool
    user_quota: tuple[int, float] | None = None

    @classmethod
    def of(cls, headers: MultiMapping[str]) -> LimitHeaders:
        """Parse an answer's headers; what cannot be read is left out."""
        return cls(
            compute=remaining_of_compute(headers),
            resource_manager=remaining_of_arm(headers),
            viewed=charge_of(headers),
            tells_charge=CHARGE in headers,
            user_quota=user_quota_of(headers),
        )


def remaining_of_compute(headers: MultiMapping[str]) -> dict[str, int]:
    """What remains of each limit of Microsoft.Compute, by the policy's name.

    The header comes once with all policies, or once for each; the names change over the years.
    What cannot be read is left out.
    """
    found: dict[str, int] = {}
    for value in headers.getall(_RESOURCE, []):
        for part in value.split(","):
            name, _, number = part.strip().rpartition(";")
            policy = policy_name(name)
            if policy and _NUMBER.fullmatch(number.strip()) and len(found) < MOST_POLICIES:
                found[policy] = int(number)
    return found


def remaining_of_arm(headers: MultiMapping[str]) -> dict[str, int]:
    """What remains of each limit of the Resource Manager, by the header's own ending.

    For example `subscription-reads` and `subscription-global-reads`.
    """
    found: dict[str, int] = {}
    for name in _arm_headers(headers):
        policy = policy_name(name.removeprefix(_PREFIX))
        numbers = [value.strip() for value in headers.getall(name, [])]
        if policy and numbers and _NUMBER.fullmatch(numbers[-1]) and len(found) < MOST_POLICIES:
            found[policy] = int(numbers[-1])
    return found


def charge_of(headers: MultiMapping[str]) -> int | None:
    """The VMs viewed by a page of the instance list; None where the header is absent or odd."""
    value = headers.get(CHARGE, "").strip()
    return int(value) if _CHARGE.fullmatch(value) else None


def policy_name(text: str) -> str:
    """A policy's name without its provider, `Microsoft.Compute/`; empty where it is none."""
    name = text.strip().rpartition("/")[2]
    return name if _POLICY.fullmatch(name) else ""


def retry_after(value: str | None, *, now: float) -> float | None:
    """The seconds of a Retry-After header, given as seconds or as an HTTP date.

    Args:
        value: the header's value; None where there is none.
        now: the Unix time, for the form with a date.

    Returns:
        From 0 to `LONGEST_WAIT`; None where the header is absent or unreadable.
    """
    if value is None:
        return None
    value = value.strip()
    try:
        seconds = float(value) if value[:1].isdigit() else time_of(value) - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return wait_of(seconds)


def requested_wait(headers: MultiMapping[str], *, now: float) -> float | None:
    """The seconds that an answer asks to wait; the longest where it names several.

    A date that has passed by this machine's clock counts from the answer's own `Date`: the clock
    may be wrong.

    Args:
        headers: of the answer.
        now: the Unix time.
    """
    waits = []
    for value in headers.getall("Retry-After", []):
        for part in value.split(",") if value.strip()[:1].isdigit() else [value]:
            wait = retry_after(part, now=now)
            if wait == 0:
                wait = retry_after(part, now=_date_of(headers, now))
            if wait is not None:
                waits.append(wait)
    return max(waits, default=None)


def time_of(date: str) -> float:
    """The Unix time of an HTTP date, which is in GMT whether it says so or not.

    Raises:
        ValueError, TypeError, OverflowError, IndexError: it is none.
    """
    found = parsedate_to_datetime(date)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _date_of(headers: MultiMapping[str], otherwise: float) -> float:
    try:
        return time_of(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError, IndexError):
        return otherwise


def wait_of(seconds: float) -> float | None:
    """A wait in its bounds; None where it is not a finite number."""
    return min(LONGEST_WAIT, max(0.0, seconds)) if math.isfinite(seconds) else None


def _arm_headers(headers: MultiMapping[str]) -> Iterator[str]:
    names = {name.lower() for name in headers}
    return (name for name in sorted(names) if name.startswith(_PREFIX) and name != _RESOURCE)


def user_quota_of(headers: MultiMapping[str]) -> tuple[int, float] | None:
    """What remains of the client's quota, and the seconds until it is full again."""
    remaining = _NUMBER.fullmatch(headers.get(f"{_USER_QUOTA}remaining", "").strip())
    resets = _TIME_SPAN.fullmatch(headers.get(f"{_USER_QUOTA}resets-after", "").strip())
    if remaining is None or resets is None:
        return None
    hours, minutes, seconds = map(float, resets.groups())
    return int(remaining[0]), min(LONGEST_WAIT, hours * 3600 + minutes * 60 + seconds)
