"""The client's decisions, on mocked answers: which requests go out, and which errors come back."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any
from unittest.mock import Mock

import pytest
from aioresponses import CallbackResult
from aioresponses import aioresponses as mocked_answers
from yarl import URL

from exporter.azure.errors import (
    BrokenAnswer,
    NotSent,
    Rejected,
    Throttled,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from exporter.azure.ratelimit.usage import Request
from exporter.azure.scale_sets import RESTART
from exporter.azure.session import new_session
from exporter.model.instance_view import InstancePage
from exporter.telemetry import NEW_LABELS_WAIT, Telemetry
from support.answers import SUBSCRIPTION, WEB
from support.azure_room import (
    ENDPOINT,
    FIRST,
    PATH,
    SET,
    FakeTokens,
    NewClient,
    failure_of,
    headers_sent,
    ids,
    later,
    page,
    sample,
    sent,
    walk,
)
from support.clock import FakeClock


async def test_all_pages_are_walked_in_order(
    new_client: NewClient, answers: mocked_answers
) -> None:
    answers.get(FIRST, payload=page("0", "1", following=later(2)))
    answers.get(later(2), payload=page(following=later(3)))
    answers.get(later(3), payload=page("2"))
    assert ids(await walk(new_client())) == ["0", "1", "2"]
    assert {headers["Authorization"] for headers in headers_sent(answers)} == {"Bearer token-1"}


async def test_full_detail_selects_nothing(new_client: NewClient, answers: mocked_answers) -> None:
    query = "$expand=instanceView&api-version=2024-07-01"
    answers.get(URL(f"{ENDPOINT}{PATH}/virtualMachines?{query}", encoded=True), payload=page("0"))
    assert ids(await walk(new_client(detail="full"))) == ["0"]


@pytest.mark.parametrize("operation", ["list_instances", "get_scale_set"])
@pytest.mark.parametrize(
    "code",
    ["200", "400", "401", "403", "404", "408", "409", "429", "500", "502", "503", "504", "error"],
)
async def test_how_requests_usually_end_is_counted_from_0(
    new_client: NewClient, telemetry: Telemetry, operation: str, code: str
) -> None:
    new_client()
    assert sample(telemetry, "azure_requests_total", operation=operation, code=code) == 0


async def test_an_empty_set_is_one_empty_page(
    new_client: NewClient, answers: mocked_answers
) -> None:
    answers.get(FIRST, payload={"value": []})
    assert await walk(new_client()) == [InstancePage([], [])]


async def test_the_facts_of_a_set_are_one_request(
    new_client: NewClient, answers: mocked_answers, telemetry: Telemetry
) -> None:
    answers.get(SET, payload={"location": "westeurope", "sku": {"name": "S", "capacity": 0}})
    facts, problems = await new_client().scale_set_model(WEB)
    assert (facts.location, facts.capacity, problems) == ("westeurope", 0, [])
    assert sample(telemetry, "azure_requests_total", operation="get_scale_set", code="200") == 1


async def test_a_walk_that_fails_on_page_three_raises(
    new_client: NewClient, answers: mocked_answers
) -> None:
    answers.get(FIRST, payload=page("0", following=later(2)))
    answers.get(later(2), payload=page("1", following=later(3)))
    answers.get(later(3), status=502, payload={"error": {"code": "ProviderError"}})
    assert "HTTP 502 ProviderError" in str(await failure_of(new_client()))
    assert len(sent(answers)) == 3


async def test_a_loop_is_found(new_client: NewClient, answers: mocked_answers) -> None:
    answers.get(FIRST, payload=page("0", following=later(2)))
    answers.get(later(2), payload=page("1", following=FIRST))
    assert "leads back" in str(await failure_of(new_client()))


async def test_a_walk_has_a_last_page(new_client: NewClient, answers: mocked_answers) -> None:
    for number in range(1, 4):
        url = FIRST if number == 1 else later(number)
        answers.get(url, payload=page(str(number), following=later(number + 1)))
    error = await failure_of(new_client(page_limit=3))
    assert isinstance(error, BrokenAnswer)
    assert "more than 3 pages" in str(error)
    assert len(sent(answers)) == 3


@pytest.mark.parametrize(
    "error",
    [
        {"code": "InvalidParameter", "target": "$skiptoken", "message": "not valid."},
        {"code": "InvalidParameter", "target": " $skipToken"},
        {"code": "invalidcontinuationTOKEN"},
        {"code": "InvalidContinuationToken"},
        {"code": "MissingApiVersionParameter"},
    ],
)
async def test_a_declined_next_link_restarts_the_walk_once(
    new_client: NewClient, answers: mocked_answers, error: dict[str, str]
) -> None:
    answers.get(FIRST, payload=page("0", following=later(2)))
    answers.get(later(2), status=400, payload={"error": error})
    answers.get(FIRST, payload=page("1", following=later(3)))
    answers.get(later(3), payload=page("2"))
    found = await walk(new_client())
    assert found[1] is RESTART
    assert ids(found[:1]) == ["0"]
    assert ids(found[2:]) == ["1", "2"]


@pytest.mark.parametrize("status", [400, 403, 404, 409])
async def test_a_later_page_that_is_declined_for_another_reason_is_asked_for_once(
    new_client: NewClient, answers: mocked_answers, status: int
) -> None:
    answers.get(FIRST, payload=page("0", following=later(2)))
    answers.get(later(2), status=status, payload={"error": {"code": "X", "target": "name"}})
    assert not isinstance(await failure_of(new_client()), BrokenAnswer)
    assert len(sent(answers)) == 2


async def test_a_call_that_is_held_back_is_given_back_to_the_budget(
    new_client: NewClient, answers: mocked_answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back = Mock()
    monkeypatch.setattr(Request, "not_sent", given_back)
    client = new_client()
    monkeypatch.setattr(
        client._transport._breaker, "call", Mock(side_effect=Unreachable("no answer"))
    )
    assert isinstance(await failure_of(client), Unreachable)
    given_back.assert_called_once_with()
    assert sent(answers) == []


async def test_a_second_declined_next_link_fails_the_walk(
    new_client: NewClient, answers: mocked_answers
) -> None:
    declined = {"error": {"code": "InvalidContinuationToken"}}
    for _ in range(2):
        answers.get(FIRST, payload=page("0", following=later(2)))
        answers.get(later(2), status=400, payload=declined)
    assert isinstance(await failure_of(new_client()), Rejected)


async def test_a_declined_first_page_does_not_restart(
    new_client: NewClient, answers: mocked_answers
) -> None:
    answers.get(FIRST, status=400, payload={"error": {"code": "MissingApiVersionParameter"}})
    assert isinstance(await failure_of(new_client()), Rejected)
    assert len(sent(answers)) == 1


async def test_a_refused_token_is_renewed_and_the_request_sent_once_more(
    new_client: NewClient, answers: mocked_answers, tokens: FakeTokens, telemetry: Telemetry
) -> None:
    answers.get(FIRST, status=401, payload={"error": {"code": "ExpiredAuthenticationToken"}})
    answers.get(FIRST, payload=page("0"))
    assert ids(await walk(new_client())) == ["0"]
    assert tokens.asked == [(None, None), (None, "token-1")]
    assert [headers["Authorization"] for headers in headers_sent(answers)] == [
        "Bearer token-1",
        "Bearer token-2",
    ]
    assert sample(telemetry, "azure_requests_total", operation="list_instances", code="401") == 1
    assert sample(telemetry, "azure_requests_total", operation="list_instances", code="200") == 1


async def test_two_refusals_fail_the_request(
    new_client: NewClient, answers: mocked_answers, tokens: FakeTokens
) -> None:
    answers.get(FIRST, status=401, payload={}, repeat=True)
    error = await failure_of(new_client())
    assert isinstance(error, Unauthenticated)
    assert "token-" not in str(error)
    assert len(headers_sent(answers)) == len(tokens.asked) == 2


async def test_a_claims_challenge_is_met(
    new_client: NewClient, answers: mocked_answers, tokens: FakeTokens
) -> None:
    challenge = 'Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ"'
    answers.get(FIRST, status=401, payload={}, headers={"WWW-Authenticate": challenge})
    answers.get(FIRST, payload=page("0"))
    assert ids(await walk(new_client())) == ["0"]
    assert tokens.asked[1] == ('{"a":1}', "token-1")


async def test_without_a_token_nothing_is_sent(
    new_client: NewClient, answers: mocked_answers, tokens: FakeTokens
) -> None:
    tokens.failure = Unauthenticated("no")
    assert isinstance(await failure_of(new_client()), Unauthenticated)
    assert sent(answers) == []


async def test_a_limit_that_azure_names_is_shown_as_never_exceeded_before_it_is(
    new_client: NewClient, answers: mocked_answers, telemetry: Telemetry
) -> None:
    remaining = "Microsoft.Compute/HighCostGetVMScaleSet3Min;107"
    answers.get(FIRST, payload=page("0"), headers={"x-ms-ratelimit-remaining-resource": remaining})
    await walk(new_client(), location="westeurope")
    labels = {
        "subscription_id": SUBSCRIPTION,
        "location": "westeurope",
        "policy": "HighCostGetVMScaleSet3Min",
    }
    assert sample(telemetry, "azure_ratelimit_remaining", **labels) == 107
    assert sample(telemetry, "azure_throttled_total", **labels) == 0


async def test_a_429_holds_back_the_region_until_retry_after(
    new_client: NewClient, answers: mocked_answers, clock: FakeClock, telemetry: Telemetry
) -> None:
    client = new_client()
    counts = {"allowedRequestCount": 180, "measuredRequestCount": 211}
    policy = "HighCostGetVMScaleSet3Min"
    message = json.dumps({"operationGroup": policy, **counts})
    detail = {"code": "TooManyRequests", "target": policy, "message": message}
    answers.get(
        FIRST,
        status=429,
        payload={"error": {"code": "OperationNotAllowed", "details": [detail]}},
        headers={"Retry-After": "17"},
    )
    with pytest.raises(Throttled) as caught:
        await walk(client, location="westeurope")
    assert caught.value.retry_after == 17.0
    labels = {
        "subscription_id": SUBSCRIPTION,
        "location": "westeurope",
        "policy": "HighCostGetVMScaleSet3Min",
    }
    assert sample(telemetry, "azure_throttled_total", **labels) == 0, "served as 0 first"
    assert sample(telemetry, "azure_throttle_allowed_requests", **labels) == 180
    assert sample(telemetry, "azure_throttle_measured_requests", **labels) == 211
    assert client._transport._gate.remaining(SUBSCRIPTION, "westeurope") == 17.0
    with pytest.raises(NotSent):
        await walk(client, location="westeurope")
    assert len(sent(answers)) == 1
    assert client._transport._gate.remaining(SUBSCRIPTION, "northeurope") == 0.0
    await clock.advance(17)
    answers.get(FIRST, payload=page("0"))
    assert ids(await walk(client, location="westeurope")) == ["0"]
    await clock.advance(NEW_LABELS_WAIT)
    assert sample(telemetry, "azure_throttled_total", **labels) == 1


async def test_what_remains_is_reported_by_policy(
    new_client: NewClient, answers: mocked_answers, telemetry: Telemetry
) -> None:
    limits = {
        "x-ms-ratelimit-remaining-resource": "Microsoft.Compute/HighCost;29,"
        "Microsoft.Compute/VMScaleSetVMViews;29998",
        "x-ms-ratelimit-remaining-subscription-reads": "249",
    }
    answers.get(FIRST, payload=page(), headers=limits)
    answers.get(FIRST, payload=page())
    client = new_client()
    for _ in range(2):
        await walk(client, location="westeurope")
    name, subscription = "azure_ratelimit_remaining", SUBSCRIPTION
    for location, policy, wanted in (
        ("westeurope", "HighCost", 29),
        ("westeurope", "VMScaleSetVMViews", 29998),
        ("", "subscription-reads", 249),
    ):
        labels = {"subscription_id": subscription, "location": location, "policy": policy}
        assert sample(telemetry, name, **labels) == wanted


async def hang(url: URL, **_: Any) -> CallbackResult:
    del url
    await asyncio.Event().wait()
    raise AssertionError


async def test_the_deadline_ends_the_walk_and_never_its_caller(
    new_client: NewClient, answers: mocked_answers
) -> None:
    answers.get(FIRST, payload=page("0", following=later(2)))
    answers.get(later(2), callback=hang)
    # Over from the start: the mocked first page needs no wait, so it comes all the same.
    async with aclosing(new_client(deadline=0.0).instance_pages(WEB)) as pages:
        assert ids([await anext(pages)]) == ["0"]
        await FakeClock().settle()
        with pytest.raises(TimedOut, match="not done within 0 s"):
            await anext(pages)


async def test_a_cancelled_walk_is_cancelled(
    new_client: NewClient, answers: mocked_answers
) -> None:
    answers.get(FIRST, callback=hang)
    walking = asyncio.create_task(walk(new_client()))
    await FakeClock().settle()
    walking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await walking


async def test_the_session_keeps_no_cookies_and_follows_no_netrc() -> None:
    async with new_session() as session:
        session.cookie_jar.update_cookies({"a": "b"}, URL(ENDPOINT))
        assert len(session.cookie_jar.filter_cookies(URL(ENDPOINT))) == 0
        assert not session.trust_env
