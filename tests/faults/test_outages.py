"""Azure is away, whole or in part: what was known is served, and `up` says that it is old."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import pytest
from aiohttp import web

from exporter.simulator.description import ScaleSetDescription
from faults.world import INSTANCES, LAST_SUCCESS, UP, World, differing

FACTS = 900.0
"""Seconds in which a set's facts are asked for several times."""


async def never(world: World) -> web.StreamResponse:
    """No answer at all."""
    await world.wait(None)
    raise AssertionError("unreachable")


async def reset_in_the_middle(request: web.Request) -> web.StreamResponse:
    """The beginning of an answer, and then a reset of the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = 1000
    await response.prepare(request)
    await response.write(b'{"value": [')
    assert request.transport is not None
    plug = request.transport.get_extra_info("socket")
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return response


async def test_fifteen_minutes_without_any_connection_at_full_fleet(world: World) -> None:
    world.add_sets(60, size=5)
    async with world.polling(keep_for="20m"):
        before, targets = await world.served(), len(world.exporter.targets)
        assert await world.values(UP) == [1] * targets
        await world.go_down()
        await world.clock.advance(900)
        assert await world.values(UP) == [0] * targets
        assert await world.reasons("web") == {"connection"}
        assert differing(before, await world.served()) == {}
        assert await world.total("poll_failures_total", reason="connection") >= targets
        assert await world.total("azure_circuit_open") == 1
        tried = await world.total("azure_requests_total", code="error")
        assert tried < 100, "one call at a time tries, not 15 polls of every set"
        await world.come_back()
        await world.recovers()
        assert await world.total("azure_circuit_open") == 0
        assert differing(before, await world.served()) == {}
        assert await world.total("mapping_errors_total") == 0


@pytest.mark.parametrize("fault", ["status", "unavailable_html", "reset"])
async def test_fifteen_minutes_in_which_every_call_fails(world: World, fault: str) -> None:
    async with world.polling(keep_for="20m"):
        before = await world.served()
        world.strike(kind=fault, **({"status": 503} if fault == "status" else {}))
        await world.clock.advance(900)
        assert await world.values(UP) == [0] * 4
        reason = "connection" if fault == "reset" else "server_error"
        assert await world.reasons("web") == {reason}
        assert await world.total("poll_failures_total", reason=reason) >= 4
        assert differing(before, await world.served()) == {}
        world.heal()
        await world.recovers()
        assert differing(before, await world.served()) == {}


async def test_an_azure_that_never_answers(world: World) -> None:
    async with world.polling(keep_for="20m"):
        before = await world.served()
        world.instead(lambda _: never(world), operation=None)
        await world.clock.advance(900)
        assert await world.values(UP) == [0] * 4
        assert await world.reasons("web") == {"timeout"}
        assert await world.total("poll_failures_total", reason="timeout") >= 4
        assert differing(before, await world.served()) == {}
        assert world.waiting <= 4 * 2, "no call is left behind"
        world.heal()
        await world.recovers()
        assert differing(before, await world.served()) == {}


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_each_kind_of_server_error_of_one_set(world: World, status: int) -> None:
    async with world.polling():
        world.strike(kind="status", status=status, scale_set="web", operation="instances")
        reason = "timeout" if status == 408 else "server_error"
        await world.survives(reason=reason, code=str(status))


async def test_an_expanded_list_that_times_out_because_a_zone_is_down(world: World) -> None:
    async with world.polling(keep_for="20m"):
        world.instead(lambda _: never(world), scale_set="web")
        await world.survives(reason="timeout", code="error", lasts=600.0)


async def test_a_gateway_that_answers_with_html(world: World) -> None:
    async with world.polling():
        world.strike(kind="unavailable_html", scale_set="web", operation="instances")
        await world.survives(reason="server_error", code="503")


@pytest.mark.parametrize("page", [1, 3, 5])
async def test_a_server_error_in_the_middle_of_a_walk(world: World, page: int) -> None:
    async with world.polling():
        world.strike(kind="status", status=500, page=page, scale_set="web", operation="instances")
        await world.survives(reason="server_error", code="500")


@pytest.mark.parametrize("page", [1, 3])
async def test_a_reset_before_an_answer(world: World, page: int) -> None:
    async with world.polling():
        world.strike(kind="reset", page=page, scale_set="web", operation="instances")
        await world.survives(reason="connection", code="error")


@pytest.mark.parametrize("page", [1, 3])
async def test_a_reset_in_the_middle_of_a_page(world: World, page: int) -> None:
    async with world.polling():
        world.instead(reset_in_the_middle, scale_set="web", page=page)
        await world.survives(reason="broken_answer", code="error")


async def test_an_outage_longer_than_data_is_kept(world: World) -> None:
    async with world.polling():
        before = await world.served("web")
        last = await world.value(LAST_SUCCESS, scale_set="web")
        assert last is not None
        await world.go_down()
        await world.clock.advance(last + 599 - world.clock.now())
        assert differing(before, await world.served("web")) == {}
        await world.clock.advance(2)
        assert await world.value(INSTANCES, scale_set="web") is None
        await world.clock.advance(FACTS)
        left = await world.served("web")
        # The counters go on, or they would begin anew.
        assert left
        assert all(series.partition("{")[0].endswith("_total") for series in left)
        assert await world.values(UP) == [0] * 4
        assert await world.value(LAST_SUCCESS, scale_set="web") == last
        await world.come_back()
        await world.recovers()
        assert differing(before, await world.served("web")) == {}


async def test_a_name_that_cannot_be_resolved_at_the_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    resolves = False

    async def look_up(_: str, port: int, **__: Any) -> list[Any]:
        if not resolves:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(loop, "getaddrinfo", look_up)
    settings = world.settings
    azure = settings["azure"]
    azure["endpoint"] = azure["audience"] = world.azure.url.replace("127.0.0.1", "localhost")
    async with world.polling(settings=settings):
        assert await world.values(UP) == [0] * 4
        assert await world.reasons("web") == {"connection"}
        assert await world.served("web") == {}
        assert await world.total("poll_failures_total", reason="connection") >= 4
        assert world.received == []
        resolves = True
        await world.recovers()
        assert await world.value(INSTANCES, scale_set="web") == 50


async def test_an_answer_that_is_no_tls(world: World) -> None:
    settings = world.settings
    azure = settings["azure"]
    azure["endpoint"] = azure["audience"] = world.azure.url.replace("http", "https")
    async with world.polling(settings=settings):
        assert await world.values(UP) == [0] * 4
        assert await world.reasons("web") == {"connection"}
        assert await world.served("web") == {}
        assert await world.total("azure_requests_total", code="error") >= 4


async def test_a_permission_that_is_taken_away(world: World) -> None:
    async with world.polling(keep_for="30m"):
        world.strike(kind="status", status=403, scale_set="web", operation="instances")
        await world.survives(reason="permission", code="403", healing=900.0)


async def test_a_permission_that_is_taken_away_is_named(world: World) -> None:
    async with world.polling():
        world.strike(kind="status", status=403, operation="instances")
        await world.clock.advance(61)
        for state in world.exporter.targets:
            action = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read"
            assert action in (state.data.poll.message or "")


async def test_a_404_is_a_failed_poll_like_any_other_for_five_minutes(world: World) -> None:
    async with world.polling():
        world.strike(kind="status", status=404, scale_set="web", operation="instances")
        await world.survives(reason="not_found", code="404", lasts=300.0, healing=900.0)


async def test_a_set_that_is_deleted_goes_and_comes_back_when_it_is_made_anew(world: World) -> None:
    async with world.polling():
        other = await world.served("small")
        described = world.fleet.scale_set("web").description
        world.fleet.remove_scale_set(world.find("web"))
        await world.clock.advance(299)
        assert await world.value(INSTANCES, scale_set="web") == 50
        await world.clock.advance(121)
        assert await world.value(UP, scale_set="web") == 0
        assert await world.reasons("web") == {"not_found"}
        assert await world.total("poll_failures_total", reason="not_found") >= 2
        assert await world.value(INSTANCES, scale_set="web") is None
        await world.others_are_well("web")
        assert differing(other, await world.served("small")) == {}
        world.fleet.add_scale_set(described.model_copy(update={"size": 7}))
        await world.recovers(900)
        assert await world.value(INSTANCES, scale_set="web") == 7


async def test_a_resource_group_that_is_deleted(world: World) -> None:
    async with world.polling():
        identity = world.find("north")
        world.fleet.remove_scale_set(identity)
        world.fleet.groups.discard(identity.key[:2])
        await world.clock.advance(420)
        assert await world.reasons("north") == {"not_found"}
        assert await world.value(INSTANCES, scale_set="north") is None
        await world.others_are_well("north")
        described = ScaleSetDescription(
            name="north", resource_group="rg-north", size=4, location="northeurope"
        )
        world.fleet.add_scale_set(described)
        await world.recovers(900)
        assert await world.value(INSTANCES, scale_set="north") == 4


async def test_a_404_of_the_subscription_removes_nothing_before_keep_for(world: World) -> None:
    async def unknown(_: web.Request) -> web.StreamResponse:
        error = {"code": "SubscriptionNotFound", "message": "not in this tenant"}
        return web.json_response({"error": error}, status=404)

    async with world.polling():
        world.instead(unknown, operation=None)
        await world.clock.advance(530)
        assert await world.values(UP) == [0, 0, 0, 0]
        assert sum(await world.values(INSTANCES)) == 59
        await world.clock.advance(180)
        assert await world.values(INSTANCES) == []
        assert await world.reasons("web") == {"not_found"}


async def test_a_404_that_is_not_azures_word_drops_nothing(world: World) -> None:
    async def not_found(_: web.Request) -> web.StreamResponse:
        return web.Response(status=404, text="<html>not here</html>", content_type="text/html")

    async with world.polling():
        world.instead(not_found, scale_set="web")
        await world.survives(reason="broken_answer", code="404", lasts=400.0)


@pytest.mark.parametrize("status", [400, 409, 410])
async def test_a_request_that_azure_declines(world: World, status: int) -> None:
    async with world.polling():
        world.strike(kind="status", status=status, scale_set="web", operation="instances")
        await world.survives(reason="rejected", code=str(status), healing=900.0)


async def test_facts_that_fail_leave_the_instances_alone(world: World) -> None:
    async with world.polling():
        before = await world.served()
        world.strike(kind="status", status=500, operation="scale_set")
        await world.clock.advance(FACTS - 300)
        assert await world.values(UP) == [1] * 4
        assert differing(before, await world.served()) == {}
        assert await world.total("azure_requests_total", operation="get_scale_set", code="500") > 0
        assert await world.total("polls_total", result="failure") == 0
        world.heal()
        await world.recovers()
        assert differing(before, await world.served()) == {}
