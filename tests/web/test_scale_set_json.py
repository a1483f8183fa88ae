"""`/api/v1/scale_sets/…`: what Azure said, as the configuration of now wants it shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from exporter.azure.errors import TimedOut
from exporter.polling.target_state import TargetState
from exporter.web.scale_set_json import chunks
from support.answers import instance
from support.clock import FakeClock
from support.life import Life
from support.site import WebCase
from support.source import page

VIEW = {
    "rdpThumbPrint": "AB12",
    "statuses": [{"code": "ProvisioningState/failed/X", "level": "Error", "message": "why " * 100}],
}


async def shown(state: TargetState, clock: FakeClock, *, messages: bool = True) -> dict[str, Any]:
    text = b"".join([chunk async for chunk in chunks(state, clock, messages=messages)])
    found: dict[str, Any] = json.loads(text)
    return found


async def test_the_instances_come_with_all_that_azure_said(case: WebCase) -> None:
    case.source.pages["web"] = [page(instance(VIEW, instance_id="1"))]
    await case.poll()
    found = await shown(case.states[0], case.clock)
    (one,) = found["instances"]
    assert one["provisioning_state"] == "failed"
    assert one["azure"]["properties"]["instanceView"]["rdpThumbPrint"] == "AB12"
    assert one["statuses"][0]["message"] == "why " * 100


async def test_instances_have_the_spelling_that_their_series_have(case: WebCase) -> None:
    for spelling in ("a_B", "A_b"):
        case.source.pages["web"] = [page(instance({}, instance_id=spelling))]
        await case.poll()
    (one,) = (await shown(case.states[0], case.clock))["instances"]
    assert one["instance_id"] == "a_B"


@pytest.mark.parametrize("messages", [True, False])
async def test_why_a_poll_failed_is_a_message_too(case: WebCase, messages: bool) -> None:  # noqa: FBT001
    case.source.pages["web"] = [TimedOut("late")]
    await case.poll()
    failure = (await shown(case.states[0], case.clock, messages=messages))["poll_failure"]
    assert failure["reason"] == "timeout"
    assert (failure["message"] is not None) == messages


async def test_no_answer_is_null_and_an_empty_one_is_an_empty_array(case: WebCase) -> None:
    assert (await shown(case.states[0], case.clock))["instances"] is None
    case.source.pages["web"] = [page()]
    await case.poll()
    assert (await shown(case.states[0], case.clock))["instances"] == []


async def test_after_a_restart_with_messages_off_none_is_shown(
    tmp_path: Path, clock: FakeClock
) -> None:
    await Life(tmp_path, clock).poll(instance(VIEW))
    second = Life(tmp_path, clock)
    await second.start()
    assert "why" in json.dumps(await shown(second.states[0], clock))
    hidden = await shown(second.states[0], clock, messages=False)
    assert "why" not in json.dumps(hidden)
    assert hidden["instances"][0]["azure"]["properties"]["instanceView"]["rdpThumbPrint"] == "AB12"


async def test_the_list_tells_how_each_set_stands_page_by_page(
    case: WebCase, client: TestClient[web.Request, web.Application]
) -> None:
    case.source.pages["web"] = [page(instance(VIEW, instance_id="1"))]
    case.source.pages["Batch"] = [TimedOut("late")]
    await case.poll()
    seen, offset = [], 0
    for _ in range(2):
        path = f"/api/v1/scale_sets?limit=1&offset={offset}"
        answer = await client.get(path, headers={"Accept-Encoding": "identity"})
        found = json.loads(await answer.text())
        seen += found["scale_sets"]
        offset = found["next_offset"]
    assert offset is None
    assert [(one["scale_set"], one["up"], one["instance_count"]) for one in seen] == [
        ("web", True, 1),
        ("Batch", False, None),
    ]
    assert "instances" not in seen[0]
    answer = await client.get("/api/v1/scale_sets?limit=x")
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert json.loads(await answer.text())["detail"].startswith("limit: expected")
