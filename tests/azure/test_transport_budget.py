"""What the client's requests are charged to, and what a failure of theirs holds back."""

from __future__ import annotations

import asyncio

import pytest
from aioresponses import aioresponses as mocked_answers
from yarl import URL

from exporter.azure.errors import AzureError, NotSent, ServerFailed, Throttled
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.ratelimit.usage import Cost
from exporter.model.scale_set import ScaleSetId
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION, WEB
from support.azure_room import ENDPOINT, FIRST, SET, NewClient, later, page, sample, sent, walk
from support.clock import FakeClock

REQUESTS = "HighCostGetVMScaleSetSubscriptionMaximum"
PLACE = "westeurope"


@pytest.fixture
def budget(clock: FakeClock, telemetry: Telemetry) -> Budget:
    return Budget(clock=clock, telemetry=telemetry)


def charge(views: int) -> dict[str, str]:
    return {"x-ms-request-charge": str(views)}


def a_set(number: int) -> tuple[ScaleSetId, URL]:
    scale_set = ScaleSetId(SUBSCRIPTION, WEB.resource_group, f"set{number}")
    url = f"{ENDPOINT}{scale_set.resource_id}?api-version=2024-07-01"
    return scale_set, URL(url, encoded=True)


async def test_a_walk_that_broke_off_is_expected_to_cost_as_much_as_the_whole_one_before(
    new_client: NewClient, answers: mocked_answers, budget: Budget
) -> None:
    client = new_client(budget=budget)
    answers.get(FIRST, payload=page("0", following=later(1)), headers=charge(100))
    answers.get(later(1), payload=page("1", following=later(2)), headers=charge(100))
    answers.get(later(2), payload=page("2"), headers=charge(7))
    await walk(client, location=PLACE)
    assert budget.expected(WEB) == Cost(pages=3, views=207)
    answers.get(FIRST, payload=page("0", following=later(1)), headers=charge(100))
    answers.get(later(1), status=400)
    with pytest.raises(AzureError):
        await walk(client, location=PLACE)
    assert budget.expected(WEB) == Cost(pages=3, views=207)


async def test_a_429_of_the_resource_manager_takes_nothing_from_compute_s_limits(
    new_client: NewClient, answers: mocked_answers, budget: Budget
) -> None:
    client = new_client(budget=budget)
    compute, reads = budget.rates(SUBSCRIPTION, PLACE), budget.reads(SUBSCRIPTION)
    answers.get(FIRST, status=429, payload={"error": {"code": "SubscriptionRequestsThrottled"}})
    with pytest.raises(Throttled):
        await walk(client, location=PLACE)
    assert budget.rates(SUBSCRIPTION, PLACE) == compute
    assert budget.reads(SUBSCRIPTION) == reads / 2


async def test_a_429_of_compute_s_takes_nothing_from_the_resource_manager_s_limit(
    new_client: NewClient, answers: mocked_answers, budget: Budget
) -> None:
    client = new_client(budget=budget)
    compute, reads = budget.rates(SUBSCRIPTION, PLACE), budget.reads(SUBSCRIPTION)
    detail = {"code": "TooManyRequests", "target": REQUESTS, "message": ""}
    body = {"error": {"code": "OperationNotAllowed", "details": [detail]}}
    answers.get(FIRST, status=429, payload=body)
    with pytest.raises(Throttled):
        await walk(client, location=PLACE)
    assert budget.rates(SUBSCRIPTION, PLACE).requests == compute.requests / 2
    assert budget.reads(SUBSCRIPTION) == reads


async def test_gets_of_many_sets_that_fail_do_not_hold_the_lists_back(
    new_client: NewClient, answers: mocked_answers, clock: FakeClock, telemetry: Telemetry
) -> None:
    client = new_client()
    await clock.advance(600)
    for number in range(12):
        scale_set, url = a_set(number)
        answers.get(url, status=503)
        with pytest.raises(ServerFailed):
            await client.scale_set_model(scale_set, location=PLACE)
        await clock.advance(1)
    assert sample(telemetry, "azure_circuit_open") == 0
    answers.get(FIRST, payload=page("0"))
    assert await walk(client, location=PLACE)


async def test_a_call_that_the_circuit_breaker_holds_back_is_not_charged(
    new_client: NewClient,
    answers: mocked_answers,
    budget: Budget,
    clock: FakeClock,
    telemetry: Telemetry,
) -> None:
    client = new_client(budget=budget)
    await clock.advance(600)
    for number in range(5):
        scale_set, _ = a_set(number)
        url = f"{ENDPOINT}{scale_set.resource_id}/virtualMachines"
        query = "?$expand=instanceView&$select=instanceView&api-version=2024-07-01"
        answers.get(URL(url + query, encoded=True), status=503)
        with pytest.raises(ServerFailed):
            await walk(client, scale_set, location=PLACE)
        await clock.advance(0.5)
    assert sample(telemetry, "azure_circuit_open") == 1
    for _ in range(3):
        with pytest.raises(ServerFailed, match="not sent"):
            await walk(client, location=PLACE)
    assert len(sent(answers)) == 5
    for policy, location, allowed in ((REQUESTS, PLACE, 180), ("subscription-reads", "", 750)):
        labels = {"subscription_id": SUBSCRIPTION, "location": location, "policy": policy}
        used = sample(telemetry, "budget_used_ratio", **labels)
        assert used == pytest.approx(5 / allowed)


async def test_a_call_that_waits_for_its_pace_heeds_a_429_that_comes_meanwhile(
    new_client: NewClient, answers: mocked_answers, budget: Budget, clock: FakeClock
) -> None:
    """Nothing goes out before Retry-After, GETs and what has waited for its turn included."""
    gate = RetryAfterGate(
        clock=clock, telemetry=Telemetry(version="1", python_version="3", process=False)
    )
    client = new_client(budget=budget, gate=gate)
    for _ in range(5):
        answers.get(SET, payload={})
        await client.scale_set_model(WEB, location=PLACE)
    waiting = asyncio.create_task(client.scale_set_model(WEB, location=PLACE))
    await clock.settle()
    gate.put(SUBSCRIPTION, PLACE, 30.0)
    await clock.advance(5)
    with pytest.raises(NotSent):
        await waiting
    assert len(sent(answers)) == 5
