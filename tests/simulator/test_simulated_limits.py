"""Azure's read limits, on a clock that stands still."""

from __future__ import annotations

import json

import pytest

from exporter.simulator import Fleet, SimulatedAzure
from exporter.simulator.buckets import Charge, Limits, TokenBucket
from exporter.simulator.description import BucketDescription, LimitsDescription
from simulator.asking import POLICY, Ask, list_path, set_path
from support.clock import FakeClock


async def test_a_list_is_charged_as_recorded(ask: Ask) -> None:
    reply = await ask(list_path("files"))
    assert reply.remaining == {
        "HighCostGetVMScaleSetSubscriptionMaximum": 1079,
        "HighCostGetVMScaleSetResource": 29,
        "VMScaleSetVMViewsSubscriptionMaximum": 29998,
    }
    assert reply.headers["x-ms-request-charge"] == "2"
    assert reply.headers["x-ms-ratelimit-remaining-subscription-reads"] == "249"
    assert reply.headers["x-ms-ratelimit-remaining-subscription-global-reads"] == "3749"
    for name in ("x-ms-request-id", "x-ms-correlation-request-id", "x-ms-routing-request-id"):
        assert reply.headers[name]


async def test_an_empty_set_has_no_charge_header(ask: Ask) -> None:
    reply = await ask(list_path("empty"))
    assert "x-ms-request-charge" not in reply.headers
    assert "VMScaleSetVMViewsSubscriptionMaximum" not in reply.remaining


async def test_each_page_views_its_own_instances(ask: Ask) -> None:
    first = await ask(list_path("web"))
    second = await ask(first.document["nextLink"])
    assert (first.headers["x-ms-request-charge"], second.headers["x-ms-request-charge"]) == (
        "3",
        "3",
    )
    assert second.remaining["VMScaleSetVMViewsSubscriptionMaximum"] == 29994


async def test_a_set_is_charged_low_cost_and_its_view_high_cost(ask: Ask) -> None:
    item = await ask(f"{set_path('web')}?api-version=2024-07-01")
    view = await ask(f"{set_path('web')}/instanceView?api-version=2024-07-01")
    assert item.remaining == {"GetVMScaleSetSubscriptionMaximum": 2399, "GetVMScaleSetResource": 35}
    assert view.remaining == {
        "HighCostGetVMScaleSetSubscriptionMaximum": 1079,
        "HighCostGetVMScaleSetResource": 29,
    }


async def test_the_thirty_first_list_of_a_set_is_throttled_until_the_next_minute(
    ask: Ask, clock: FakeClock
) -> None:
    for _ in range(30):
        assert (await ask(list_path("files"))).status == 200
    await clock.advance(45)

    refused = await ask(list_path("files"))
    other_set = await ask(list_path("web"))

    assert refused.status == 429
    assert refused.headers["Retry-After"] == "15"
    assert refused.error["code"] == "OperationNotAllowed"
    assert refused.error["innererror"] == {"internalErrorCode": "TooManyRequestsReceived"}
    (detail,) = refused.error["details"]
    assert (detail["code"], detail["target"]) == ("TooManyRequests", POLICY)
    facts = json.loads(detail["message"])
    assert facts["operationGroup"] == POLICY
    assert (facts["allowedRequestCount"], facts["measuredRequestCount"]) == (30, 31)
    assert other_set.status == 200

    await clock.advance(15)
    assert (await ask(list_path("files"))).remaining[POLICY] == 9


async def test_a_refused_call_costs_nothing(ask: Ask, azure: SimulatedAzure) -> None:
    before = (await ask(list_path("files"))).remaining
    azure.limits.drain(POLICY)
    assert (await ask(list_path("files"))).status == 429
    other = (await ask(list_path("web"))).remaining
    policy = "HighCostGetVMScaleSetSubscriptionMaximum"
    assert other[policy] == before[policy] - 1


async def test_arm_throttles_a_caller_that_reads_too_fast(
    ask: Ask, fleet: Fleet, clock: FakeClock
) -> None:
    fleet.description.limits.principal_reads.capacity = 2
    fleet.description.limits.principal_reads.refill = 1
    for _ in range(2):
        assert (await ask(list_path("files"))).status == 200

    refused = await ask(list_path("files"))

    assert (refused.status, refused.error["code"]) == (429, "SubscriptionRequestsThrottled")
    assert "Retry-After" not in refused.headers
    assert "Please try again after '1' seconds." in refused.error["message"]
    await clock.advance(1)
    assert (await ask(list_path("files"))).status == 200


async def test_the_headers_can_come_one_by_one(ask: Ask, fleet: Fleet) -> None:
    fleet.description.limits.separate_headers = True
    reply = await ask(list_path("files"))
    assert len(reply.headers.getall("x-ms-ratelimit-remaining-resource")) == 3
    assert reply.remaining[POLICY] == 29


async def test_limits_can_be_switched_off(ask: Ask, fleet: Fleet) -> None:
    fleet.description.limits.enabled = False
    for _ in range(30):
        await ask(list_path("files"))
    reply = await ask(list_path("files"))
    assert reply.status == 200
    assert reply.remaining[POLICY] == 30


async def test_a_bucket_of_the_fleet_file_replaces_the_default(ask: Ask, fleet: Fleet) -> None:
    fleet.description.limits.policies[POLICY] = BucketDescription(capacity=1, refill=1)
    assert (await ask(list_path("files"))).remaining[POLICY] == 0
    assert (await ask(list_path("files"))).status == 429


@pytest.mark.parametrize(("missing", "wait"), [(0, 0.0), (5, 60.0), (10, 60.0), (11, 120.0)])
def test_a_bucket_waits_for_as_many_minutes_as_it_needs(missing: int, wait: float) -> None:
    bucket = TokenBucket(capacity=30, refill=10, window=60.0, opened=100.0)
    bucket.tokens = 0
    assert bucket.wait(100.0, missing) == wait


def test_a_bucket_never_holds_more_than_its_capacity() -> None:
    bucket = TokenBucket(capacity=30, refill=10, window=60.0, opened=0.0)
    bucket.tokens = 0
    bucket.fill(119.0)
    assert bucket.tokens == 10
    bucket.fill(100_000.0)
    assert bucket.tokens == 30


def test_regions_have_buckets_of_their_own() -> None:
    limits = Limits(LimitsDescription(), lambda: 0.0)
    here, there = (
        Charge("HighCostGetVMScaleSetSubscriptionMaximum", ("s", place)) for place in ("a", "b")
    )
    limits.spend([here])
    assert (limits.remaining(here), limits.remaining(there)) == (1079, 1080)
