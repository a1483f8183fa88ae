"""What Azure's headers and 429 bodies tell of its limits, tolerant of everything."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from multidict import CIMultiDict

from exporter.azure.auth.claims_challenge import claims_of
from exporter.azure.error_body import ErrorBody, decode_error
from exporter.azure.errors import PolicyUse
from exporter.azure.ratelimit.headers import (
    remaining_of_arm,
    remaining_of_compute,
    requested_wait,
    retry_after,
)
from exporter.azure.ratelimit.http_429 import policies_of, throttled, wait_told
from support.answers import RECORDINGS, needs_recordings, recording

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
RESOURCE = "x-ms-ratelimit-remaining-resource"


def test_one_header_with_all_policies_is_read() -> None:
    headers = CIMultiDict(
        {
            RESOURCE: "Microsoft.Compute/HighCostGetVMScaleSetSubscriptionMaximum;1079,"
            "Microsoft.Compute/HighCostGetVMScaleSetResource;29, "
            "Microsoft.Compute/VMScaleSetVMViewsSubscriptionMaximum;29998"
        }
    )
    assert remaining_of_compute(headers) == {
        "HighCostGetVMScaleSetSubscriptionMaximum": 1079,
        "HighCostGetVMScaleSetResource": 29,
        "VMScaleSetVMViewsSubscriptionMaximum": 29998,
    }


def test_one_header_for_each_policy_is_read() -> None:
    headers = CIMultiDict(
        [
            (RESOURCE.upper(), "Microsoft.Compute/HighCostGetVMScaleSet3Min;179"),
            (RESOURCE, "Microsoft.Compute/HighCostGetVMScaleSet30Min;-1"),
            (RESOURCE, "Microsoft.Compute/VMScaleSetVMViews3Min;4999"),
        ]
    )
    assert remaining_of_compute(headers) == {
        "HighCostGetVMScaleSet3Min": 179,
        "VMScaleSetVMViews3Min": 4999,
    }


@pytest.mark.parametrize(
    "value", ["", ",", ";", "x", "Microsoft.Compute/;5", "a b;5", "a;b", "a;1e3", "a;" + "9" * 99]
)
def test_an_odd_header_is_no_limit(value: str) -> None:
    assert remaining_of_compute(CIMultiDict({RESOURCE: value})) == {}


def test_a_name_is_never_open_to_whatever_comes() -> None:
    many = ",".join(f"Microsoft.Compute/Policy{number};1" for number in range(1000))
    assert len(remaining_of_compute(CIMultiDict({RESOURCE: many}))) == 32
    assert remaining_of_compute(CIMultiDict({RESOURCE: f"{'x' * 101};1"})) == {}


def test_arm_limits_go_by_the_header_s_ending() -> None:
    headers = CIMultiDict(
        {
            "X-Ms-Ratelimit-Remaining-Subscription-Reads": "249",
            "x-ms-ratelimit-remaining-subscription-global-reads": "3749",
            "x-ms-ratelimit-remaining-tenant-reads": "soon",
            RESOURCE: "Microsoft.Compute/a;1",
            "x-ms-request-charge": "2",
        }
    )
    assert remaining_of_arm(headers) == {
        "subscription-reads": 249,
        "subscription-global-reads": 3749,
    }


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 0.0),
        ("17", 17.0),
        (" 17 ", 17.0),
        ("1.5", 1.5),
        ("99999999", 3600.0),
        ("1" * 400, None),
        ("nan", None),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 15 Jan 2038 07:00:00 GMT", 3600.0),
        ("Fri, 99 Jan 2027 07:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, wanted: float | None) -> None:
    assert retry_after(value, now=NOW) == wanted


@pytest.mark.parametrize(
    ("values", "date", "wanted"),
    [
        ([], None, None),
        (["5", "600"], None, 600.0),
        (["600", "soon"], None, 600.0),
        (["300, 300"], None, 300.0),
        (["5, soon,90"], None, 90.0),
        # Without a zone it is GMT all the same, wherever this machine is.
        (["Fri, 15 Jan 2027 08:00:30"], None, 30.0),
        (["Fri, 15 Jan 2027 08:00:30 -0000"], None, 30.0),
        # This machine's clock is an hour ahead.
        (["Fri, 15 Jan 2027 07:01:30 GMT"], "Fri, 15 Jan 2027 07:00:00 GMT", 90.0),
        (["Fri, 15 Jan 2027 07:01:30 GMT"], "soon", 0.0),
        (["Fri, 15 Jan 2027 07:01:30 GMT"], None, 0.0),
        (["Thu, 01 Jan 1970 00:00:00 GMT"], "Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
    ],
)
def test_of_several_waits_the_longest_counts_whatever_this_machines_clock_says(
    monkeypatch: pytest.MonkeyPatch, values: list[str], date: str | None, wanted: float | None
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    headers = CIMultiDict([("Retry-After", value) for value in values])
    if date is not None:
        headers["Date"] = date
    try:
        assert requested_wait(headers, now=NOW) == wanted
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("… for time interval '01:00:00'. Please try again after '306' seconds.", 306.0),
        ("Please try again after 6 seconds.", 6.0),
        ("The call can be retried in 474 seconds.", 474.0),
        ("Limit „1200“ im Zeitraum „01:00:00“. Nach „306“ Sekunden erneut versuchen.", 306.0),
        ("超过了时间间隔“01:00:00”的限制“1200”。请在“17”秒后重试。".replace("“1200”", ""), 17.0),
        ("exceeded the limit of '50' for time interval '00:05:00'", None),
        ("The request is being throttled.", None),
        ("", None),
    ],
)
def test_the_wait_may_stand_in_the_message_only(message: str, wanted: float | None) -> None:
    assert wait_told(ErrorBody(message=message)) == wanted


def compute_body(*, wrapped: bool = True, details: Any = None) -> bytes:
    counts = {
        "operationGroup": "HighCostGetVMScaleSet30Min",
        "startTime": "2022-10-24T10:42:36.0142777+00:00",
        "allowedRequestCount": 937,
        "measuredRequestCount": 2838,
    }
    error = {
        "code": "OperationNotAllowed",
        "message": "The server rejected the request because too many requests have been received.",
        "details": details
        if details is not None
        else [
            {
                "code": "TooManyRequests",
                "target": "HighCostGetVMScaleSet30Min",
                "message": json.dumps(counts),
            }
        ],
    }
    return json.dumps({"error": error} if wrapped else error).encode()


@pytest.mark.parametrize("wrapped", [True, False])
def test_compute_names_the_limit_and_its_counts(wrapped: bool) -> None:  # noqa: FBT001 - a parameter
    error = throttled(
        CIMultiDict({"Retry-After": "120"}), decode_error(compute_body(wrapped=wrapped)), now=NOW
    )
    assert (error.layer, error.policy) == ("compute", "HighCostGetVMScaleSet30Min")
    assert error.retry_after == 120.0
    assert "HighCostGetVMScaleSet30Min with 2838 of 937 requests" in error.message


@pytest.mark.parametrize(
    ("allowed", "measured", "shown"),
    [(5, 7, "Some30Min with 7 of 5 requests"), (5, None, "Some30Min"), (None, 7, "Some30Min")],
)
def test_counts_are_shown_only_where_both_are_known(
    allowed: int | None, measured: int | None, shown: str
) -> None:
    counts = {"operationGroup": "Some30Min", "allowedRequestCount": allowed}
    inner = json.dumps({**counts, "measuredRequestCount": measured})
    detail = {"code": "TooManyRequests", "target": "Some30Min", "message": inner}
    body = compute_body(details=[detail])
    message = throttled(CIMultiDict(), decode_error(body), now=NOW).message
    assert shown in message
    assert (" with " in message) == (" with " in shown)
    assert "None" not in message


@pytest.mark.parametrize(
    "details",
    [
        [],
        {},
        [None],
        [{"message": 5}],
        [{"message": "{}"}],
        [{"message": "not JSON", "target": ""}],
        [{"message": '{"operationGroup":5}'}],
        [{"message": "[" * 100_000}],
    ],
)
def test_odd_details_are_no_limit(details: Any) -> None:
    found = decode_error(compute_body(details=details))
    assert policies_of(found) == ()
    assert throttled(CIMultiDict(), found, now=NOW).policy == ""


def test_the_target_stands_for_details_that_cannot_be_read() -> None:
    found = decode_error(compute_body(details=[{"target": "HighCostGet", "message": "x"}]))
    assert policies_of(found) == (PolicyUse("HighCostGet"),)


@pytest.mark.parametrize(
    ("headers", "body", "layer"),
    [
        ({}, {"code": "SubscriptionRequestsThrottled"}, "arm"),
        ({}, {"code": "ResourceRequestsThrottled"}, "arm"),
        ({"x-ms-failure-cause": "gateway"}, {"code": "TooManyRequests"}, "arm"),
        ({"x-ms-ratelimit-remaining-subscription-reads": "0"}, {}, "arm"),
        ({RESOURCE: "Microsoft.Compute/a;0"}, {}, "compute"),
        ({}, {"code": "TooManyRequests", "message": "The request is being throttled."}, ""),
        ({}, {}, ""),
    ],
)
def test_the_layer_is_recognized_by_code_header_or_not_at_all(
    headers: dict[str, str], body: dict[str, str], layer: str
) -> None:
    error = throttled(
        CIMultiDict(headers), decode_error(json.dumps({"error": body}).encode()), now=NOW
    )
    assert error.layer == layer


@needs_recordings
def test_the_recorded_throttling_is_understood() -> None:
    for name, wait in (("SubscriptionRequestsThrottled", 306.0), ("RetryableError", 474.0)):
        response = recording(RECORDINGS / "errors" / f"http429-{name}.json")["response"]
        body = json.dumps(response["body"]).encode()
        error = throttled(CIMultiDict(response["headers"]), decode_error(body), now=NOW)
        assert error.retry_after == wait


CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1720000000"}}}'
ENCODED = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzIwMDAwMDAwIn19fQ"


@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_a_claims_challenge_is_read(padding: str) -> None:
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common",'
        f' error="insufficient_claims", claims="{ENCODED}{padding}"'
    )
    assert claims_of([challenge]) == CLAIMS
    assert claims_of(["Basic realm=x", f'PoP error="x", {challenge}']) == CLAIMS


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Bearer",
        'Bearer error="invalid_token"',
        'Bearer error="insufficient_claims"',
        'Bearer error="insufficient_claims", claims=""',
        'Bearer error="insufficient_claims", claims="%%%"',
        'Bearer error="insufficient_claims", claims="_w"',
        f'Bearer error="invalid_token", claims="{ENCODED}"',
        f'Basic error="insufficient_claims", claims="{ENCODED}"',
    ],
)
def test_another_challenge_has_no_claims(challenge: str) -> None:
    assert claims_of([challenge]) is None
