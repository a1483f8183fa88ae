"""The endpoints, over real sockets."""

from __future__ import annotations

import gzip
import json
import zlib
from itertools import pairwise
from typing import TypeAlias

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from exporter.azure.errors import NotSent, TimedOut
from exporter.exposition.content_type import TEXT
from exporter.polling.counters import NEW_CODE_WAITS
from exporter.web import application
from exporter.web.application import make_application
from support.answers import SUBSCRIPTION, instance, samples
from support.clock import FakeClock
from support.site import WebCase
from support.source import page
from support.turns import counted_turns

Client: TypeAlias = TestClient[web.Request, web.Application]

VIEW = {
    "statuses": [{"code": "PowerState/running", "level": "Info"}],
    "extensions": [
        {
            "name": "setup",
            "statuses": [
                {"code": "ProvisioningState/failed/1", "level": "Error", "message": "exit code 1"}
            ],
        }
    ],
}
PATH = f"/api/v1/scale_sets/{SUBSCRIPTION}/rg-web/web"


async def text(client: Client, path: str = "/metrics", **headers: str) -> str:
    response = await client.get(path, headers={"Accept-Encoding": "identity", **headers})
    assert response.status == 200
    return (await response.read()).decode()


async def test_the_page_holds_every_series_once_and_its_families_together(
    client: Client, case: WebCase
) -> None:
    case.source.pages["web"] = [page(instance(VIEW, instance_id="1"))]
    await case.poll()
    body = await text(client)
    found = samples(body)
    assert ("azure_vmss_exporter_targets", frozenset({("origin", "configured")})) in found
    names = [line.split()[2] for line in body.splitlines() if line.startswith("# TYPE ")]
    assert len(set(names)) == len(names)
    assert "azure_vmss_exporter_polls_total" in names
    assert sum(1 for name, _ in found if name == "azure_vmss_up") == 2


async def test_both_formats_hold_the_same_series(client: Client, case: WebCase) -> None:
    case.source.pages["web"] = [page(instance(VIEW, instance_id="1"))]
    await case.poll()
    plain = {key for key in samples(await text(client)) if "exporter" not in key[0]}
    answer = await text(client, Accept="application/openmetrics-text;version=1.0.0")
    assert answer.endswith("# EOF\n")
    assert answer.count("# EOF") == 1
    rich = {
        (sample.name, frozenset(sample.labels.items()))
        for family in openmetrics(answer)  # type: ignore[no-untyped-call] # theirs
        for sample in family.samples
        if "exporter" not in sample.name
    }
    assert plain == rich


async def test_counters_about_azure_have_the_header_of_their_format(
    client: Client, case: WebCase
) -> None:
    await case.poll()
    await case.poll()
    name = "azure_vmss_instance_creations"
    plain = await text(client)
    rich = await text(client, Accept="application/openmetrics-text;version=1.0.0")
    assert f"# TYPE {name}_total counter\n{name}_total{{" in plain
    assert f"# TYPE {name} counter\n{name}_total{{" in rich
    (family,) = [
        family
        for family in openmetrics(rich)  # type: ignore[no-untyped-call] # theirs
        if family.name == name
    ]
    assert (family.type, len(family.samples)) == ("counter", 2)
    for accept in ("text/plain", "application/openmetrics-text"):
        body = await text(client, f"/metrics?name[]={name}_total", Accept=accept)
        assert body.count("# TYPE") == 1
        assert f"{name}_total{{" in body
        assert "_total" not in await text(client, f"/metrics?name[]={name}", Accept=accept)


async def test_no_reader_makes_a_new_failure_code_count_but_time(
    client: Client, case: WebCase, clock: FakeClock
) -> None:
    async def count() -> float:
        page_text = await text(client, "/metrics?name[]=azure_vmss_provisioning_failures_total")
        return sum(samples(page_text).values())

    await case.poll()
    failed = instance({"statuses": [{"code": "ProvisioningState/failed/X"}]}, instance_id="1")
    case.source.pages["web"] = [page(failed)]
    await case.poll()
    for _ in range(3):
        await text(client)
        assert await count() == 0
    await clock.advance(NEW_CODE_WAITS)
    await case.poller.expire()
    assert await count() == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
async def test_the_content_type_is_exact(client: Client, accept: str, content_type: str) -> None:
    response = await client.get("/metrics", headers={"Accept": accept})
    assert response.headers["Content-Type"] == content_type


async def test_gzip_is_one_member(client: Client, case: WebCase) -> None:
    await case.poll()
    response = await client.get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    body = await response.read()
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    page_text = member.decompress(body)
    assert member.unused_data == b""
    assert member.eof
    assert b"azure_vmss_up" in page_text
    assert gzip.decompress(body) == page_text


async def test_name_filters_families_the_own_ones_too(client: Client, case: WebCase) -> None:
    await case.poll()
    body = await text(
        client, "/metrics?name[]=azure_vmss_up&name[]=azure_vmss_exporter_polls_total"
    )
    assert {name for name, _ in samples(body)} == {
        "azure_vmss_up",
        "azure_vmss_exporter_polls_total",
    }
    assert await text(client, "/metrics?name[]=novelty") == ""


async def test_counters_keep_their_filter_name_in_openmetrics(
    client: Client, case: WebCase
) -> None:
    await case.poll()
    body = await text(
        client,
        "/metrics?name[]=azure_vmss_exporter_polls_total",
        Accept="application/openmetrics-text",
    )
    assert "# TYPE azure_vmss_exporter_polls counter" in body
    assert "azure_vmss_exporter_polls_total{" in body


async def test_denied_families_are_gone_the_own_ones_too(client: Client, case: WebCase) -> None:
    await case.poll()
    body = await text(client)
    assert "azure_vmss_poll_duration_seconds" not in body
    assert "azure_vmss_exporter_config_hash" not in body


async def test_the_json_shows_every_status_with_its_message(client: Client, case: WebCase) -> None:
    case.source.pages["web"] = [page(instance(VIEW, instance_id="1"))]
    await case.poll()
    case.clock.wall += 30
    shown = json.loads(
        await text(client, PATH.upper().replace("/API/V1/SCALE_SETS", "/api/v1/scale_sets"))
    )
    assert shown["scale_set"] == "web"
    assert shown["up"] is True
    assert shown["age_seconds"] == 30
    assert shown["facts"]["location"] == "westeurope"
    assert "tags" not in shown["facts"]
    (machine,) = shown["instances"]
    assert machine["power_state"] == "running"
    assert [status.get("message") for status in machine["statuses"]] == [None, "exit code 1"]


async def test_the_json_of_a_set_without_data_has_no_empty_list(
    client: Client, case: WebCase
) -> None:
    case.source.pages["web"] = [TimedOut("the list took too long")]
    await case.poll()
    shown = json.loads(await text(client, PATH))
    assert shown["instances"] is None
    assert shown["up"] is False
    assert shown["poll_failure"]["reason"] == "timeout"
    assert "the list took too long" in shown["poll_failure"]["message"]


async def test_with_messages_off_the_json_has_the_reason_and_no_message(
    client: Client, case: WebCase
) -> None:
    case.source.pages["web"] = [TimedOut("the list took too long")]
    await case.poll()
    case.site.messages = False
    shown = json.loads(await text(client, PATH))
    assert shown["poll_failure"] == {"reason": "timeout", "message": None}
    case.site.messages = True
    shown = json.loads(await text(client, PATH))
    assert "the list took too long" in shown["poll_failure"]["message"]


async def test_the_json_of_a_set_without_a_failure_or_a_poll(client: Client, case: WebCase) -> None:
    shown = json.loads(await text(client, PATH))
    assert shown["poll_failure"] is None
    assert shown["age_seconds"] is None
    assert shown["last_success_timestamp_seconds"] is None
    assert shown["facts"] is None
    await case.poll()
    case.clock.wall -= 3600
    shown = json.loads(await text(client, PATH))
    assert shown["poll_failure"] is None
    assert shown["age_seconds"] == 0, "a clock that was set back makes no negative age"
    assert shown["last_success_timestamp_seconds"] == case.clock.wall + 3600
    assert shown["poll_interval_seconds"] == 60
    assert shown["labels"] == {}
    assert shown["instances"] == []
    assert set(shown["facts"]) == {
        "location",
        "sku",
        "capacity",
        "orchestration_mode",
        "upgrade_policy",
        "priority",
        "eviction_policy",
    }


async def test_after_a_reload_the_sets_are_the_new_ones(client: Client, case: WebCase) -> None:
    await case.poll()
    assert json.loads(await text(client, PATH))["scale_set"] == "web"
    case.polling.targets.remove(case.states[0].target.scale_set)
    assert (await client.get(PATH)).status == 404
    assert (
        json.loads(
            await text(client, PATH.replace("/web", "/batch").replace("rg-batch", "rg-web"))
        )["scale_set"]
        == "Batch"
    )


async def test_the_metrics_may_be_at_the_root_in_place_of_the_landing_page(case: WebCase) -> None:
    case.site.telemetry_path = "/"
    await case.poll()
    async with TestClient(TestServer(make_application(case.site))) as client:
        assert "azure_vmss_up" in await (await client.get("/")).text()
        assert (await client.get("/metrics")).status == 404


async def test_a_set_that_is_not_polled_is_404(client: Client) -> None:
    response = await client.get(
        "/api/v1/scale_sets/s/g/other", headers={"Accept-Encoding": "identity"}
    )
    assert (response.status, response.content_type) == (404, "application/problem+json")
    assert json.loads(await response.text())["status"] == 404


async def test_healthy_at_once_and_ready_when_every_set_was_tried(
    client: Client, case: WebCase
) -> None:
    for path in ("/-/healthy", "/healthz"):
        assert (await client.get(path)).status == 200
    for path in ("/-/ready", "/readyz"):
        assert (await client.get(path)).status == 503
    case.ready = True
    for path in ("/-/ready", "/readyz"):
        assert (await client.get(path)).status == 200


async def test_page_json_and_landing_page_agree_on_a_set_that_was_put_off_too_long(
    client: Client, case: WebCase, clock: FakeClock
) -> None:
    case.source.pages["web"] = [page(instance({}, instance_id="1"))]
    await case.poll()

    async def told() -> tuple[str, str, dict[str, object]]:
        metrics = await text(client, "/metrics?name[]=azure_vmss_up&name[]=azure_vmss_poll_failure")
        landing = await text(client, "/")
        found = json.loads(await text(client, f"/api/v1/scale_sets/{SUBSCRIPTION}/rg-web/web"))
        return metrics, landing, found

    metrics, landing, found = await told()
    assert 'scale_set="web"} 1\n' in metrics
    assert landing.count("poll failed") == 0
    assert (found["up"], found["poll_failure"]) == (True, None)

    case.source.pages["web"] = [NotSent("held", retry_after=900.0)]
    await clock.advance(600)
    await case.poller.poll(case.states[0])
    await case.poller.expire()
    metrics, landing, found = await told()
    assert 'scale_set="web"} 0\n' in metrics
    assert 'scale_set="web",reason="throttled"} 1\n' in metrics
    assert landing.count("poll failed: throttled") == 2
    assert found["up"] is False
    assert found["instances"] is None
    assert found["poll_failure"]["reason"] == "throttled"  # type: ignore[index] # an object


async def test_the_landing_page_names_the_sets_and_escapes(client: Client, case: WebCase) -> None:
    await case.poll()
    body = await text(client, "/")
    assert "azure-vmss-exporter 1&lt;2 " in body
    assert f'href="scale-sets/{SUBSCRIPTION}/rg-web/Batch"' in body


async def test_the_page_tells_its_own_size(client: Client, case: WebCase) -> None:
    await case.poll()
    await text(client)
    body = await text(client)
    found = samples(body)
    azure = [key for key in found if not key[0].startswith(("azure_vmss_exporter_",))]
    assert found["azure_vmss_exporter_series", frozenset()] == len(azure)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_written(client: Client, method: str) -> None:
    assert (await client.request(method, "/metrics")).status == 405


async def test_head_is_answered(client: Client) -> None:
    assert (await client.head("/metrics")).status == 200


async def test_a_swap_during_a_scrape_mixes_no_two_snapshots_of_a_set(
    case: WebCase,
) -> None:
    case.source.pages["web"] = [page(instance(VIEW, instance_id="1"))]
    await case.poll()
    served = await case.metrics_page.render(TEXT)
    chunks = served.plain_chunks(64)
    begin = next(chunks)
    case.source.pages["web"] = [page(*(instance({}, instance_id=str(n)) for n in range(2, 9)))]
    await case.poller.poll(case.states[0])
    found = samples(b"".join((begin, *chunks)).decode())
    counts = {
        value
        for (name, labels), value in found.items()
        if name == "azure_vmss_instances" and ("scale_set", "web") in labels
    }
    ids = {dict(labels)["instance_id"] for name, labels in found if "instance_id" in dict(labels)}
    assert (counts, ids) == ({1.0}, {"1"})


async def test_everybody_has_a_turn_between_the_chunks_of_a_page(
    client: Client, case: WebCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [instance(VIEW, instance_id=str(number)) for number in range(200)]
    case.source.pages["web"] = [page(*many)]
    await case.poll()
    written: list[int] = []
    write = web.StreamResponse.write

    async def note(response: web.StreamResponse, data: bytes) -> None:
        written.append(turns.count)
        await write(response, data)

    monkeypatch.setattr(application, "PAGE_CHUNK", 1000)
    monkeypatch.setattr(web.StreamResponse, "write", note)
    async with counted_turns() as turns:
        await text(client)
    assert len(written) > 20
    assert all(later > earlier for earlier, later in pairwise(written))
