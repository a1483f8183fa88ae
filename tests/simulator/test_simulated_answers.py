"""The answers have Azure's shape: compared with real ones, and with what is documented."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exporter.simulator import Fleet
from exporter.simulator.extensions import ExtensionState
from simulator.asking import EXPAND, SELECT, Ask, list_path
from support.answers import RECORDINGS, needs_recordings
from support.clock import FakeClock

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00")
RECORDED = sorted(Path(RECORDINGS).glob("recorded/vmss-list-select-*.json"))
# What only some recorded instances have, or only some of ours; no matter of the api-version.
SOMETIMES = {"vmHealth", "extensions", "disks", "computerName", "osName", "osVersion", "zones"}


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / "recorded" / f"{name}.json").read_text("utf-8"))


def keys(document: Any) -> set[str]:
    return {name for name in document if document[name] is not None}


def by_kind(view: dict[str, Any], kind: str) -> dict[str, Any]:
    """The status of an instance that begins with that kind."""
    found: dict[str, Any] = next(s for s in view["statuses"] if s["code"].startswith(f"{kind}/"))
    return found


@needs_recordings
@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_a_selected_item_has_the_keys_of_the_real_one(ask: Ask, file: Path) -> None:
    recording = recorded(file.stem)
    real = recording["response"]["body"]["value"][0]
    version = recording["request"]["api_version"]

    reply = await ask(list_path("files", version=version))

    item = reply.document["value"][0]
    assert keys(item) == keys(real)
    # An empty hardwareProfile comes and goes within the recordings of 2017-12-01.
    assert keys(item["properties"]) | {"hardwareProfile"} == keys(real["properties"]) | {
        "hardwareProfile"
    }
    assert type(item["properties"]["provisioningState"]) is type(
        real["properties"]["provisioningState"]
    )
    ours, theirs = (keys(one["properties"]["instanceView"]) for one in (item, real))
    assert theirs - SOMETIMES <= ours
    assert ours - SOMETIMES - {"rdpThumbPrint"} <= theirs | {"placementGroupId"}
    inner = item["properties"]["instanceView"]
    for real_status in real["properties"]["instanceView"]["statuses"]:
        kind = real_status["code"].partition("/")[0]
        assert keys(by_kind(inner, kind)) == keys(real_status)


@needs_recordings
@pytest.mark.parametrize("name", ["vmss-list-expand-2023-09-01", "vmss-list-expand-2024-03-01"])
async def test_a_whole_item_has_the_keys_of_the_real_one(ask: Ask, name: str) -> None:
    recording = recorded(name)
    real = recording["response"]["body"]["value"][0]
    version = recording["request"]["api_version"]

    item = (await ask(list_path("web", query=EXPAND, version=version))).document["value"][1]

    assert keys(item) == keys(real) | {"tags"}
    assert keys(item["properties"]) == keys(real["properties"])
    for part in ("osProfile", "storageProfile", "networkProfile", "hardwareProfile"):
        assert keys(item["properties"][part]) - {"linuxConfiguration"} == keys(
            real["properties"][part]
        ) - {"windowsConfiguration"}


@needs_recordings
async def test_a_flexible_item_is_as_bare_as_the_real_one(ask: Ask) -> None:
    real = recorded("flex-vmss-list-2023-03-01")["response"]["body"]["value"][0]

    item = (await ask(list_path("games", "rg-games", query=""))).document["value"][0]

    assert keys(item) == keys(real)
    assert item["zones"] == real["zones"] == [None]
    assert item["instanceId"] == item["name"]


async def test_select_trims_and_answers_false_for_the_latest_model(ask: Ask) -> None:
    item = (await ask(list_path("web", query=SELECT))).document["value"][0]

    assert set(item) == {"id", "instanceId", "properties"}
    assert set(item["properties"]) == {
        "latestModelApplied",
        "instanceView",
        "provisioningState",
        "hardwareProfile",
    }
    assert item["properties"]["latestModelApplied"] is False
    assert item["properties"]["hardwareProfile"] == {}


async def test_without_select_the_model_is_there_and_true(ask: Ask) -> None:
    items = (await ask(list_path("web", query=EXPAND))).document["value"]

    first, second = items[0], items[1]
    assert first["name"] == "web_0"
    assert first["sku"] == {"name": "Standard_D2s_v3", "tier": "Standard"}
    assert first["tags"] == {"team": "web"}
    assert first["properties"]["latestModelApplied"] is True
    assert first["properties"]["vmId"]
    assert first["properties"]["timeCreated"]
    assert first["properties"]["protectionPolicy"]["protectFromScaleIn"] is True
    assert "protectionPolicy" not in second["properties"]


async def test_without_expand_there_is_no_instance_view(ask: Ask) -> None:
    for query in ("", "$select=instanceView&"):
        item = (await ask(list_path("web", query=query))).document["value"][0]
        assert "instanceView" not in item["properties"]


async def test_statuses_alone_can_be_selected(ask: Ask) -> None:
    query = "$expand=instanceView&$select=instanceView/statuses&"
    item = (await ask(list_path("web", query=query))).document["value"][0]
    assert set(item["properties"]["instanceView"]) == {"statuses"}


async def test_the_oldest_versions_have_a_number_and_no_newer_field(ask: Ask) -> None:
    reply = await ask(list_path("web", version="2016-04-30-preview"))

    properties = reply.document["value"][0]["properties"]
    assert properties["provisioningState"] == 0
    view = properties["instanceView"]
    assert {"platformUpdateDomain", "platformFaultDomain", "vmAgent", "disks"} <= set(view)
    assert not {"vmHealth", "computerName", "hyperVGeneration"} & set(view)


async def test_times_have_seven_digits_and_a_power_state_has_none(ask: Ask) -> None:
    view = (await ask(list_path("web"))).document["value"][0]["properties"]["instanceView"]

    assert TIME.fullmatch(by_kind(view, "ProvisioningState")["time"])
    assert TIME.fullmatch(view["disks"][0]["statuses"][0]["time"])
    assert TIME.fullmatch(view["vmHealth"]["status"]["time"])
    assert by_kind(view, "PowerState") == {
        "code": "PowerState/running",
        "level": "Info",
        "displayStatus": "VM running",
    }


async def test_what_a_test_sets_by_hand_is_what_azure_answers(ask: Ask, fleet: Fleet) -> None:
    instance = fleet.scale_set("web").instances["0"]
    instance.power = "deallocated"
    instance.agent = "absent"
    instance.provisioning = "failed/AllocationFailed"
    instance.provisioning_message = "No room."
    instance.health = None

    item = (await ask(list_path("web"))).document["value"][0]

    view = item["properties"]["instanceView"]
    assert by_kind(view, "PowerState")["displayStatus"] == "VM deallocated"
    failed = by_kind(view, "ProvisioningState")
    assert (failed["code"], failed["level"], failed["message"]) == (
        "ProvisioningState/failed/AllocationFailed",
        "Error",
        "No room.",
    )
    assert item["properties"]["provisioningState"] == "Failed"
    assert not {"vmAgent", "vmHealth", "computerName"} & set(view)
    assert view["extensions"] == [{"name": "HealthExtension"}, {"name": "CustomScript"}]


async def test_an_unavailable_agent_has_the_time_of_the_answer(
    ask: Ask, fleet: Fleet, clock: FakeClock
) -> None:
    fleet.scale_set("web").instances["0"].agent = "unavailable"
    await clock.advance(5)

    view = (await ask(list_path("web"))).document["value"][0]["properties"]["instanceView"]

    assert view["vmAgent"]["vmAgentVersion"] == "Unknown"
    status = view["vmAgent"]["statuses"][0]
    assert status["code"] == "ProvisioningState/Unavailable"
    assert status["time"] == "2027-01-15T08:00:05+00:00"


async def test_a_broken_extension_tells_its_code_and_message(ask: Ask, fleet: Fleet) -> None:
    fleet.scale_set("web").instances["0"].extensions["CustomScript"] = ExtensionState(
        "failed/7", "It broke."
    )

    view = (await ask(list_path("web"))).document["value"][0]["properties"]["instanceView"]

    script = next(one for one in view["extensions"] if one["name"] == "CustomScript")
    assert script["statuses"][0]["code"] == "ProvisioningState/failed/7"
    assert script["statuses"][0]["level"] == "Error"
    assert script["statuses"][0]["message"] == "It broke."


async def test_a_windows_disk_is_encrypted_and_has_a_thumbprint_beside_it(ask: Ask) -> None:
    view = (await ask(list_path("files"))).document["value"][0]["properties"]["instanceView"]

    codes = [status["code"] for status in view["disks"][0]["statuses"]]
    assert codes == ["ProvisioningState/succeeded", "EncryptionState/encrypted"]
    assert view["disks"][0]["encryptionSettings"][0]["enabled"] is True
    assert re.fullmatch(r"[0-9A-F]{40}", view["rdpThumbPrint"])
    assert view["osName"].startswith("Windows")


async def test_the_group_changes_its_letter_case_from_minute_to_minute(
    ask: Ask, clock: FakeClock
) -> None:
    spellings = set()
    for _ in range(2):
        item = (await ask(list_path("web"))).document["value"][0]
        spellings.add(item["id"].split("/")[4])
        await clock.advance(60)
    assert spellings == {"rg-web", "RG-WEB"}


async def test_paths_are_read_without_letter_case(ask: Ask) -> None:
    path, _, query = list_path("web").partition("?")
    assert (await ask(f"{path.upper()}?{query}")).ids == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("properties/latestModelApplied%20eq%20true", 1),
        ("properties/latestModelApplied%20eq%20false", 1),
        ("startswith(instanceView/statuses/code,%20'PowerState')%20eq%20true", 1),
    ],
)
async def test_filters_leave_out_what_does_not_match(
    ask: Ask, fleet: Fleet, text: str, count: int
) -> None:
    files = fleet.scale_set("files").instances
    files["0"].latest_model = False
    files["0"].power = None

    reply = await ask(list_path("files", query=f"$filter={text}&{SELECT}"))

    assert len(reply.ids) == count
