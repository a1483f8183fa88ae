"""`/sd`: these answers of Azure → these target groups; and no list that deletes targets."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from exporter.azure.errors import NotFound, TimedOut
from exporter.metrics.instance_json import read_items
from exporter.model.scale_set import ScaleSetModel
from exporter.polling import target_state
from support.answers import SUBSCRIPTION, instance
from support.site import WebCase
from support.source import page

Client = TestClient[web.Request, web.Application]
VIEW = {
    "computerName": "web000000",
    "platformFaultDomain": 2,
    "statuses": [{"code": "PowerState/running"}, {"code": "ProvisioningState/succeeded"}],
}


async def groups(client: Client, status: int = 200) -> list[dict[str, Any]]:
    answer = await client.get("/sd", headers={"Accept-Encoding": "identity"})
    assert answer.status == status
    if status != 200:
        return []
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    found: list[dict[str, Any]] = json.loads(await answer.text())
    return found


async def targets(client: Client) -> list[str]:
    return [group["targets"][0] for group in await groups(client)]


@pytest.fixture
def served(case: WebCase) -> WebCase:
    case.site.tags = ("team", "env")
    case.source.models["web"] = ScaleSetModel(location="West US 2", tags={"Team": "a"})
    properties = {"vmId": "v", "hardwareProfile": {"vmSize": "Standard_D2s_v5"}}
    case.source.pages["web"] = [page(instance(VIEW, instance_id="0", properties=properties))]
    case.source.pages["Batch"] = [page(instance({}, instance_id="7"))]
    case.ready = True
    return case


async def test_every_instance_is_a_group_with_what_is_known_of_it(
    client: Client, served: WebCase
) -> None:
    await served.poll()
    first, second = await groups(client)
    prefix = "__meta_azure_vmss_"
    labels = {name.removeprefix(prefix): value for name, value in first["labels"].items()}
    assert first["targets"] == ["web000000"]
    assert labels == {
        "subscription_id": SUBSCRIPTION,
        "resource_group": "rg-web",
        "scale_set": "web",
        "orchestration_mode": "uniform",
        "location": "westus2",
        "tag_team": "a",
        "tag_env": "",
        "instance_id": "0",
        "instance_name": "web_0",
        "computer_name": "web000000",
        "power_state": "running",
        "provisioning_state": "succeeded",
        "health_state": "",
        "availability_zone": "",
        "fault_domain": "2",
        "vm_size": "Standard_D2s_v5",
        "vm_id": "v",
    }
    assert second["targets"] == ["Batch_7"], "without a computer name"
    assert all(isinstance(value, str) for value in second["labels"].values())


async def test_there_is_no_list_before_every_set_was_tried_or_without_any_answer(
    client: Client, served: WebCase
) -> None:
    served.ready = False
    await groups(client, status=503)
    served.ready = True
    await groups(client, status=503)
    served.source.pages["web"] = served.source.pages["Batch"] = [TimedOut("late")]
    await served.poll()
    await groups(client, status=503)


async def test_a_fleet_that_is_empty_is_an_empty_list(client: Client, served: WebCase) -> None:
    served.source.pages["web"] = served.source.pages["Batch"] = [page()]
    await served.poll()
    assert await groups(client) == []
    for state in served.states:
        served.polling.targets.remove(state.target.scale_set)
    assert await groups(client) == []


async def test_targets_outlive_an_outage_and_go_with_their_set(
    client: Client, served: WebCase
) -> None:
    await served.poll()
    assert await targets(client) == ["web000000", "Batch_7"]
    served.source.pages["web"] = [TimedOut("late")]
    await served.poll()
    await served.clock.advance(3600)
    await served.poller.expire()
    assert served.states[0].data.snapshot is None
    assert await targets(client) == ["web000000", "Batch_7"]
    served.source.pages["web"] = [NotFound("gone", missing="scale set", removes=True)]
    for _ in range(3):
        await served.poll()
        await served.clock.advance(200)
    assert await targets(client) == ["Batch_7"]
    served.polling.targets.remove(served.states[1].target.scale_set)
    served.polling.targets.remove(served.states[0].target.scale_set)
    assert await targets(client) == []


async def test_a_walk_is_read_once_however_often_it_is_asked_for(
    client: Client, served: WebCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[None] = []

    def counted(*args: Any, **more: Any) -> Any:
        reads.append(None)
        return read_items(*args, **more)

    monkeypatch.setattr(target_state, "read_items", counted)
    await served.poll()
    for _ in range(3):
        await groups(client)
    assert len(reads) == 2
    await served.clock.advance(60)
    await served.poll()
    await groups(client)
    assert len(reads) == 4


async def test_odd_text_stays_a_bounded_label(client: Client, served: WebCase) -> None:
    odd = instance({"computerName": "a\u202eb\n" + "x" * 1000}, instance_id="0")
    served.source.pages["web"] = [page(odd, *[instance({}, instance_id=str(n)) for n in range(50)])]
    await served.poll()
    found = await groups(client)
    assert len(found) == 51
    (name,) = found[0]["targets"]
    assert len(name.encode()) <= 256
    assert "\u202e" not in name


async def test_what_a_poll_found_is_let_go_with_the_next_whoever_asked_for_a_list(
    client: Client, served: WebCase
) -> None:
    await served.poll()
    await groups(client)
    snapshot = served.states[0].data.snapshot
    assert snapshot is not None
    mapped = [snapshot.mapped]
    del snapshot
    await served.clock.advance(60)
    await served.poll()
    gc.collect()
    assert gc.get_referrers(*mapped) == [mapped]
