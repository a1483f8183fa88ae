"""Tokens that Azure refuses, and a token service that is away."""

from __future__ import annotations

import pytest
from aiohttp import web

from exporter.azure.auth import token_sources
from exporter.azure.endpoints import Endpoints
from exporter.configuration import Credential
from faults.world import TOKEN, UP, WatchedTokens, World, differing


async def test_a_token_service_that_is_down_for_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{world.azure.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "simulated-identity")
    endpoints = Endpoints(resource_manager=world.azure.url, scope=f"{world.azure.url}/.default")
    tokens = token_sources.build(Credential(type="managed_identity"), endpoints, clock=world.clock)
    world.process.tokens[""] = WatchedTokens(tokens, world)
    async with world.polling(keep_for="2h"):
        before = await world.served()
        assert await world.values(UP) == [1] * 4
        # The token that is in use ends, and there is no other.
        world.azure.tokens.clear()
        world.azure.tokens.add("the-next-token")
        world.azure.issued_token = "the-next-token"
        down = world.strike(kind="status", status=400, operation="token")
        await world.clock.advance(3600)
        assert await world.values(UP) == [0] * 4
        assert await world.reasons("web") == {"authentication"}
        assert await world.total("poll_failures_total", reason="authentication") >= 4
        assert 0 < down.happened <= 4 * 60 * 6, "it is not hammered"
        assert differing(before, await world.served()) == {}
        world.heal()
        await world.recovers()
        assert differing(before, await world.served()) == {}


async def test_a_token_that_is_refused_until_the_file_has_another(world: World) -> None:
    async with world.polling(keep_for="2h"):
        before = await world.served()
        world.azure.tokens.clear()
        world.azure.tokens.add("another-token")
        moment = world.clock.now()
        await world.clock.advance(900)
        assert await world.values(UP) == [0] * 4
        assert await world.reasons("web") == {"authentication"}
        assert await world.total("azure_requests_total", code="401") > 0
        # A refused token is sent once more at most, for the file may have changed.
        assert world.calls_since(moment, "small") <= 2 * (15 + 15 + 2)
        assert differing(before, await world.served()) == {}
        page = await world.page()
        assert TOKEN not in page
        world.write_token("another-token")
        await world.recovers(900)
        assert differing(before, await world.served()) == {}


async def test_a_challenge_that_asks_for_claims(world: World) -> None:
    async with world.polling():
        before = await world.served()
        world.strike(kind="claims_challenge", times=1)
        await world.clock.advance(180)
        assert await world.values(UP) == [1] * 4
        assert await world.total("azure_requests_total", code="401") == 1
        assert await world.total("polls_total", result="failure") == 0
        assert differing(before, await world.served()) == {}


@pytest.mark.parametrize("challenge", ["", "Bearer", 'Bearer claims="%%%"', "x" * 5000, "Basic, ,"])
async def test_a_challenge_that_cannot_be_read(world: World, challenge: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async with world.polling():
        world.instead(answer, scale_set="web")
        await world.survives(reason="authentication", code="401", healing=900.0)


async def test_one_set_of_another_tenant_costs_the_others_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

    async def another_tenant(_: web.Request) -> web.StreamResponse:
        message = f"The access token is from the wrong issuer. It must match the tenant {tenant}."
        error = {"code": "InvalidAuthenticationTokenTenant", "message": message}
        return web.json_response({"error": error}, status=401)

    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{world.azure.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "simulated-identity")
    endpoints = Endpoints(resource_manager=world.azure.url, scope=f"{world.azure.url}/.default")
    tokens = token_sources.build(Credential(type="managed_identity"), endpoints, clock=world.clock)
    world.process.tokens[""] = WatchedTokens(tokens, world)
    async with world.polling():
        before = await world.served()
        world.instead(another_tenant, scale_set="web")
        down = world.strike(kind="status", status=400, operation="token")
        await world.clock.advance(900)
        assert await world.reasons("web") == {"authentication"}
        assert await world.values(UP) == [0, 1, 1, 1]
        assert down.happened == 0, "the token is good, and no other is asked for"
        (state,) = (r for r in world.exporter.targets if r.target.scale_set.name == "web")
        assert tenant in (state.data.poll.message or "")
        world.heal()
        await world.recovers(900)
        assert differing(before, await world.served()) == {}
