"""Each kind of trouble on the wire: what is served before, during and after."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.azure.errors import REASONS, NotSent, Throttled
from exporter.simulator.faults import Fault
from exporter.simulator.server import SimulatedAzure
from support.answers import SUBSCRIPTION
from support.clock import FakeClock
from support.pipeline import TOKEN, Pipeline

# What happens, and the reason that the page then shows.
TROUBLE: list[tuple[dict[str, Any], str]] = [
    ({"kind": "status", "status": 400}, "rejected"),
    ({"kind": "status", "status": 401}, "authentication"),
    ({"kind": "status", "status": 403}, "permission"),
    ({"kind": "status", "status": 404}, "not_found"),
    ({"kind": "status", "status": 409}, "rejected"),
    ({"kind": "status", "status": 500}, "server_error"),
    ({"kind": "status", "status": 502}, "server_error"),
    ({"kind": "status", "status": 503}, "server_error"),
    ({"kind": "status", "status": 504}, "server_error"),
    ({"kind": "unavailable_html"}, "server_error"),
    ({"kind": "html_200"}, "broken_answer"),
    ({"kind": "empty_body"}, "broken_answer"),
    ({"kind": "redirect", "url": "https://elsewhere.example/"}, "broken_answer"),
    ({"kind": "reset"}, "connection"),
    ({"kind": "stalled"}, "timeout"),
    ({"kind": "cut_connection"}, "broken_answer"),
    ({"kind": "wrong_content_length"}, "broken_answer"),
    ({"kind": "truncated_json"}, "broken_answer"),
    ({"kind": "truncated_gzip"}, "broken_answer"),
    ({"kind": "endless_body"}, "broken_answer"),
    ({"kind": "slow_drip"}, "timeout"),
    ({"kind": "next_link_elsewhere"}, "broken_answer"),
    ({"kind": "next_link_loop"}, "broken_answer"),
    ({"kind": "next_link_repeat"}, "broken_answer"),
    ({"kind": "value_not_list"}, "broken_answer"),
    ({"kind": "value_missing"}, "broken_answer"),
    ({"kind": "body_not_object"}, "broken_answer"),
]


@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize(("fault", "reason"), TROUBLE, ids=str)
async def test_a_failed_walk_changes_nothing_served_but_up_and_a_good_one_heals_it(
    azure: SimulatedAzure, pipeline: Pipeline, fault: dict[str, Any], reason: str, page: int
) -> None:
    await pipeline.poll()
    assert await pipeline.value("azure_vmss_up") == 1
    assert await pipeline.value("azure_vmss_instances") == 50
    fetched = await pipeline.value("azure_vmss_last_success_timestamp_seconds")

    azure.faults.append(Fault(**fault, page=page, operation="instances"))
    await pipeline.poll()
    assert await pipeline.value("azure_vmss_up") == 0
    assert await pipeline.value("azure_vmss_poll_failure", reason=reason) == 1
    assert await pipeline.value("azure_vmss_instances") == 50
    assert await pipeline.value("azure_vmss_last_success_timestamp_seconds") == fetched
    assert await pipeline.value("azure_vmss_exporter_poll_failures_total", reason=reason) == 1
    assert reason in REASONS

    azure.faults.clear()
    await pipeline.poll()
    assert await pipeline.value("azure_vmss_up") == 1
    assert await pipeline.value("azure_vmss_poll_failure") is None


@pytest.mark.parametrize(
    ("fault", "instances", "lost"),
    [
        ({"kind": "next_link_unencoded"}, 50, 0),
        ({"kind": "next_link_empty", "page": 5}, 50, 0),
        ({"kind": "empty_page_with_next_link", "page": 2, "times": 1}, 50, 0),
        ({"kind": "skiptoken_refused", "page": 4, "times": 1}, 50, 0),
        ({"kind": "claims_challenge", "times": 1}, 50, 0),
        ({"kind": "zones_null"}, 50, 0),
        ({"kind": "item_repeated"}, 50, 0),
        ({"kind": "item_without_view"}, 50, 0),
        ({"kind": "null_everywhere", "page": 2}, 50, 0),
        ({"kind": "unknown_fields"}, 50, 0),
        ({"kind": "item_not_object", "page": 1}, 50, 1),
        ({"kind": "item_without_id", "page": 1}, 49, 1),
    ],
    ids=str,
)
async def test_an_odd_answer_loses_no_other_instance(
    azure: SimulatedAzure, pipeline: Pipeline, fault: dict[str, Any], instances: int, lost: int
) -> None:
    azure.faults.append(Fault(**fault, operation="instances"))
    await pipeline.poll()
    assert await pipeline.value("azure_vmss_up") == 1, pipeline.state().data.poll.message
    assert await pipeline.value("azure_vmss_instances") == instances
    counted = await pipeline.value(
        "azure_vmss_exporter_mapping_errors_total", family="azure_vmss_instances"
    )
    assert counted == lost


@pytest.mark.parametrize(
    "shape", ["crp", "crp_unwrapped", "crp_two", "arm", "arm_resource", "oldest", "temporary"]
)
@pytest.mark.parametrize("retry_after", ["30", None])
async def test_throttled_no_call_goes_out_before_azure_allows(
    azure: SimulatedAzure,
    pipeline: Pipeline,
    clock: FakeClock,
    shape: str,
    retry_after: str | None,
) -> None:
    await pipeline.poll()
    azure.faults.append(
        Fault.model_validate(
            {"kind": "throttled", "shape": shape, "retry_after": retry_after, "times": 1}
        )
    )
    error = await pipeline.poll()
    assert isinstance(error, Throttled)
    assert await pipeline.value("azure_vmss_poll_failure", reason="throttled") == 1
    answers = await pipeline.values("azure_vmss_exporter_azure_requests_total", code="429")
    assert sum(answers) == 1
    received = len(azure.requests)
    wait = pipeline.client._transport._gate.remaining(SUBSCRIPTION, "")
    assert wait > 0
    if retry_after is not None:
        assert wait == 30
    clock.steady += wait - 0.5
    put_off = await pipeline.poll()
    assert isinstance(put_off, NotSent)
    assert len(azure.requests) == received
    clock.steady += 0.5
    await pipeline.poll()
    assert len(azure.requests) > received
    assert await pipeline.value("azure_vmss_up") == 1


async def test_a_poll_put_off_leaves_up_as_it_is(azure: SimulatedAzure, pipeline: Pipeline) -> None:
    await pipeline.poll()
    await pipeline.poll("flex")
    azure.faults.append(
        Fault(kind="throttled", scale_set="flex", retry_after="60", operation="instances")
    )
    await pipeline.poll("flex")
    await pipeline.poll()
    assert await pipeline.value("azure_vmss_up", scale_set="web") == 1
    assert await pipeline.value("azure_vmss_poll_failure", scale_set="web") is None


async def test_a_next_link_to_another_host_gets_no_token(
    azure: SimulatedAzure, pipeline: Pipeline
) -> None:
    heard: list[str] = []

    async def listen(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Authorization", ""))
        return web.json_response({"value": []})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", listen)
    async with TestServer(application) as elsewhere:
        url = str(elsewhere.make_url("/"))
        for kind in ("next_link_elsewhere", "redirect"):
            azure.faults.clear()
            azure.faults.append(Fault.model_validate({"kind": kind, "url": url}))
            await pipeline.poll()
            assert await pipeline.value("azure_vmss_poll_failure", reason="broken_answer") == 1
    assert heard == []


async def test_a_flexible_set_is_recognized_by_azures_400(pipeline: Pipeline) -> None:
    await pipeline.poll("flex")
    assert await pipeline.value("azure_vmss_up") == 1
    assert await pipeline.value("azure_vmss_instances") == 3


async def test_what_does_not_exist_is_named(pipeline: Pipeline) -> None:
    await pipeline.poll("typo")
    await pipeline.poll("web", "rg-typo")
    messages = [state.data.poll.message or "" for state in pipeline.polling.targets]
    assert "scale set" in messages[0]
    assert "resource group" in messages[1]


async def test_a_missing_permission_is_named(azure: SimulatedAzure, pipeline: Pipeline) -> None:
    azure.faults.append(Fault(kind="status", status=403))
    await pipeline.poll()
    assert "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read" in (
        pipeline.state().data.poll.message or ""
    )


async def test_no_token_shows_anywhere(
    azure: SimulatedAzure, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as captured:
        for fault, _ in TROUBLE:
            azure.faults.clear()
            azure.faults.append(Fault(**fault))
            await pipeline.poll()
    assert TOKEN not in repr(captured)
    assert TOKEN not in caplog.text
    assert TOKEN not in await pipeline.page()
    assert TOKEN not in (pipeline.state().data.poll.message or "")
