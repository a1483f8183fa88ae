"""A small still fleet behind a simulated Azure, and a client that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

from exporter.simulator import Fleet, SimulatedAzure
from simulator.asking import TOKEN, Ask, Reply
from support.clock import FakeClock

FLEET = """
seed: 3
scale_sets:
  - {name: web, resource_group: rg-web, size: 7, page_size: 3, protected: 1,
     extensions: [HealthExtension, CustomScript], tags: {team: web}}
  - {name: files, resource_group: rg-web, size: 2, os: windows, encrypted: true,
     extensions: [AzureDiskEncryption], zones: ["1", "2"]}
  - {name: empty, resource_group: rg-web, size: 0}
  - {name: games, resource_group: rg-games, size: 4, orchestration: flexible, page_size: 3}
"""


@pytest.fixture
def fleet() -> Fleet:
    return Fleet.from_yaml(FLEET)


@pytest.fixture
async def azure(fleet: Fleet, clock: FakeClock) -> AsyncIterator[SimulatedAzure]:
    simulated = SimulatedAzure(fleet, token=TOKEN, clock=clock)
    await simulated.start()
    yield simulated
    await simulated.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as client:
        yield client


@pytest.fixture
def ask(azure: SimulatedAzure, session: aiohttp.ClientSession) -> Ask:
    """Ask for a path or a whole address; the text is sent byte for byte."""

    async def asked(
        address: str,
        *,
        token: str | None = TOKEN,
        method: str = "GET",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        url = URL(address if address.startswith("http") else azure.url + address, encoded=True)
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        request = session.request(method, url, headers=sent, allow_redirects=False)
        async with request as response:
            return Reply(response.status, CIMultiDict(response.headers), await response.read())

    return asked
