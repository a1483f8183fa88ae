"""Several tenants and clouds in one process: what fails in one costs the others nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exporter.azure.auth.token_file import FileTokens
from exporter.simulator.fleet import Fleet
from exporter.simulator.server import SimulatedAzure
from faults.world import FOUND, OTHER_SUBSCRIPTION, TOKEN, UP, WatchedTokens, World
from support.answers import SUBSCRIPTION
from support.assembled import OWN

OTHER_TOKEN = "the-token-of-the-other-tenant"


@pytest.fixture
def tenants(world: World, tmp_path: Path) -> World:
    """A world of two tenants, each with a subscription that only its own token may read."""
    (tmp_path / "other").write_text(OTHER_TOKEN)
    world.process.tokens["other"] = WatchedTokens(FileTokens(str(tmp_path / "other")), world)
    world.azure.tokens.add(OTHER_TOKEN)
    world.azure.tenants = {
        TOKEN: frozenset((SUBSCRIPTION,)),
        OTHER_TOKEN: frozenset((OTHER_SUBSCRIPTION,)),
    }
    return world


@pytest.fixture
async def cloud(world: World) -> AsyncIterator[SimulatedAzure]:
    """Another cloud, with a set of its own."""
    fleet = Fleet.from_yaml(
        f"{{subscription_id: {OTHER_SUBSCRIPTION}, "
        "scale_sets: [{name: far, resource_group: rg, size: 2}]}"
    )
    azure = SimulatedAzure(fleet, token=OTHER_TOKEN, clock=world.clock)
    await azure.start()
    yield azure
    await azure.close()


def discovered(world: World, token_file: str, **of_other: Any) -> dict[str, Any]:
    other = {"type": "static", "token_file": token_file, **of_other}
    entries: list[dict[str, Any]] = [
        {"subscriptions": ["all"]},
        {"subscriptions": ["all"], "credential": "other"},
    ]
    return world.searching(*entries, credentials={"other": other})


async def up(world: World) -> dict[str, float | None]:
    return {
        name: await world.value(UP, scale_set=name)
        for name in sorted(state.target.scale_set.name for state in world.exporter.targets)
    }


async def test_each_tenant_is_searched_and_polled_with_its_own_credential(
    tenants: World, tmp_path: Path
) -> None:
    async with tenants.polling(settings=discovered(tenants, str(tmp_path / "other"))):
        assert await up(tenants) == dict.fromkeys(sorted(FOUND), 1)
        assert await tenants.values(OWN + "discovery_up") == [1, 1]
        used = {
            state.target.scale_set.name: state.target.credential
            for state in tenants.exporter.targets
        }
        assert used == {"web": "", "small": "", "north": "", "other": "other"}


async def test_a_listed_set_is_polled_with_the_credential_that_it_names(
    tenants: World, tmp_path: Path
) -> None:
    document = tenants.settings
    document["credentials"] = {"other": {"type": "static", "token_file": str(tmp_path / "other")}}
    async with tenants.polling(settings=document):
        assert (await up(tenants))["other"] == 0
        assert await tenants.reasons("other") == {"authentication"}
    for entry in document["scale_sets"]:
        if entry["subscription_id"] == OTHER_SUBSCRIPTION:
            entry["credential"] = "other"
    async with tenants.polling(settings=document):
        assert await up(tenants) == dict.fromkeys(sorted(FOUND), 1)


async def test_a_credential_that_expires_costs_no_other_tenant_a_poll(
    tenants: World, tmp_path: Path
) -> None:
    async with tenants.polling(settings=discovered(tenants, str(tmp_path / "other"))):
        tenants.azure.tokens.discard(OTHER_TOKEN)
        await tenants.clock.advance(600)
        assert await up(tenants) == dict.fromkeys(sorted(FOUND), 1) | {"other": 0}
        assert await tenants.reasons("other") == {"authentication"}
        await tenants.others_are_well("other")
        assert await tenants.value(OWN + "discovery_up", block="0") == 1
        assert await tenants.value(OWN + "discovery_up", block="1") == 0
        tenants.azure.tokens.add(OTHER_TOKEN)
        await tenants.recovers(900)


async def test_a_tenant_that_is_throttled_holds_back_no_other(
    tenants: World, tmp_path: Path
) -> None:
    document = discovered(tenants, str(tmp_path / "other"))
    document["resource_graph"] = {"mode": "off"}
    async with tenants.polling(settings=document):
        tenants.strike(
            kind="throttled", shape="arm", operation="subscriptions", retry_after="3000", times=1
        )
        await tenants.clock.advance(900)
        assert await up(tenants) == dict.fromkeys(sorted(FOUND), 1)
        states = {
            block: await tenants.value(OWN + "discovery_up", block=block) for block in ("0", "1")
        }
        assert set(states.values()) == {0, 1}, "the other one is searched"


async def test_a_cloud_that_does_not_answer_costs_the_other_cloud_no_poll(
    world: World, cloud: SimulatedAzure, tmp_path: Path
) -> None:
    (tmp_path / "far").write_text(OTHER_TOKEN)
    world.process.tokens["other"] = WatchedTokens(FileTokens(str(tmp_path / "far")), world)
    document = discovered(
        world, str(tmp_path / "far"), cloud="custom", endpoint=cloud.url, audience=cloud.url
    )
    async with world.polling(settings=document):
        assert await up(world) == dict.fromkeys(sorted(FOUND | {"far"}), 1)
        await cloud.close()
        await world.clock.advance(600)
        assert (await up(world))["far"] == 0
        await world.others_are_well("far")
        assert all(request.authorized for request in cloud.requests)


async def test_no_token_goes_to_the_cloud_of_another_credential(
    world: World, cloud: SimulatedAzure, tmp_path: Path
) -> None:
    (tmp_path / "far").write_text(OTHER_TOKEN)
    world.process.tokens["other"] = WatchedTokens(FileTokens(str(tmp_path / "far")), world)
    document = discovered(
        world, str(tmp_path / "far"), cloud="custom", endpoint=cloud.url, audience=cloud.url
    )
    async with world.polling(settings=document):
        await world.clock.advance(300)
        # Each Azure refuses any token but its own.
        for azure in (world.azure, cloud):
            assert {request.status for request in azure.requests} == {200}
