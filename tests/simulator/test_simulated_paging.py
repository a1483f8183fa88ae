"""Pages follow each other as Azure's do, also while the set changes."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from exporter.simulator import Fleet, SimulatedAzure
from simulator.asking import Ask, list_path


async def test_a_walk_over_the_links_meets_every_instance_once(ask: Ask) -> None:
    met: list[str] = []
    address: str | None = list_path("web")
    while address:
        reply = await ask(address)
        met += reply.ids
        address = reply.document.get("nextLink")
    assert met == ["0", "1", "2", "3", "4", "5", "6"]


async def test_the_link_is_absolute_un_encoded_and_keeps_the_query(
    ask: Ask, azure: SimulatedAzure
) -> None:
    link = (await ask(list_path("web"))).document["nextLink"]

    whole = list_path("web")
    assert link.startswith(f"{azure.url}{whole}&$skiptoken=")
    token = base64.b64decode(link.partition("$skiptoken=")[2]).decode()
    assert token.endswith(
        "!/Subscriptions/00000000-0000-0000-0000-000000000000"
        "/ResourceGroups/RG-WEB/VMScaleSets/WEB/VMs/3"
    )


async def test_the_last_page_has_no_link_and_an_empty_set_no_items(ask: Ask) -> None:
    assert "nextLink" not in (await ask(list_path("files"))).document
    assert (await ask(list_path("empty"))).document == {"value": []}


async def test_an_exactly_full_page_is_the_last_one(ask: Ask, fleet: Fleet) -> None:
    web = fleet.scale_set("web")
    for identifier in ("3", "4", "5", "6"):
        web.remove(identifier)
    reply = await ask(list_path("web"))
    assert reply.ids == ["0", "1", "2"]
    assert "nextLink" not in reply.document


async def test_the_walk_goes_on_where_it_was_while_instances_come_and_go(
    ask: Ask, fleet: Fleet
) -> None:
    web = fleet.scale_set("web")
    first = await ask(list_path("web"))
    web.remove("0")
    web.remove("3")
    added = web.add()

    second = await ask(first.document["nextLink"])
    third = await ask(second.document["nextLink"])

    assert second.ids == ["4", "5", "6"]
    assert third.ids == [added.instance_id] == ["7"]


async def test_a_percent_encoded_link_is_the_same_page(ask: Ask) -> None:
    link = (await ask(list_path("web"))).document["nextLink"]
    address, _, token = link.partition("$skiptoken=")
    assert (await ask(f"{address}%24skiptoken={quote(token, safe='')}")).ids == ["3", "4", "5"]


@pytest.mark.parametrize("token", ["nonsense", "bm9uc2Vuc2U=", quote(quote("bm9u=", safe=""))])
async def test_a_token_that_is_not_azures_is_refused(ask: Ask, token: str) -> None:
    reply = await ask(f"{list_path('web')}&$skiptoken={token}")
    assert reply.status == 400
    assert reply.error == {
        "code": "InvalidParameter",
        "message": "The request URL is not valid.",
        "target": "$skiptoken",
    }


async def test_the_token_of_another_set_is_refused(ask: Ask) -> None:
    link = (await ask(list_path("web"))).document["nextLink"]
    token = link.partition("$skiptoken=")[2]
    assert (await ask(f"{list_path('files')}&$skiptoken={token}")).status == 400


async def test_flexible_pages_follow_by_name(ask: Ask, fleet: Fleet) -> None:
    first = await ask(list_path("games", "rg-games", query=""))
    second = await ask(first.document["nextLink"])
    assert first.ids + second.ids == sorted(fleet.scale_set("games").instances)


async def test_the_page_size_of_the_fleet_counts_where_a_set_has_none() -> None:
    fleet = Fleet.from_yaml("{page_size: 4, scale_sets: [{name: web, size: 5}]}")
    page, following = fleet.scale_set("web").page(None, fleet.description.page_size, bool)
    assert ([one.instance_id for one in page], following) == (["0", "1", "2", "3"], "4")
