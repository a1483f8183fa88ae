"""What an HTTP 429 tells: who throttled, by which limit, and how long to wait.

Three layers throttle, each with bodies of its own, and the bodies changed over the years. So
everything here is read where it is found and absent where it is not.
"""

from __future__ import annotations

import re

import msgspec
from multidict import MultiMapping

from exporter.azure.decode import ErrorBody
from exporter.azure.errors import PolicyUse, Throttled
from exporter.azure.ratelimit import (
    MOST_POLICIES,
    policy_name,
    remaining_of_arm,
    remaining_of_compute,
    retry_after,
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


class _Group(msgspec.Struct, rename="camel"):
    operation_group: str | None = None
    allowed_request_count: int | None = None
    measured_request_count: int | None = None


_GROUP = msgspec.json.Decoder(_Group)


def throttled(headers: MultiMapping[str], error: ErrorBody, *, now: float) -> Throttled:
    """The error of an HTTP 429.

    Args:
        headers: of the answer.
        error: its body.
        now: the Unix time, for a Retry-After with a date.
    """
    uses = policies_of(error)
    layer = _layer(headers, error, uses)
    wait = retry_after(headers.get("Retry-After"), now=now)
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
        error: what was told.
        subscription_id: whose limit it is.
        location: its region; empty for a limit of the whole subscription.
    """
    labels = {"subscription_id": subscription_id, "location": location}
    telemetry.counter("azure_throttled_total", **labels, policy=error.policy).inc()
    for use in error.uses:
        for name, count in (("allowed", use.allowed), ("measured", use.measured)):
            if count is not None:
                telemetry.gauge(f"azure_throttle_{name}_requests", **labels, policy=use.policy).set(
                    count
                )


def policies_of(error: ErrorBody) -> tuple[PolicyUse, ...]:
    """The limits named in the details, whose message is a JSON text with the counts."""
    uses: list[PolicyUse] = []
    for detail in error.details:
        try:
            group = _GROUP.decode(detail.message)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            group = _Group()
        policy = policy_name(group.operation_group or detail.target)
        if policy and len(uses) < MOST_POLICIES:
            allowed, measured = group.allowed_request_count, group.measured_request_count
            uses.append(PolicyUse(policy, _count(allowed), _count(measured)))
    return tuple(uses)


def wait_told(error: ErrorBody) -> float | None:
    """The seconds to wait that stand in a message, in English or after a time interval."""
    for message in (error.message, *(detail.message for detail in error.details)):
        for form in (_SECONDS, _AFTER_INTERVAL):
            if found := form.search(message):
                return wait_of(float(int(found[1])))
    return None


def _layer(headers: MultiMapping[str], error: ErrorBody, uses: tuple[PolicyUse, ...]) -> str:
    if _arm_code(error):
        return "arm"
    if uses or remaining_of_compute(headers):
        return "compute"
    if headers.get("x-ms-failure-cause", "").casefold() == "gateway":
        return "arm"
    if 0 in remaining_of_arm(headers).values():
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


def _count(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= _LARGEST_COUNT else None


def _shown(use: PolicyUse) -> str:
    if use.allowed is None or use.measured is None:
        return use.policy
    return f"{use.policy} with {use.measured} of {use.allowed} requests"
