"""The calls about what a set has beside its model, to a simulated Azure."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from yarl import URL

from exporter.azure import set_details
from exporter.azure.decode_details import (
    StandbyPool,
    decode_lifecycle_hooks,
    decode_standby_pools,
)
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import Forbidden, NotSent, Throttled
from exporter.azure.paging import Paging, whole_list
from exporter.azure.set_details import SetDetailsClient
from exporter.model.details import (
    MOST_OF_A_KIND,
    Autoscale,
    LifecycleHook,
    RollingUpgrade,
    Service,
    StandbyCount,
)
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.simulator import Fleet, SimulatedAzure
from exporter.simulator.faults import Fault, Shape
from exporter.simulator.scale_set import SimulatedScaleSet
from support.answers import WEB
from support.azure_room import NewClient
from support.clock import FakeClock
from support.turns import counted_turns

PLACE = "westeurope"
FLEET = f"""\
subscription_id: {WEB.subscription_id}
scale_sets:
  - name: {WEB.name}
    resource_group: {WEB.resource_group}
    size: 10
    zones: ["1", "2"]
    services: {{AutomaticRepairs: Running}}
    rolling_upgrade: RollingForward
    hook_waits: 600
    standby: 3
    autoscale: [2, 20]
  - {{name: plain, resource_group: {WEB.resource_group}, size: 1}}
"""


@pytest.fixture
async def azure(clock: FakeClock) -> AsyncIterator[SimulatedAzure]:
    simulated = SimulatedAzure(Fleet.from_yaml(FLEET), token="token-1", clock=clock)
    await simulated.start()
    yield simulated
    await simulated.close()


@pytest.fixture
def details(azure: SimulatedAzure, new_client: NewClient) -> SetDetailsClient:
    where = Endpoints(resource_manager=azure.url, scope=f"{azure.url}/.default")
    transport = new_client(where)._transport
    return SetDetailsClient(transport, api_version="2024-07-01", deadline=30.0)


async def test_services(details: SetDetailsClient, azure: SimulatedAzure) -> None:
    assert await details.services(WEB, PLACE) == (Service("AutomaticRepairs", "Running"),)
    assert await details.services(azure.fleet.scale_set("plain").identity, PLACE) == ()


async def test_rolling_upgrades(details: SetDetailsClient, azure: SimulatedAzure) -> None:
    assert await details.rolling_upgrade(WEB, PLACE) == RollingUpgrade("RollingForward", 5, 0, 2, 3)
    plain = azure.fleet.scale_set("plain").identity
    assert await details.rolling_upgrade(plain, PLACE) is None, "it never had one"


async def test_lifecycle_hooks(details: SetDetailsClient) -> None:
    (hook,) = await details.lifecycle_hooks(WEB, PLACE)
    assert (hook.name, hook.type) == ("event-1", "UpgradeAutoOSScheduling")


async def test_of_very_many_events_a_thousand_are_kept(
    details: SetDetailsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def many(body: bytes) -> Iterator[tuple[list[LifecycleHook], str | None]]:
        for found, link in decode_lifecycle_hooks(body):
            yield found * (MOST_OF_A_KIND + 1), link

    monkeypatch.setattr(set_details, "decode_lifecycle_hooks", many)
    assert len(await details.lifecycle_hooks(WEB, PLACE)) == MOST_OF_A_KIND


async def test_standby_pools(details: SetDetailsClient, azure: SimulatedAzure) -> None:
    found = await details.standby_pools(WEB.subscription_id, lambda _: True)
    assert found == {
        WEB.key: (StandbyCount("1", "deallocated", 3), StandbyCount("1", "running", 0))
    }
    before = len(azure.requests)
    assert await details.standby_pools(WEB.subscription_id, lambda _: False) == {}
    assert len(azure.requests) == before + 1, "only the list"


async def test_of_two_pools_that_name_one_set_the_first_alone_is_read(
    details: SetDetailsClient, azure: SimulatedAzure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(body: bytes) -> Iterator[tuple[list[StandbyPool], str | None]]:
        for found, link in decode_standby_pools(body):
            yield found * 2, link

    monkeypatch.setattr(set_details, "decode_standby_pools", twice)
    before = len(azure.requests)
    assert len(await details.standby_pools(WEB.subscription_id, lambda _: True)) == 1
    assert len(azure.requests) == before + 2, "the list, and one pool"


async def test_between_two_pieces_of_a_long_list_everybody_else_who_is_ready_comes() -> None:
    endpoints = Endpoints(resource_manager="https://azure", scope="")

    def pieces(_: bytes) -> Iterator[tuple[list[int], str | None]]:
        for number in range(9):
            seen.append(turns.count)
            yield [number], None

    async def get(_: URL) -> bytes:
        return b""

    seen: list[int] = []
    paging = Paging(URL("https://azure/list"), endpoints, api_version="1")
    async with counted_turns() as turns:
        found = await whole_list(paging, get, pieces, CooperativeScheduler())
    assert found == list(range(9))
    assert all(later > earlier for earlier, later in itertools.pairwise(seen))


async def test_autoscale(details: SetDetailsClient) -> None:
    assert await details.autoscale(WEB.subscription_id) == {WEB.key: Autoscale(2, 20)}


def fail_one_of_two_pools(azure: SimulatedAzure, *, status: int) -> SimulatedScaleSet:
    """Let the pool of `web` be refused; the set of the other one."""
    plain = azure.fleet.scale_set("plain")
    plain.description = plain.description.model_copy(update={"standby": 2})
    azure.faults.append(
        Fault(kind="status", status=status, operation="standby_pool", scale_set=f"{WEB.name}-pool")
    )
    return plain


async def test_a_pool_that_goes_after_the_list_costs_no_other_pool_its_counts(
    details: SetDetailsClient, azure: SimulatedAzure
) -> None:
    plain = fail_one_of_two_pools(azure, status=404)
    found = await details.standby_pools(WEB.subscription_id, lambda _: True)
    assert list(found) == [plain.identity.key]


async def test_a_pool_that_cannot_be_read_is_told_from_one_that_is_empty(
    details: SetDetailsClient, azure: SimulatedAzure
) -> None:
    plain = fail_one_of_two_pools(azure, status=403)
    found = await details.standby_pools(WEB.subscription_id, lambda _: True)
    assert isinstance(found[WEB.key], Forbidden)
    assert found[plain.identity.key] == (
        StandbyCount("", "deallocated", 2),
        StandbyCount("", "running", 0),
    )


async def exceed_a_limit(details: SetDetailsClient, azure: SimulatedAzure, shape: Shape) -> None:
    """Let the settings of autoscale be answered with 429, and ten minutes to wait."""
    azure.faults.append(
        Fault(kind="throttled", operation="autoscale", shape=shape, retry_after="600", times=1)
    )
    with pytest.raises(Throttled):
        await details.autoscale(WEB.subscription_id)


@pytest.mark.parametrize("shape", ["crp", "temporary"])
async def test_the_limit_of_another_service_holds_no_call_to_compute(
    details: SetDetailsClient, azure: SimulatedAzure, shape: Shape
) -> None:
    budget = details._transport.budget
    before = budget.rates(WEB.subscription_id, ""), budget.reads(WEB.subscription_id)
    await exceed_a_limit(details, azure, shape)
    with pytest.raises(NotSent):
        await details.autoscale(WEB.subscription_id)
    assert (budget.rates(WEB.subscription_id, ""), budget.reads(WEB.subscription_id)) == before
    assert await details.services(WEB, PLACE)
    assert await details.standby_pools(WEB.subscription_id, lambda _: True)


async def test_the_resource_managers_limit_holds_all(
    details: SetDetailsClient, azure: SimulatedAzure
) -> None:
    await exceed_a_limit(details, azure, "arm")
    with pytest.raises(NotSent):
        await details.services(WEB, PLACE)
