"""A large fleet and a large set: small on the wire, and everybody else has turns meanwhile."""

from __future__ import annotations

import gzip
from itertools import pairwise

import pytest
from aiohttp import web

from exporter.model.scale_set import ScaleSetId, Target
from exporter.web.pages.fleet import AT_A_TIME
from exporter.web.pages.instance import AT_A_TIME as STATUSES_AT_A_TIME
from exporter.web.pages.instance_rows import AT_A_TIME as INSTANCES_AT_A_TIME
from support.answers import SUBSCRIPTION, instance
from support.html import parse
from support.pages import FAILED, WEB, WELL, Client, as_azure_sends, item, opened
from support.site import WebCase
from support.source import page
from support.turns import counted_turns

SETS = 2500
INSTANCES = 1000


async def a_large_fleet(case: WebCase) -> None:
    case.source.pages["web"] = [page(*(instance(FAILED, instance_id=str(n)) for n in range(9)))]
    await case.poll()
    data = case.states[0].data
    for number in range(SETS - len(case.states)):
        scale_set = ScaleSetId(SUBSCRIPTION, f"rg-{number % 40}", f"set-{number}")
        case.polling.targets.add(Target(scale_set, 60.0)).data = data


async def test_a_page_of_2500_sets_is_small_and_shows_a_hundred(
    client: Client, case: WebCase
) -> None:
    await a_large_fleet(case)
    async with counted_turns() as turns:
        answer = await client.get("/", headers={"Accept-Encoding": "gzip"})
        body = await answer.read()
    assert len(body) < 300 * 1024
    document = parse(gzip.decompress(body).decode())
    assert len(document.one("table", of="sets").all("tr")) == 1 + 100
    assert "2500 of 2500 scale sets" in document.text
    assert turns.count > SETS // AT_A_TIME


async def test_a_page_of_a_thousand_instances_shows_all(client: Client, case: WebCase) -> None:
    views = [WELL, FAILED]
    case.source.pages["web"] = [
        page(*(instance(views[n % 9 == 0], instance_id=str(n)) for n in range(INSTANCES)))
    ]
    await case.poll()
    async with counted_turns() as turns:
        document = await opened(client, WEB)
    assert len(document.all("a", of="tile")) == INSTANCES
    assert len(document.one("table", of="instances").all("tr")) == 1 + INSTANCES
    assert turns.count > INSTANCES // INSTANCES_AT_A_TIME


async def test_everybody_has_a_turn_between_the_chunks(
    client: Client, case: WebCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.source.pages["web"] = [
        page(*(instance(FAILED, instance_id=str(n)) for n in range(INSTANCES)))
    ]
    await case.poll()
    written: list[int] = []
    write = web.StreamResponse.write

    async def note(response: web.StreamResponse, data: bytes) -> None:
        written.append(turns.count)
        await write(response, data)

    monkeypatch.setattr(web.StreamResponse, "write", note)
    async with counted_turns() as turns:
        await opened(client, WEB)
    assert len(written) > 10
    assert all(later > earlier for earlier, later in pairwise(written))


async def test_an_instance_with_statuses_without_end_is_cut_and_holds_nobody_up(
    client: Client, case: WebCase
) -> None:
    statuses = [
        {"code": f"Kind{n}/state", "message": f"{n} password=hunter2 {'x' * 2000}"}
        for n in range(3000)
    ]
    extensions = [{"name": f"e{n}", "statuses": statuses[:9]} for n in range(90)]
    view = {"statuses": statuses, "extensions": extensions}
    case.source.pages["web"] = list(as_azure_sends(item(view, "1")))
    await case.poll()
    async with counted_turns() as turns:
        document = await opened(client, f"{WEB}/1")
    rows = [row for table in document.all("table", of="statuses") for row in table.all("tr")]
    assert 800 < len(rows) < 1100
    assert turns.count > len(rows) // STATUSES_AT_A_TIME
