"""`/api/v1/status`: how polls and searches stand."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from exporter.azure.errors import TimedOut
from exporter.discovery.discovery import SearchStatus
from exporter.discovery.finder import Failure, Search
from support.answers import instance
from support.site import WebCase
from support.source import page

Client = TestClient[web.Request, web.Application]
SEARCH = Search(
    failures=[Failure("a-subscription", "permission", "not allowed to read it")],
    way="lists",
    because="Resource Graph has failed",
    graph_failure=Failure("resource_graph", "rejected", "a bad query"),
)


async def status(client: Client) -> dict[str, Any]:
    answer = await client.get("/api/v1/status", headers={"Accept-Encoding": "identity"})
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    found: dict[str, Any] = await answer.json()
    return found


async def test_polls_are_counted_by_how_they_stand(client: Client, case: WebCase) -> None:
    assert (await status(client))["scale_sets"] == {
        "configured": 2,
        "discovered": 0,
        "up": 0,
        "down": 0,
        "not_polled": 2,
        "poll_failures": {},
        "oldest_success_timestamp_seconds": None,
    }
    case.source.pages["web"] = [page(instance({}, instance_id="1"))]
    case.source.pages["Batch"] = [TimedOut("the list took too long")]
    await case.poll()
    found = (await status(client))["scale_sets"]
    assert (found["up"], found["down"], found["not_polled"]) == (1, 1, 0)
    assert found["poll_failures"] == {"timeout": 1}
    assert found["oldest_success_timestamp_seconds"] == case.clock.now()


@pytest.mark.parametrize("messages", [True, False])
async def test_a_search_tells_its_way_and_why_not_the_other(
    client: Client, case: WebCase, *, messages: bool
) -> None:
    case.site.messages = messages
    case.site.searches = lambda: [SearchStatus(0, SEARCH, 7, 12.0), SearchStatus(1, None, 0, None)]
    assert (await status(client))["discovery"] == [
        {
            "block": 0,
            "up": False,
            "way": "lists",
            "because": "Resource Graph has failed",
            "resource_graph_failure": {
                "reason": "rejected",
                "message": "a bad query" if messages else None,
            },
            "found": 7,
            "last_success_timestamp_seconds": 12.0,
            "failures": [
                {
                    "where": "a-subscription",
                    "reason": "permission",
                    "message": "not allowed to read it" if messages else None,
                }
            ],
        },
        {
            "block": 1,
            "up": None,
            "way": None,
            "because": None,
            "resource_graph_failure": None,
            "found": 0,
            "last_success_timestamp_seconds": None,
            "failures": [],
        },
    ]
