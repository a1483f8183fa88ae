"""`/`: which set is in trouble, why, and since when."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from exporter.azure.errors import TimedOut
from exporter.discovery.discovery import SearchStatus
from exporter.discovery.finder import Failure, Search
from exporter.model.quota import QuotaUse
from exporter.model.scale_set import ScaleSetModel
from exporter.web.pages import fleet
from support.answers import SUBSCRIPTION, instance
from support.html import Element
from support.pages import FAILED, WELL, Client, opened
from support.site import WebCase
from support.source import page


def rows(document: Element) -> dict[str, Element]:
    """The rows of the sets by their names."""
    table = document.all("table", of="sets")
    found = [row for row in table[0].all("tr") if row.all("th", scope="row")] if table else []
    return {row.one("th").one("a").text: row for row in found}


async def names(client: Client, **query: str) -> list[str]:
    return list(rows(await opened(client, f"/?{urlencode(query)}")))


async def test_a_set_is_well_or_has_the_reason_why_not(client: Client, case: WebCase) -> None:
    found = rows(await opened(client))
    assert found.keys() == {"web", "Batch"}
    assert all("not polled yet" in row.text for row in found.values())
    case.source.pages["web"] = [
        page(instance(WELL, instance_id="1"), instance(FAILED, instance_id="2"))
    ]
    case.source.pages["Batch"] = [TimedOut("the list took too long")]
    await case.poll()
    found = rows(await opened(client))
    assert list(found) == ["Batch", "web"], "where nothing can be seen is worst"
    assert "poll failed: timeout" in found["Batch"].text
    assert "no data" in found["Batch"].text
    assert "1 × provisioning failed: allocationfailed" in found["web"].text
    assert "1 failed, 1 well" in found["web"].text
    assert "2 instances" in found["web"].text
    case.source.pages["web"] = [TimedOut("the list took too long")]
    await case.poll()
    row = rows(await opened(client))["web"]
    assert "poll failed: timeout" in row.text
    assert "2 instances" in row.text, "the last good data stay"


async def test_since_is_azures_time_and_nothing_where_azure_tells_none(
    client: Client, case: WebCase
) -> None:
    timeless = {"statuses": [{"code": "PowerState/unknown"}, *WELL["statuses"][1:]]}
    case.source.pages["web"] = [page(instance(FAILED, instance_id="2"))]
    case.source.pages["Batch"] = [page(instance(timeless, instance_id="2"))]
    await case.poll()
    found = rows(await opened(client))
    (time,) = found["web"].one("ul").all("time")
    assert time.attributes["datetime"] == "2024-01-01T00:00:00Z"
    assert "power state unknown" in found["Batch"].text
    assert not found["Batch"].one("ul").all("time")


async def test_age_interval_region_and_mode_stand_there(client: Client, case: WebCase) -> None:
    case.source.models["web"] = ScaleSetModel(
        location="West Europe", orchestration_mode="Uniform", capacity=3
    )
    case.source.pages["web"] = [page(instance(WELL, instance_id="2"))]
    await case.poll()
    case.clock.wall += 100
    text = rows(await opened(client))["web"].text
    assert "100 s old" in text
    assert "every 60 s" in text
    assert "westeurope · Uniform" in text
    assert "1 of 3 instances" in text
    assert "late" not in text
    case.clock.wall += 200
    assert "late" in rows(await opened(client))["web"].text


async def test_the_sums_are_of_the_whole_fleet(client: Client, case: WebCase) -> None:
    case.source.pages["web"] = [page(*(instance(WELL, instance_id=str(n)) for n in range(3)))]
    await case.poll()
    document = await opened(client, "/?q=nothing-like-that")
    sums = document.one("dl", of="sums").text
    assert "Scale sets 2" in sums
    assert "Instances 3" in sums
    assert "0 of 2 scale sets" in document.text
    assert "No scale set is like that." in document.text


async def test_the_form_filters_by_text_place_tag_and_state(client: Client, case: WebCase) -> None:
    case.site.tags = ("team",)
    case.source.models["web"] = ScaleSetModel(
        location="westeurope", tags={"Team": "Shop", "cost": "9"}
    )
    case.source.pages["web"] = [page(instance(FAILED, instance_id="2"))]
    case.source.pages["Batch"] = [page(instance(WELL, instance_id="2"))]
    case.polling.add("elsewhere", resource_group="rg-other")
    await case.poll()
    assert await names(client) == ["web", "elsewhere", "Batch"]
    assert await names(client, q="RG-WEB") == ["web", "Batch"]
    assert await names(client, q="allocationFailed") == ["web"]
    assert await names(client, subscription=SUBSCRIPTION, group="other") == ["elsewhere"]
    assert await names(client, subscription="another") == []
    assert await names(client, tag="TEAM=shop") == ["web"]
    assert await names(client, tag="team") == ["web"]
    assert await names(client, tag="team=other") == []
    assert await names(client, tag="cost=9") == [], "not of metrics.tags"
    assert await names(client, state="failed") == ["web"]
    assert await names(client, state="problems") == ["web"]
    assert await names(client, state="new") == ["elsewhere"]
    assert await names(client, state="ok") == ["Batch"]


async def test_the_form_keeps_what_was_asked(client: Client) -> None:
    document = await opened(client, f"/?q=a%22b&state=failed&subscription={SUBSCRIPTION}")
    form = document.one("form")
    assert form.one("input", name="q").attributes["value"] == 'a"b'
    chosen = [one.attributes["value"] for one in form.all("option") if "selected" in one.attributes]
    assert chosen == [SUBSCRIPTION, "failed"]
    assert all(one.name == "label" for one in form.all("label"))
    for field in (*form.all("input"), *form.all("select")):
        assert any(field in label.elements() for label in form.all("label"))


@pytest.mark.parametrize("number", ["2", "99", "0", "x", "²", "-1", "9" * 400])
async def test_pages_of_sets_lead_to_each_other(
    client: Client, case: WebCase, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setattr(fleet, "PER_PAGE", 1)
    document = await opened(client, f"/?group=rg&page={number}")
    paging = document.one("nav", of="paging")
    on_second = number in {"2", "99", "9" * 400}
    assert f"Page {2 if on_second else 1} of 2" in paging.text
    (link,) = paging.all("a")
    assert link.attributes["href"] == ("?group=rg" if on_second else "?group=rg&page=2")
    assert len(rows(document)) == 1
    assert case.states


async def test_the_quota_is_told_by_the_fullest_limit_of_each_region(
    client: Client, case: WebCase
) -> None:
    case.site.quotas = lambda: [
        QuotaUse("s-1", "westeurope", "Calls", 10.0, 100.0),
        QuotaUse("s-1", "westeurope", "Views", 95.0, 100.0),
        QuotaUse("s-2", "eastus", "Calls", 0.0, 0.0),
        QuotaUse("s-2", "", "Calls", 0.0, 100.0),
    ]
    document = await opened(client)
    (table,) = [t for t in document.all("table") if "closest to being used up" in t.text]
    texts = [row.text for row in table.all("tr")[1:]]
    assert texts == ["s-1 westeurope Views 95 of 100 95 %", "s-2 eastus Calls 0 of 0 0 %"]


@pytest.mark.parametrize("messages", [True, False])
async def test_the_discovery_tells_what_failed(
    client: Client,
    case: WebCase,
    messages: bool,  # noqa: FBT001
) -> None:
    failed = Search(failures=[Failure("subscription s-1", "permission", "no role")], because="why")
    case.site.searches = lambda: [
        SearchStatus(0, failed, 3, 1000.0),
        SearchStatus(1, None, 0, None),
    ]
    case.site.messages = messages
    text = (await opened(client)).text
    assert "discovery[0] 3 lists" in text
    assert "subscription s-1: permission" in text
    assert ("no role" in text) is messages
    assert "discovery[1] 0 not searched yet none" in text


async def test_the_links_work_behind_a_prefix_and_lead_everywhere(
    client: Client, case: WebCase
) -> None:
    case.site.telemetry_path = "/deep/metrics"
    case.site.grafana_url = "https://grafana.example.com/"
    links = {one.attributes["href"] for one in (await opened(client)).all("a")}
    assert {"deep/metrics", "-/healthy", "-/ready", "api/v1/status", "./"} <= links
    assert f"scale-sets/{SUBSCRIPTION}/rg-web/Batch" in links
    assert "https://grafana.example.com/d/azure-vmss-fleet" in links
    assert not [link for link in links if link.startswith("/")]


async def test_a_set_that_failed_itself_is_a_problem(client: Client, case: WebCase) -> None:
    case.source.models["web"] = ScaleSetModel(provisioning_state="Failed")
    await case.poll()
    row = rows(await opened(client))["web"]
    assert "the scale set itself: failed" in row.text
    assert "failed" in row.one("th").one("span", of="badge").text


async def test_a_set_of_an_earlier_version_has_its_number_only(
    client: Client, case: WebCase
) -> None:
    case.source.pages["web"] = [page(instance(FAILED, instance_id="2"))]
    await case.poll()
    data = case.states[0].data
    assert data.snapshot is not None
    data.snapshot = replace(data.snapshot, mapped=replace(data.snapshot.mapped, summary=None))
    text = rows(await opened(client))["web"].text
    assert "1 instances" in text
    assert "not polled yet" in text, "nobody has looked whether they are well"
