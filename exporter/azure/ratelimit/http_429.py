"""What an HTTP 429 tells: who throttled, by which limit, and how long to wait.

Three layers throttle, each with bodies of its own, and the bodies changed over the years. So
everything here is read where it is found and absent where it is not.
"""

from __future__ import annotations

import re

import msgspec
from multidict import MultiMapping

from exporter.azure.error_body import ErrorBody
from exporter.azure.errors import PolicyUse, Throttled
from exporter.azure.ratelimit.headers import (
    MOST_POLICIES,
    LimitHeaders,
    policy_name,
    requested_wait,
    wait_of,
)
from exporter.redaction import clean
from exporter.telemetry import Telemetry

# "Please try again after '6' seconds.", "The call can be retried in 474 seconds."
_SECONDS = re.compile(r"(?:after|in)\s+['\"]?(\d{1,6})['\"]?\s*seconds", re.IGNORECASE)
# In another language: the number in quotes that follows the time interval.
_AFTER_INTERVAL = re.compile(r"\d{1,2}:\d\d:\d\d\D+?(\d{1,6})(?![\d:])")
# The Resource Manager's: … exceeded the limit of '50' for time interval '00:05:00'.
_ARM_LIMIT = re.compile(r"limit of\s+['\"]?(\d{1,12})(?!\d)", re.IGNORECASE)
_ARM_CODES = ("SubscriptionRequestsThrottled", "ResourceRequestsThrottled")
_LARGEST_COUNT = 10**12
_DIGITS = re.compile(r"[0-9]{1,13}")


def throttled(
    headers: MultiMapping[str],
    error: ErrorBody,
    *,
    now: float,
    limits: LimitHeaders | None = None,
) -> Throttled:
    """The error of an HTTP 429.

    Args:
        headers: of the answer.
        error: its body.
        limits: what the headers say of limits; parsed from them if None.
        now: the Unix time, for a Retry-After with a date.
    """
    uses = policies_of(error)
    layer = _layer(headers, limits or LimitHeaders.of(headers), error, uses)
    wait = requested_wait(headers, now=now)
    if wait is None:
        wait = wait_told(error)
    code = clean(error.code) or "without an error code"
    message = f"throttled by Azure (HTTP 429 {code})"
    if uses:
        message += ": " + ", ".join(map(_shown, uses))
    elif error.message:
        message += f": {clean(error.message)}"
    if layer == "arm":
        uses = _uses_of_arm(error)
    policy = uses[0].policy if uses else ""
    return Throttled(message, retry_after=wait, layer=layer, policy=policy, uses=uses)


def count_throttling(
    telemetry: Telemetry, error: Throttled, *, subscription_id: str, location: str
) -> None:
    """Count a 429, and show the counts that its body tells.

    Args:
        telemetry: the exporter's own metrics.
        error: what Azure answered.
        subscription_id: whose limit it is.
        location: its region; empty for a limit of the whole subscription.
    """
    labels = telemetry.policy_labels(subscription_id, location, error.policy)
    telemetry.count_open("azure_throttled_total", **labels)
    for use in error.uses:
        for name, count in (("allowed", use.allowed), ("measured", use.measured)):
            if count is not None:
                labels = telemetry.policy_labels(subscription_id, location, use.policy)
                telemetry.gauge(f"azure_throttle_{name}_requests", **labels).set(count)


def policies_of(error: ErrorBody) -> tuple[PolicyUse, ...]:
    """The limits named in the details, whose message is a JSON text with the counts."""
    uses: list[PolicyUse] = []
    for detail in error.details:
        group = _group(detail.message)
        named = group.get("operationgroup")
        policy = policy_name(named if isinstance(named, str) and named else detail.target)
        if policy and len(uses) < MOST_POLICIES:
            allowed, measured = group.get("allowedrequestcount"), group.get("measuredrequestcount")
            uses.append(PolicyUse(policy, _count(allowed), _count(measured)))
    return tuple(uses)


def _group(message: str) -> dict[str, object]:
    """The fields of a JSON text, by their names in lower case: Azure's spelling varies."""
    try:
        found = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return (
        {name.casefold(): value for name, value in found.items()} if isinstance(found, dict) else {}
    )


def wait_told(error: ErrorBody) -> float | None:
    """The seconds to wait that stand in a message, in English or after a time interval."""
    for message in (error.message, *(detail.message for detail in error.details)):
        for form in (_SECONDS, _AFTER_INTERVAL):
            if found := form.search(message):
                return wait_of(float(int(found[1])))
    return None


def _layer(
    headers: MultiMapping[str],
    limits: LimitHeaders,
    error: ErrorBody,
    uses: tuple[PolicyUse, ...],
) -> str:
    if _arm_code(error):
        return "arm"
    if uses or limits.compute:
        return "compute"
    if headers.get("x-ms-failure-cause", "").casefold() == "gateway":
        return "arm"
    if 0 in limits.resource_manager.values():
        return "arm"
    return ""


def _arm_code(error: ErrorBody) -> str:
    """Which of the Resource Manager's codes it is; empty for none of them."""
    return next((code for code in _ARM_CODES if code.casefold() == error.code.casefold()), "")


def _uses_of_arm(error: ErrorBody) -> tuple[PolicyUse, ...]:
    """The Resource Manager names no limit: its code stands for it, and the message has a count."""
    code = _arm_code(error)
    found = _ARM_LIMIT.search(error.message)
    return (PolicyUse(code, int(found[1]) if found else None),) if code else ()


def _count(number: object) -> int | None:
    if isinstance(number, str) and _DIGITS.fullmatch(number.strip()):
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    return number if 0 <= number <= _LARGEST_COUNT else None


def _shown(use: PolicyUse) -> str:
    if use.allowed is None or use.measured is None:
        return use.policy
    return f"{use.policy} with {use.measured} of {use.allowed} requests"
