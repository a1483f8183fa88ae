"""What a 429 leaves on the exporter's own metrics: who throttled, and what was counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aioresponses import aioresponses as mocked_answers
from multidict import CIMultiDict

from exporter.azure.error_body import decode_error
from exporter.azure.errors import PolicyUse, Throttled
from exporter.azure.ratelimit.http_429 import count_throttling, throttled
from exporter.telemetry import NEW_LABELS_WAIT, Telemetry
from support.answers import RECORDINGS, SUBSCRIPTION, needs_recordings, recording
from support.azure_room import FIRST, NewClient, failure_of, sample, walk
from support.clock import FakeClock

ALLOWED, MEASURED = "azure_throttle_allowed_requests", "azure_throttle_measured_requests"
ARM_MESSAGE = (
    "Number of read requests for subscription 's' exceeded the limit of '1200' for time interval "
    "'01:00:00'. Please try again after '306' seconds."
)


def detail(policy: str, **counts: Any) -> dict[str, str]:
    told = json.dumps({"operationGroup": policy, **counts})
    return {"code": "TooManyRequests", "target": policy, "message": told}


def compute(*details: dict[str, str]) -> dict[str, Any]:
    return {"error": {"code": "OperationNotAllowed", "message": "too many", "details": details}}


def arm(code: str, message: str = ARM_MESSAGE) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def told(body: dict[str, Any]) -> Throttled:
    return throttled(CIMultiDict(), decode_error(json.dumps(body).encode()), now=0.0)


async def shown(
    client: NewClient,
    answers: mocked_answers,
    telemetry: Telemetry,
    clock: FakeClock,
    body: dict[str, Any],
    **labels: str,
) -> tuple[float | None, ...]:
    """What the metrics say of a bucket after one 429: answers, allowed, measured."""
    answers.get(FIRST, status=429, payload=body)
    await failure_of(client())
    await clock.advance(NEW_LABELS_WAIT)
    names = ("azure_throttled_total", ALLOWED, MEASURED)
    return tuple(sample(telemetry, name, subscription_id=SUBSCRIPTION, **labels) for name in names)


async def test_the_counts_of_a_429_of_compute_are_shown(
    new_client: NewClient, answers: mocked_answers, telemetry: Telemetry, clock: FakeClock
) -> None:
    body = compute(detail("HighCost30Min", allowedRequestCount=1800, measuredRequestCount=2208))
    found = await shown(
        new_client, answers, telemetry, clock, body, location="", policy="HighCost30Min"
    )
    assert found == (1, 1800, 2208)


async def test_a_429_of_two_limits_counts_once_and_shows_both(
    new_client: NewClient, answers: mocked_answers, telemetry: Telemetry, clock: FakeClock
) -> None:
    body = compute(
        detail("Cost3Min", allowedRequestCount=180, measuredRequestCount=181),
        detail("Cost30Min", allowedRequestCount=900, measuredRequestCount=1000),
    )
    found = await shown(new_client, answers, telemetry, clock, body, location="", policy="Cost3Min")
    assert found == (1, 180, 181)
    labels = {"subscription_id": SUBSCRIPTION, "location": "", "policy": "Cost30Min"}
    assert sample(telemetry, "azure_throttled_total", **labels) is None
    assert sample(telemetry, ALLOWED, **labels) == 900
    assert sample(telemetry, MEASURED, **labels) == 1000


@pytest.mark.parametrize("code", ["SubscriptionRequestsThrottled", "ResourceRequestsThrottled"])
async def test_a_429_of_the_resource_manager_is_distinguished_by_its_policy(
    new_client: NewClient,
    answers: mocked_answers,
    telemetry: Telemetry,
    clock: FakeClock,
    code: str,
) -> None:
    body = arm(code.upper())
    found = await shown(new_client, answers, telemetry, clock, body, location="", policy=code)
    assert found == (1, 1200, None)


@pytest.mark.parametrize(("layer", "location"), [("arm", ""), ("compute", "westeurope")])
async def test_the_resource_manager_s_limits_have_no_location(
    new_client: NewClient,
    answers: mocked_answers,
    telemetry: Telemetry,
    clock: FakeClock,
    layer: str,
    location: str,
) -> None:
    body = arm("SubscriptionRequestsThrottled") if layer == "arm" else compute(detail("Cost"))
    policy = "SubscriptionRequestsThrottled" if layer == "arm" else "Cost"
    answers.get(FIRST, status=429, payload=body)
    with pytest.raises(Throttled):
        await walk(new_client(), location="westeurope")
    await clock.advance(NEW_LABELS_WAIT)
    labels = {"subscription_id": SUBSCRIPTION, "location": location, "policy": policy}
    assert sample(telemetry, "azure_throttled_total", **labels) == 1


async def test_counts_that_are_unknown_are_not_shown(
    new_client: NewClient, answers: mocked_answers, telemetry: Telemetry, clock: FakeClock
) -> None:
    body = compute(detail("Cost"))
    found = await shown(new_client, answers, telemetry, clock, body, location="", policy="Cost")
    assert found == (1, None, None)


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title, str.swapcase])
def test_the_counts_are_read_in_any_letter_case(spell: Callable[[str], str]) -> None:
    counts = {"operationGroup": "Cost", "allowedRequestCount": 180, "measuredRequestCount": 280}
    message = json.dumps({spell(name): value for name, value in counts.items()})
    body = compute({"code": "TooManyRequests", "target": "Elsewhere", "message": message})
    assert told(body).uses == (PolicyUse("Cost", 180, 280),)


def test_the_limit_is_the_operation_group_s_and_the_target_s_where_there_is_none() -> None:
    both = {"target": "OfTheTarget", "message": json.dumps({"operationGroup": "OfTheGroup"})}
    assert told(compute(both)).policy == "OfTheGroup"
    for group in ("", None, 5, ["OfTheGroup"]):
        only = {"target": "OfTheTarget", "message": json.dumps({"operationGroup": group})}
        assert told(compute(only)).policy == "OfTheTarget"


@pytest.mark.parametrize("message", ["[]", "7", "null", '"text"', "{", "", "[" * 100_000])
def test_a_detail_that_is_no_object_leaves_the_limit_that_the_target_names(message: str) -> None:
    assert told(compute({"target": "Cost", "message": message})).uses == (PolicyUse("Cost"),)


def test_a_count_that_is_reported_as_a_text_is_read_and_a_truth_value_is_not() -> None:
    error = told(compute(detail("Cost", allowedRequestCount="180", measuredRequestCount=True)))
    assert error.uses == (PolicyUse("Cost", 180, None),)


@pytest.mark.parametrize("count", [-1, 10**13, 10**400])
def test_a_count_that_cannot_be_is_absent_and_the_limit_still_named(count: int) -> None:
    error = told(compute(detail("Cost", allowedRequestCount=count, measuredRequestCount=7)))
    assert error.uses == (PolicyUse("Cost", None, 7),)


def test_a_count_of_another_type_leaves_the_limit_that_the_target_names() -> None:
    error = told(compute(detail("Cost", allowedRequestCount="many")))
    assert error.uses == (PolicyUse("Cost"),)


def test_a_body_cannot_make_any_number_of_series() -> None:
    error = told(compute(*(detail(f"Cost{number}") for number in range(1000))))
    assert len(error.uses) == 32


@pytest.mark.parametrize(
    "message", ["", "The request is being throttled.", "limit of 'many'", "limit of '" + "9" * 99]
)
def test_the_resource_manager_s_count_is_absent_where_the_message_has_none(message: str) -> None:
    assert told(arm("ResourceRequestsThrottled", message)).uses == (
        PolicyUse("ResourceRequestsThrottled"),
    )


async def test_a_429_of_nobody_known_has_no_policy_and_no_counts(
    telemetry: Telemetry, clock: FakeClock
) -> None:
    error = told(arm("TooManyRequests", "exceeded the limit of '50'"))
    assert (error.layer, error.policy, error.uses) == ("", "", ())
    count_throttling(telemetry, error, subscription_id="s", location="eastus")
    await clock.advance(NEW_LABELS_WAIT)
    labels = {"subscription_id": "s", "location": "eastus", "policy": ""}
    assert sample(telemetry, "azure_throttled_total", **labels) == 1
    assert sample(telemetry, ALLOWED, **labels) is None


async def test_an_unusual_status_is_served_as_0_first_and_usual_ones_begin_at_0(
    new_client: NewClient, answers: mocked_answers, telemetry: Telemetry, clock: FakeClock
) -> None:
    client = new_client()
    for status in (503, 418):
        labels = {"operation": "list_instances", "code": str(status)}
        before = sample(telemetry, "azure_requests_total", **labels)
        answers.get(FIRST, status=status)
        await failure_of(client)
        if status == 503:
            assert before == 0
            assert sample(telemetry, "azure_requests_total", **labels) == 1
        else:
            assert before is None
            assert sample(telemetry, "azure_requests_total", **labels) == 0
            await clock.advance(NEW_LABELS_WAIT)
            assert sample(telemetry, "azure_requests_total", **labels) == 1


@needs_recordings
def test_the_recorded_throttling_of_the_resource_manager_tells_its_limit() -> None:
    path = RECORDINGS / "errors" / "http429-SubscriptionRequestsThrottled.json"
    error = told(recording(path)["response"]["body"])
    assert error.layer == "arm"
    assert error.uses == (PolicyUse("SubscriptionRequestsThrottled", 1200),)


def test_the_longest_of_several_retry_after_headers_is_waited() -> None:
    headers = CIMultiDict([("Retry-After", "5"), ("Retry-After", "600, 7")])
    assert throttled(headers, decode_error(b""), now=0.0).retry_after == 600
