"""Queries of Resource Graph: pages, quota and broken answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import AzureError, BrokenAnswer
from exporter.azure.resource_graph import QUERIES, ResourceGraph
from exporter.model.scale_set import FoundScaleSet, ScaleSetModel
from exporter.simulator import Fleet, SimulatedAzure
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION
from support.azure_room import NewClient, sample
from support.clock import FakeClock

OTHER = "11111111-1111-1111-1111-111111111111"
FLEET = f"""\
subscription_id: {SUBSCRIPTION}
graph: {{page_size: 2}}
limits: {{graph_queries: {{capacity: 100, refill: 100}}}}
scale_sets:
  - {{name: zeta, resource_group: rg-web, size: 3, priority: spot, tags: {{team: web}}}}
  - {{name: flexible, resource_group: rg-web, size: 2, orchestration: flexible, sku: null}}
  - {{name: many, resource_group: rg-many, size: 1, repeat: 4}}
  - {{name: other, resource_group: rg-web, size: 2, subscription_id: {OTHER}}}
"""
Ask = Callable[..., Awaitable[list[FoundScaleSet]]]
Answer = dict[str, Any]


class Graph:
    """Resource Graph of a simulated Azure, or of one that answers what the test says."""

    def __init__(self, new_client: NewClient, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self._new_client = new_client

    async def found(self, url: str, *subscriptions: str) -> list[FoundScaleSet]:
        """All scale sets that a query finds."""
        where = Endpoints(resource_manager=url, scope=f"{url}/.default")
        transport = self._new_client(where)._transport
        graph = ResourceGraph(transport, telemetry=self.telemetry, deadline=30.0)
        async with aclosing(graph.scale_sets(subscriptions)) as pages:
            return [one async for page in pages for one in page.found]

    async def found_in(self, *answers: Answer) -> list[FoundScaleSet]:
        """The same, where Azure answers these one after the other."""
        waiting = list(answers)

        async def answer(_: web.Request) -> web.Response:
            return web.json_response(waiting.pop(0))

        application = web.Application()
        application.router.add_post("/{path:.*}", answer)
        async with TestServer(application) as server:
            return await self.found(str(server.make_url("")).rstrip("/"))

    def queries(self, result: str) -> float | None:
        """How many pages were asked with that result."""
        return sample(self.telemetry, "graph_queries_total", kind="scale_sets", result=result)


@pytest.fixture
def graph(new_client: NewClient, telemetry: Telemetry) -> Graph:
    return Graph(new_client, telemetry)


@pytest.fixture
async def azure(clock: FakeClock) -> AsyncIterator[SimulatedAzure]:
    simulated = SimulatedAzure(Fleet.from_yaml(FLEET), token="token-1", clock=clock)
    await simulated.start()
    yield simulated
    await simulated.close()


def row(name: str, **more: object) -> Answer:
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web"
    return {"id": f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets/{name}", **more}


async def test_all_pages_of_all_subscriptions_are_read(graph: Graph, azure: SimulatedAzure) -> None:
    found = await graph.found(azure.url)
    names = [one.scale_set.name for one in found]
    assert sorted(names) == [
        *("flexible", "many-000", "many-001", "many-002", "many-003", "other", "zeta")
    ]
    assert len(azure.requests) == 4
    assert {request.method for request in azure.requests} == {"POST"}
    assert (graph.queries("success"), graph.queries("failure")) == (4, 0)


async def test_only_the_subscriptions_that_are_named_are_asked(
    graph: Graph, azure: SimulatedAzure
) -> None:
    assert [one.scale_set.name for one in await graph.found(azure.url, OTHER)] == ["other"]


async def test_a_row_tells_the_model_as_a_list_of_sets_does(
    graph: Graph, azure: SimulatedAzure
) -> None:
    found = {one.scale_set.name: one.model for one in await graph.found(azure.url)}
    assert found["zeta"] == ScaleSetModel(
        location="westeurope",
        sku="Standard_D2s_v3",
        capacity=3,
        orchestration_mode="Uniform",
        upgrade_policy="Manual",
        has_profile=True,
        priority="Spot",
        eviction_policy="Deallocate",
        provisioning_state="Succeeded",
        tags={"team": "web"},
    )
    assert found["flexible"] == ScaleSetModel(
        location="westeurope", orchestration_mode="Flexible", provisioning_state="Succeeded"
    )


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.kind)
def test_every_query_is_sorted_by_the_id_and_has_no_limit(query: Any) -> None:
    assert query.text.endswith("| order by id asc")
    assert "project id," in query.text
    assert not {"limit", "take", "sample", "top"} & set(query.text.split())


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([{"value": []}], "the answer has no data"),
        ([{"data": {"columns": [], "rows": []}}], "not a page of rows"),
        ([{"data": [], "$skipToken": 3}], "not a page of rows"),
        ([{"data": [row("a")], "totalRecords": 2}], "1 of 2 rows are missing"),
        (
            [{"data": [row("a")], "$skipToken": "t"}, {"data": [row("b")], "$skipToken": "t"}],
            "leads back to a page that was read",
        ),
        ([[]], "not a JSON object"),
    ],
)
async def test_an_answer_that_is_not_whole_is_none(
    graph: Graph, answers: list[Answer], message: str
) -> None:
    with pytest.raises(BrokenAnswer, match=message):
        await graph.found_in(*answers)


async def test_odd_fields_of_a_row_are_left_out_and_the_others_stay(graph: Graph) -> None:
    (found,) = await graph.found_in(
        {
            "data": [
                row("web", location="West US 2", sku="big", tags={"a": None, "b": "c"}, priority=3),
            ],
            "totalRecords": 1,
        }
    )
    assert found.model == ScaleSetModel(location="westus2", tags={"b": "c"})


async def test_a_query_that_is_refused_is_counted(graph: Graph, azure: SimulatedAzure) -> None:
    azure.graph.description = azure.graph.description.model_copy(update={"enabled": False})
    with pytest.raises(AzureError):
        await graph.found(azure.url)
    assert graph.queries("failure") == 1
