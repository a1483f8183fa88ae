"""Everything that can be ordered to go wrong does so, for the requests it is ordered for."""

from __future__ import annotations

import asyncio
import base64
import json
import typing

import aiohttp
import pytest

from exporter.simulator import Fault, Fleet, SimulatedAzure
from exporter.simulator.faults import Kind
from simulator.asking import EXPAND, TOKEN, Ask, list_path, set_path
from support.answers import ROOT
from support.clock import FakeClock


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "InvalidParameter"),
        (401, "InvalidAuthenticationToken"),
        (403, "AuthorizationFailed"),
        (404, "ResourceNotFound"),
        (409, "Conflict"),
        (500, "InternalServerError"),
        (502, "ProviderError"),
        (503, "ServerTimeout"),
        (504, "GatewayTimeout"),
    ],
)
async def test_a_status_comes_with_azures_body_for_it(
    ask: Ask, azure: SimulatedAzure, status: int, code: str
) -> None:
    azure.faults.append(Fault(kind="status", status=status, retry_after="17"))
    reply = await ask(list_path("web"))
    assert (reply.status, reply.error["code"]) == (status, code)
    assert reply.headers["Retry-After"] == "17"


async def test_a_403_names_the_action_and_the_scope(ask: Ask, azure: SimulatedAzure) -> None:
    azure.faults.append(Fault(kind="status", status=403))
    message = (await ask(list_path("web"))).error["message"]
    assert "'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read'" in message
    assert f"over scope '{set_path('web')}'" in message


@pytest.mark.parametrize(
    ("shape", "code", "retry_after"),
    [
        ("crp", "OperationNotAllowed", "30"),
        ("crp_two", "OperationNotAllowed", "30"),
        ("arm", "SubscriptionRequestsThrottled", None),
        ("arm_resource", "ResourceRequestsThrottled", None),
        ("oldest", "TooManyRequests", None),
        ("temporary", "RetryableErrorDueToAnotherOperation", None),
    ],
)
async def test_429_comes_in_every_shape(
    ask: Ask, azure: SimulatedAzure, shape: typing.Any, code: str, retry_after: str | None
) -> None:
    azure.faults.append(Fault(kind="throttled", shape=shape))
    reply = await ask(list_path("web"))
    assert (reply.status, reply.error["code"]) == (429, code)
    assert reply.headers.get("Retry-After") == retry_after


async def test_429_of_compute_may_be_unwrapped_and_its_wait_a_date(
    ask: Ask, azure: SimulatedAzure
) -> None:
    date = "Fri, 15 Jan 2027 08:01:00 GMT"
    azure.faults.append(Fault(kind="throttled", shape="crp_unwrapped", retry_after=date))
    reply = await ask(list_path("web"))
    assert reply.document["code"] == "OperationNotAllowed"
    details = json.loads(reply.document["details"][0]["message"])
    assert details["operationGroup"] == "HighCostGetVMScaleSetResource"
    assert reply.headers["Retry-After"] == date


async def test_a_fault_strikes_only_its_set_page_operation_and_number_of_times(
    ask: Ask, azure: SimulatedAzure
) -> None:
    fault = Fault(kind="status", scale_set="WEB", page=2, operation="instances", times=1)
    azure.faults.append(fault)

    first = await ask(list_path("web"))
    assert first.status == 200
    assert (await ask(list_path("files"))).status == 200
    assert (await ask(f"{set_path('web')}?api-version=2024-07-01")).status == 200
    assert (await ask(first.document["nextLink"])).status == 500
    assert (await ask(first.document["nextLink"])).status == 200
    assert fault.happened == 1


async def test_a_fault_strikes_only_in_its_time(
    ask: Ask, azure: SimulatedAzure, clock: FakeClock
) -> None:
    azure.faults.append(Fault(kind="status", after=10, until=20))
    statuses = []
    for _ in range(3):
        statuses.append((await ask(list_path("web"))).status)
        await clock.advance(10)
    assert statuses == [200, 500, 200]


async def test_faults_come_from_the_fleet_file_and_can_be_cleared(
    clock: FakeClock, session: aiohttp.ClientSession
) -> None:
    fleet = Fleet.from_yaml(
        "{faults: [{kind: status, status: 503}], scale_sets: [{name: web, resource_group: rg-web}]}"
    )
    azure = SimulatedAzure(fleet, token=TOKEN, clock=clock)
    await azure.start()
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with session.get(azure.url + list_path("web"), headers=headers) as response:
            assert response.status == 503
        azure.faults.clear()
        async with session.get(azure.url + list_path("web"), headers=headers) as response:
            assert response.status == 200
    finally:
        await azure.close()


async def test_a_gateway_answers_with_html(ask: Ask, azure: SimulatedAzure) -> None:
    azure.faults.append(Fault(kind="unavailable_html", times=1))
    azure.faults.append(Fault(kind="html_200"))
    first = await ask(list_path("web"))
    second = await ask(list_path("web"))
    assert (first.status, second.status) == (503, 200)
    assert first.body.startswith(b"<!DOCTYPE HTML")
    assert second.headers["Content-Type"].startswith("text/html")


async def test_a_body_can_be_empty_or_another_address(ask: Ask, azure: SimulatedAzure) -> None:
    azure.faults.append(Fault(kind="empty_body", times=1))
    azure.faults.append(Fault(kind="redirect", url="https://elsewhere.example/x"))
    assert (await ask(list_path("web"))).body == b""
    reply = await ask(list_path("web"))
    assert (reply.status, reply.headers["Location"]) == (302, "https://elsewhere.example/x")


async def test_a_claims_challenge_stands_until_another_token_comes(
    ask: Ask, azure: SimulatedAzure
) -> None:
    azure.tokens.add("fresh")
    azure.faults.append(Fault(kind="claims_challenge"))

    assert (await ask(list_path("web"))).status == 401
    refused = await ask(list_path("web"))
    assert refused.status == 401
    challenge = refused.headers["WWW-Authenticate"]
    assert 'error="insufficient_claims"' in challenge
    claims = challenge.partition('claims="')[2].partition('"')[0]
    assert "access_token" in json.loads(base64.urlsafe_b64decode(claims))
    assert (await ask(list_path("web"), token="fresh")).status == 200
    assert "simulated-token" not in repr(list(azure.faults))


@pytest.mark.parametrize("kind", ["reset", "cut_connection", "wrong_content_length"])
async def test_a_broken_connection_is_an_error_of_the_client(
    ask: Ask, azure: SimulatedAzure, kind: typing.Any
) -> None:
    # Not once only: aiohttp tries a GET again by itself where a kept connection was reset.
    azure.faults.append(Fault(kind=kind))
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await ask(list_path("web"))
    azure.faults.clear()
    assert (await ask(list_path("web"))).status == 200


@pytest.mark.parametrize("kind", ["truncated_json", "truncated_gzip"])
async def test_json_can_end_in_the_middle(
    ask: Ask, azure: SimulatedAzure, kind: typing.Any
) -> None:
    azure.faults.append(Fault(kind=kind))
    reply = await ask(list_path("web"))
    assert reply.status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)


async def test_a_stalled_answer_never_comes_and_the_server_still_closes(
    ask: Ask, azure: SimulatedAzure
) -> None:
    azure.faults.append(Fault(kind="stalled"))
    waiting = asyncio.create_task(ask(list_path("web")))
    while not azure.requests:  # noqa: ASYNC110 - a request's arrival sets no event
        await asyncio.sleep(0)
    async with asyncio.timeout(3):
        await azure.close()
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await waiting


async def test_a_client_may_leave_a_stalled_answer(ask: Ask, azure: SimulatedAzure) -> None:
    azure.faults.append(Fault(kind="stalled", times=1))
    waiting = asyncio.create_task(ask(list_path("web")))
    while not azure.requests:  # noqa: ASYNC110 - a request's arrival sets no event
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await ask(list_path("web"))).status == 200


async def test_an_endless_body_goes_on_until_the_client_goes(
    azure: SimulatedAzure, session: aiohttp.ClientSession
) -> None:
    azure.faults.append(Fault(kind="endless_body", times=1))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with session.get(azure.url + list_path("web"), headers=headers) as response:
        size = 0
        while size < 3_000_000:
            size += len(await response.content.readany())
        response.close()
    async with session.get(azure.url + list_path("web"), headers=headers) as response:
        assert response.status == 200


async def test_slow_drops_make_a_whole_answer(ask: Ask, azure: SimulatedAzure) -> None:
    azure.faults.append(Fault(kind="slow_drip", seconds=0.0))
    azure.faults.append(Fault(kind="delay", seconds=0.0))
    assert (await ask(list_path("web"))).ids == ["0", "1", "2"]


async def test_the_link_can_lead_to_another_host(ask: Ask, azure: SimulatedAzure) -> None:
    azure.faults.append(Fault(kind="next_link_elsewhere", url="https://evil.example"))
    link = (await ask(list_path("web"))).document["nextLink"]
    assert link.startswith("https://evil.example/subscriptions/")


async def test_links_can_go_in_circles(ask: Ask, azure: SimulatedAzure) -> None:
    first = await ask(list_path("web"))
    azure.faults.append(Fault(kind="next_link_repeat", times=1))
    repeated = await ask(first.document["nextLink"])
    assert repeated.document["nextLink"] == first.document["nextLink"]

    azure.faults.append(Fault(kind="next_link_loop"))
    looped = await ask(first.document["nextLink"])
    assert (await ask(looped.document["nextLink"])).ids == first.ids


async def test_a_link_can_hold_spaces_and_quotes_that_work_once_encoded(
    ask: Ask, azure: SimulatedAzure
) -> None:
    azure.faults.append(Fault(kind="next_link_unencoded", times=1))
    link = (await ask(list_path("web"))).document["nextLink"]
    assert "'PowerState') eq true" in link
    assert (await ask(link.replace(" ", "%20"))).ids == ["3", "4", "5"]


async def test_an_empty_page_loses_nothing(ask: Ask, azure: SimulatedAzure) -> None:
    azure.faults.append(Fault(kind="empty_page_with_next_link", page=2, times=1))
    first = await ask(list_path("web"))
    empty = await ask(first.document["nextLink"])
    after = await ask(empty.document["nextLink"])
    assert empty.document["value"] == []
    assert after.ids == ["3", "4", "5"]


async def test_an_empty_link_and_a_refused_token(ask: Ask, azure: SimulatedAzure) -> None:
    azure.faults.append(Fault(kind="next_link_empty"))
    assert (await ask(list_path("files"))).document["nextLink"] == ""
    link = (await ask(list_path("web"))).document["nextLink"]
    azure.faults.append(Fault(kind="skiptoken_refused"))
    assert (await ask(list_path("web"))).status == 200
    assert (await ask(link)).error["target"] == "$skiptoken"


async def test_odd_items_stand_among_good_ones(ask: Ask, azure: SimulatedAzure) -> None:
    def odd(kind: typing.Any) -> None:
        azure.faults.clear()
        azure.faults.append(Fault(kind=kind))

    async def items(query: str = EXPAND) -> list[typing.Any]:
        value: list[typing.Any] = (await ask(list_path("web", query=query))).document["value"]
        return value

    odd("item_not_object")
    assert [type(item) for item in await items()] == [str, dict, dict, dict]
    odd("item_without_id")
    assert (await items())[0]["id"] == ""
    assert "instanceId" not in (await items())[0]
    odd("item_without_view")
    assert (await items())[0]["properties"]["instanceView"] is None
    odd("item_repeated")
    assert [item["instanceId"] for item in await items()] == ["0", "0", "1", "2"]
    odd("zones_null")
    assert [item["zones"] for item in await items()] == [[None]] * 3
    odd("unknown_fields")
    assert "futureField" in (await items())[0]
    odd("null_everywhere")
    assert (await items())[0]["properties"]["instanceView"]["statuses"] == [None]
    assert (await items())[0]["properties"]["vmId"] is None


async def test_the_body_itself_can_be_odd(ask: Ask, azure: SimulatedAzure) -> None:
    async def document(kind: typing.Any) -> typing.Any:
        azure.faults.clear()
        azure.faults.append(Fault(kind=kind))
        return (await ask(list_path("files"))).document

    assert isinstance((await document("value_not_list"))["value"], dict)
    assert "value" not in await document("value_missing")
    assert isinstance(await document("body_not_object"), list)


def test_every_kind_is_described() -> None:
    page = (ROOT / "docs" / "simulator.md").read_text("utf-8")
    missing = [kind for kind in typing.get_args(Kind) if f"`{kind}`" not in page]
    assert not missing
