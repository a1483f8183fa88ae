"""The Azure room's stand-ins: fake tokens, a server that plays Azure, short ways to walk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Literal

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aioresponses import aioresponses as mocked_answers
from yarl import URL

from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import AzureError
from exporter.azure.paging import PAGE_LIMIT
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.scale_sets import Restart, ScaleSetClient
from exporter.azure.transport import Transport
from exporter.model.instance_view import InstancePage
from exporter.model.scale_set import ScaleSetId
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.telemetry import Telemetry
from support.answers import WEB

ENDPOINT = "https://management.azure.com"
PUBLIC = Endpoints(resource_manager=ENDPOINT, scope=f"{ENDPOINT}/.default")
PATH = (
    f"/subscriptions/{WEB.subscription_id}/resourceGroups/{WEB.resource_group}"
    f"/providers/Microsoft.Compute/virtualMachineScaleSets/{WEB.name}"
)
QUERY = "$expand=instanceView&$select=instanceView&api-version=2024-07-01"
NewClient = Callable[..., ScaleSetClient]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeTokens:
    """Tokens without a token service: `token-1`, and the next one when one is refused."""

    def __init__(self) -> None:
        self.number = 1
        self.asked: list[tuple[str | None, str | None]] = []
        self.failure: Exception | None = None

    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        self.asked.append((claims, stale))
        if self.failure is not None:
            raise self.failure
        if stale is not None:
            self.number += 1
        return f"token-{self.number}"

    async def close(self) -> None:
        pass


class Wire:
    """A server on loopback whose one handler plays Azure; it keeps the requests it has seen."""

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.seen: list[web.Request] = []
        self.peers: list[object] = []
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", self._handle)
        self.server = TestServer(application)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(resource_manager=self.origin, scope="https://example/.default")

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.peers.append(request.get_extra_info("peername"))
        assert self.handler is not None
        return await self.handler(request)


def client(
    *,
    api_version: str = "2024-07-01",
    detail: Literal["instance_view", "full"] = "instance_view",
    deadline: float = 30.0,
    page_limit: int = PAGE_LIMIT,
    cooperative: CooperativeScheduler | None = None,
    **transport: Any,
) -> ScaleSetClient:
    """A client, with its own budget and without any Retry-After where the test gives none."""
    wired = {"clock": transport["clock"], "telemetry": transport["telemetry"]}
    settings = {
        "timeout": 10.0,
        "budget": Budget(**wired),
        "gate": RetryAfterGate(**wired),
        **transport,
    }
    return ScaleSetClient(
        Transport(deadline=deadline, **settings),
        api_version=api_version,
        detail=detail,
        deadline=deadline,
        page_limit=page_limit,
        cooperative=cooperative,
    )


async def walk(
    client: ScaleSetClient, scale_set: ScaleSetId = WEB, **how: Any
) -> list[InstancePage | Restart]:
    """All that a walk yields."""
    async with aclosing(client.instance_pages(scale_set, **how)) as pages:
        return [page async for page in pages]


def ids(pages: list[InstancePage | Restart]) -> list[str | None]:
    """The instance ids in the order of a walk."""
    assert all(isinstance(page, InstancePage) for page in pages)
    return [
        item.instance_id
        for page in pages
        if isinstance(page, InstancePage)
        for item in page.instances
    ]


def sample(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(f"azure_vmss_exporter_{name}", labels)


FIRST = URL(f"{ENDPOINT}{PATH}/virtualMachines?{QUERY}", encoded=True)
SET = URL(f"{ENDPOINT}{PATH}?api-version=2024-07-01", encoded=True)


def later(number: int) -> URL:
    return URL(
        f"{ENDPOINT}{PATH}/virtualMachines?api-version=2024-07-01&$skiptoken=t{number}",
        encoded=True,
    )


def page(*instance_ids: str, following: URL | str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"value": [{"instanceId": number} for number in instance_ids]}
    if following is not None:
        found["nextLink"] = str(following)
    return found


def sent(answers: mocked_answers) -> list[str]:
    """The addresses asked, in their order."""
    calls = [(call, url) for (_, url), made in answers.requests.items() for call in made]
    return [str(url) for _, url in calls]


def headers_sent(answers: mocked_answers) -> list[dict[str, str]]:
    return [call.kwargs["headers"] for made in answers.requests.values() for call in made]


async def failure_of(client: ScaleSetClient) -> AzureError:
    with pytest.raises(AzureError) as caught:
        await walk(client)
    return caught.value
