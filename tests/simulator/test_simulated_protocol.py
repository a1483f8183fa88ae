"""What ARM itself sees to: tokens, addresses, methods, compression; and what is remembered."""

from __future__ import annotations

import pytest

from exporter.model.scale_set import ScaleSetId
from exporter.simulator import Fleet, SimulatedAzure
from simulator.asking import Ask, list_path, set_path


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{set_path('web')}/virtualMachines", 400, "MissingApiVersionParameter"),
        (f"{set_path('web')}?api-version=yesterday", 400, "InvalidApiVersionParameter"),
        (list_path("web", query="$expand=everything&"), 400, "InvalidParameter"),
        (list_path("web", query="$select=name&"), 400, "InvalidParameter"),
        (list_path("web", query="$filter=power%20eq%20on&"), 400, "InvalidParameter"),
        (list_path("gone"), 404, "ResourceNotFound"),
        (list_path("web", "rg-none"), 404, "ResourceGroupNotFound"),
        (list_path("web").replace("0000", "1111"), 404, "SubscriptionNotFound"),
        ("/nowhere?api-version=2024-07-01", 404, "InvalidResourceType"),
    ],
)  # fmt: skip
async def test_a_wrong_address_gets_the_error_azure_has_for_it(
    ask: Ask, path: str, status: int, code: str
) -> None:
    reply = await ask(path)
    assert (reply.status, reply.error["code"]) == (status, code)


async def test_a_missing_group_is_answered_by_the_gateway_as_recorded(ask: Ask) -> None:
    reply = await ask(list_path("web", "rg-none"))
    assert reply.headers["x-ms-failure-cause"] == "gateway"
    assert reply.error["message"] == "Resource group 'rg-none' could not be found."


async def test_a_removed_set_is_not_found_while_its_group_stays(ask: Ask, fleet: Fleet) -> None:
    games = fleet.scale_set("games").identity
    fleet.remove_scale_set(ScaleSetId(*games.key))
    reply = await ask(list_path("games", "rg-games"))
    assert reply.error["code"] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("token", "code", "problem"),
    [
        (None, "AuthenticationFailed", "invalid_token"),
        ("wrong", "InvalidAuthenticationToken", "invalid_token"),
        ("old", "ExpiredAuthenticationToken", "invalid_token"),
    ],
)
async def test_a_bad_token_is_refused_with_a_challenge(
    ask: Ask, azure: SimulatedAzure, token: str | None, code: str, problem: str
) -> None:
    azure.expired_tokens.add("old")
    reply = await ask(list_path("web"), token=token)
    assert (reply.status, reply.error["code"]) == (401, code)
    assert problem in reply.headers["WWW-Authenticate"]


async def test_nothing_can_be_changed(ask: Ask) -> None:
    reply = await ask(list_path("web"), method="POST")
    assert (reply.status, reply.error["code"]) == (405, "MethodNotAllowed")


async def test_every_request_is_remembered_without_its_token(
    ask: Ask, azure: SimulatedAzure
) -> None:
    await ask(list_path("web"))
    await ask("/nowhere", token=None)

    first, second = azure.requests
    assert (first.operation, first.scale_set, first.page) == ("instances", "web", 1)
    assert (first.method, first.authorized, first.status) == ("GET", True, 200)
    assert "$select=instanceView" in first.query
    assert (second.operation, second.authorized, second.status) == (None, False, 401)
    assert "simulated-token" not in repr(azure.requests)


async def test_answers_are_compressed_for_those_who_accept_it(ask: Ask) -> None:
    packed = await ask(list_path("web"))
    plain = await ask(list_path("web"), headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.document == plain.document
