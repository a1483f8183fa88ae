"""The simulated Resource Graph: its pages, quota, lag and language."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from exporter.simulator import Fleet, SimulatedAzure
from support.clock import FakeClock

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
PATH = "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01"
QUERY = (
    "resources | where type =~ 'Microsoft.Compute/virtualMachineScaleSets' "
    "| project id, name, size=sku.capacity | order by id asc"
)
FLEET = """\
graph: {lag: 60}
scale_sets: [{name: web, size: 1, repeat: 5}]
"""


@pytest.fixture
async def azure(clock: FakeClock) -> AsyncIterator[SimulatedAzure]:
    simulated = SimulatedAzure(Fleet.from_yaml(FLEET), token="t", clock=clock)
    await simulated.start()
    yield simulated
    await simulated.close()


async def ask(
    azure: SimulatedAzure, query: str = QUERY, method: str = "POST", **options: object
) -> tuple[int, dict[str, Any], dict[str, str]]:
    asked = {"query": query, "options": {f"${name}": value for name, value in options.items()}}
    headers = {"Authorization": "Bearer t"}
    async with (
        ClientSession() as session,
        session.request(method, azure.url + PATH, json=asked, headers=headers) as response,
    ):
        return response.status, await response.json(), dict(response.headers)


async def test_pages_follow_each_other_by_the_skip_token(azure: SimulatedAzure) -> None:
    _, first, headers = await ask(azure, top=3)
    assert (first["count"], first["totalRecords"], first["resultTruncated"]) == (3, 5, "false")
    assert headers["x-ms-user-quota-remaining"] == "14"
    assert headers["x-ms-user-quota-resets-after"] == "00:00:05"
    _, second, _ = await ask(azure, top=3, skipToken=first["$skipToken"])
    assert [row["name"] for row in first["data"] + second["data"]] == [
        f"web-{number:03d}" for number in range(5)
    ]
    assert "$skipToken" not in second
    assert first["data"][0]["size"] == 1


async def test_rows_in_no_order_are_others_on_each_page(azure: SimulatedAzure) -> None:
    query = QUERY.partition(" | order")[0]
    _, first, _ = await ask(azure, query, top=3)
    _, second, _ = await ask(azure, query, top=3, skipToken=first["$skipToken"])
    names = {row["name"] for row in first["data"] + second["data"]}
    assert len(names) < 5, "some twice, others never"


async def test_the_quota_of_a_window_ends(azure: SimulatedAzure, clock: FakeClock) -> None:
    statuses = [(await ask(azure))[0] for _ in range(16)]
    assert statuses == [200] * 15 + [429]
    status, body, headers = await ask(azure)
    assert (status, body["error"]["code"]) == (429, "RateLimiting")
    assert (headers["Retry-After"], headers["x-ms-user-quota-remaining"]) == ("5", "0")
    await clock.advance(5)
    assert (await ask(azure))[0] == 200


async def test_the_index_is_late(azure: SimulatedAzure, clock: FakeClock) -> None:
    assert (await ask(azure))[1]["count"] == 5
    azure.fleet.remove_scale_set(azure.fleet.scale_set("web-000").identity)
    await clock.advance(59)
    assert (await ask(azure))[1]["count"] == 5
    await clock.advance(61)
    await ask(azure)
    await clock.advance(60)
    assert (await ask(azure))[1]["count"] == 4


async def test_what_may_not_be_read_has_no_rows(azure: SimulatedAzure) -> None:
    azure.graph.hidden.add(SUBSCRIPTION)
    assert (await ask(azure))[1]["data"] == []
    azure.graph.hidden.clear()
    azure.graph.emptied = True
    assert (await ask(azure))[1]["data"] == []


@pytest.mark.parametrize(
    "query", ["nonsense", QUERY.replace("project", "summon"), QUERY.replace("sku.", "sku-")]
)
async def test_a_query_that_it_does_not_understand_is_refused(
    azure: SimulatedAzure, query: str
) -> None:
    assert (await ask(azure, query))[0] == 400


async def test_it_is_asked_by_post(azure: SimulatedAzure) -> None:
    assert (await ask(azure, method="GET"))[0] == 405
