"""`/scale-sets/…`: which instance, why, since when, and what to do about a poll that failed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest

from exporter.azure.errors import TimedOut
from exporter.model.scale_set import ScaleSetModel
from exporter.web.pages import scale_set
from support.answers import SUBSCRIPTION, instance
from support.html import Element
from support.pages import FAILED, SUCCEEDED, WEB, WELL, Client, opened
from support.site import WebCase
from support.source import page


def placed(view: Mapping[str, object], fault: int, update: int) -> dict[str, object]:
    return {**view, "platformFaultDomain": fault, "platformUpdateDomain": update}


def table(document: Element) -> list[list[str]]:
    rows = document.one("table", of="instances").all("tr")[1:]
    return [[cell.text for cell in (*row.all("th"), *row.all("td"))] for row in rows]


async def test_the_worst_instances_come_first_with_reason_and_time(
    client: Client, case: WebCase
) -> None:
    unhealthy = {
        **WELL,
        "vmHealth": {"status": {"code": "HealthState/unhealthy", "time": "2024-02-03T04:05:06Z"}},
    }
    off = {"statuses": [{"code": "PowerState/deallocated"}, SUCCEEDED]}
    views = {"10": WELL, "9": WELL, "2": off, "3": unhealthy, "4": FAILED}
    case.source.pages["web"] = [
        page(*(instance(view, instance_id=number) for number, view in views.items()))
    ]
    await case.poll()
    document = await opened(client, WEB)
    found = table(document)
    assert [row[0].split()[:2] for row in found] == [
        ["failed", "3"],
        ["failed", "4"],
        ["off", "2"],
        ["well", "9"],
        ["well", "10"],
    ]
    assert found[0][1:3] == ["unhealthy", "2024-02-03 04:05:06 UTC for 1077 days"]
    assert found[1][1] == "provisioning failed: allocationfailed"
    assert found[2][1:3] == ["deallocated", ""], "Azure tells no time of a power state"
    assert found[3][1:4] == ["", "", "power running"]
    wrong = document.all("ul", of="reasons")[0]
    assert "1 × unhealthy since 2024-02-03 04:05:06 UTC, for 1077 days" in wrong.text
    assert {"web/3", "web/4"} == {link.attributes["href"] for link in wrong.all("a")}


async def test_the_grid_is_by_zone_fault_domain_and_update_domain(
    client: Client, case: WebCase
) -> None:
    where = [("2", 0, 0), ("1", 0, 1), ("1", 1, 0), ("1", 0, 0)]
    case.source.pages["web"] = [
        page(
            *(
                instance(placed(WELL, fault, update), instance_id=str(n), zones=[zone])
                for n, (zone, fault, update) in enumerate(where)
            )
        )
    ]
    await case.poll()
    first, second = (await opened(client, WEB)).all("table", of="grid")
    assert first.one("caption").text == "Zone 1: fault domains down, update domains across"
    assert [row.text for row in first.all("tr")] == [
        "UD 0 UD 1",
        "FD 0 3 well 1 well",
        "FD 1 2 well",
    ]
    assert second.one("caption").text == "Zone 2: by fault domain"
    assert [row.text for row in second.all("tr")] == ["FD 0 UD 0 0 well"]


async def test_no_state_is_told_by_colour_alone(client: Client, case: WebCase) -> None:
    case.source.pages["web"] = [
        page(instance(FAILED, instance_id="1"), instance(WELL, instance_id="2"))
    ]
    await case.poll()
    tiles = (await opened(client, WEB)).all("a", of="tile")
    assert [tile.text for tile in tiles] == ["1 failed", "2 well"]
    assert [tile.all("span")[0].inner for tile in tiles] == [["✕"], ["✓"]]


@pytest.mark.parametrize("messages", [True, False])
async def test_why_the_poll_failed_and_what_to_do(
    client: Client,
    case: WebCase,
    messages: bool,  # noqa: FBT001
) -> None:
    case.site.messages = messages
    case.source.pages["web"] = [TimedOut("the list took too long")]
    await case.poll()
    alert = (await opened(client, WEB)).one("section", of="alert").text
    assert "The last poll failed: timeout" in alert
    assert "polling.timeout" in alert
    assert "There are no data to show." in alert
    assert ("the list took too long" in alert) is messages
    case.source.pages["web"] = [page(instance(WELL, instance_id="1"))]
    await case.poll()
    assert not (await opened(client, WEB)).all("section", of="alert")
    case.source.pages["web"] = [TimedOut("the list took too long")]
    await case.poll()
    document = await opened(client, WEB)
    assert "What stands below is of the last good poll" in document.text
    assert len(table(document)) == 1


async def test_what_is_known_of_the_set_and_where_else_to_look(
    client: Client, case: WebCase
) -> None:
    case.site.portal_url = "https://portal.azure.com"
    case.site.grafana_url = "https://grafana.example.com"
    case.site.tags = ("team", "absent")
    case.source.models["web"] = ScaleSetModel(
        location="West Europe", sku="Standard_D2", capacity=3, tags={"team": "shop", "secret": "x"}
    )
    await case.poll()
    document = await opened(client, WEB)
    facts = document.one("dl", of="facts").text
    for words in ("Region westeurope", "Size Standard_D2", "Capacity asked for 3", "team=shop"):
        assert words in facts
    assert "secret" not in document.text
    links = {one.text: one.attributes["href"] for one in document.one("ul", of="links").all("a")}
    assert links["Azure portal"] == (
        f"https://portal.azure.com/#@/resource/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web"
        "/providers/Microsoft.Compute/virtualMachineScaleSets/web"
    )
    assert links["Grafana"] == (
        "https://grafana.example.com/d/azure-vmss-scale-set"
        f"?var-subscription={SUBSCRIPTION}&var-resource_group=rg-web&var-scale_set=web"
    )
    assert links["JSON"] == f"../../../api/v1/scale_sets/{SUBSCRIPTION}/rg-web/web"
    answer = await client.get(f"{WEB.rpartition('/')[0]}/{links['JSON']}")
    assert answer.content_type == "application/json"


async def test_before_the_first_poll_and_without_instances(client: Client, case: WebCase) -> None:
    assert "This scale set was not polled yet." in (await opened(client, WEB)).text
    await case.poll()
    assert "The scale set has no instances." in (await opened(client, WEB)).text


async def test_instances_are_found_by_text_and_state(client: Client, case: WebCase) -> None:
    case.source.pages["web"] = [
        page(
            instance({**WELL, "computerName": "alpha"}, instance_id="1"),
            instance(FAILED, instance_id="2"),
        )
    ]
    await case.poll()

    async def ids(query: str) -> list[str]:
        document = await opened(client, WEB + query)
        tables = document.all("table", of="instances")
        return [row[0].split()[1] for row in table(document)] if tables else []

    assert await ids("?q=ALPHA") == ["1"]
    assert await ids("?q=allocation") == ["2"]
    assert await ids("?state=problems") == ["2"]
    assert await ids("?state=ok") == ["1"]
    assert await ids("?state=off") == []


async def test_more_than_a_page_is_paged(
    client: Client, case: WebCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_set, "PER_PAGE", 2)
    case.source.pages["web"] = [page(*(instance(WELL, instance_id=str(n)) for n in range(5)))]
    await case.poll()
    document = await opened(client, f"{WEB}?page=2&state=ok")
    assert [row[0] for row in table(document)] == ["well 2 web_2", "well 3 web_3"]
    links = document.one("nav", of="paging").all("a")
    assert [one.attributes["href"] for one in links] == ["?state=ok", "?state=ok&page=3"]


async def test_a_set_is_found_in_any_letter_case_and_another_is_404(client: Client) -> None:
    await opened(client, f"/scale-sets/{SUBSCRIPTION}/RG-WEB/WEB")
    document = await opened(client, "/scale-sets/s/g/<b>other", status=404)
    assert document.one("h1").text == "Not found"
    assert "other" not in document.text
    assert document.all("a", of="home")[0].attributes["href"] == "../../../"


async def test_without_a_fleet_page_no_link_leads_to_it(case: WebCase) -> None:
    from aiohttp.test_utils import TestClient, TestServer

    from exporter.web.application import make_application

    case.site.telemetry_path = "/"
    async with TestClient(TestServer(make_application(case.site)), auto_decompress=False) as client:
        document = await opened(client, WEB)
    assert "../../../" in {one.attributes["href"] for one in document.all("a")}, "the metrics"
    assert not document.all("a", of="home")
    assert not document.one("nav", of="crumbs").all("a")


async def test_headings_go_down_one_by_one_and_tables_have_captions(
    client: Client, case: WebCase
) -> None:
    case.source.pages["web"] = [page(instance(FAILED, instance_id="1"))]
    await case.poll()
    for path in ("/", WEB, f"{WEB}/1"):
        document = await opened(client, path)
        levels = [int(e.name[1]) for e in document.elements() if e.name in {"h1", "h2", "h3"}]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
        assert all(one.all("caption") for one in document.all("table"))
        assert [one.name for one in document.elements() if one.name in {"header", "main", "footer"}]
        assert not document.all("script")
        assert not [e for e in document.elements() if "style" in e.attributes]
