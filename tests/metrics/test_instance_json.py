"""The JSON of a set's instances: everything that Azure said, and nothing that nobody may see."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.azure.decode import WHOLE_BYTES, decode_instance_page
from exporter.metrics.instance_json import ItemStore, describe
from exporter.metrics.mapper import MappedInstances, Mapper, TargetMemory
from exporter.redaction import MASK
from support.answers import (
    SUBSCRIPTION,
    WEB,
    WEB_TARGET,
    described,
    instance,
    map_instances,
)

EVERYTHING: dict[str, Any] = {
    "instanceId": "7",
    "id": f"{WEB.resource_id}/virtualMachines/7",
    "name": "web_7",
    "location": "westeurope",
    "zones": ["2", "3"],
    "sku": {"name": "Standard_D2s_v5", "tier": "Standard"},
    "tags": {"team": "web"},
    "properties": {
        "latestModelApplied": True,
        "vmId": "7a1b",
        "timeCreated": "2026-11-01T00:00:00Z",
        "hardwareProfile": {"vmSize": "Standard_D4s_v5"},
        "protectionPolicy": {"protectFromScaleIn": True},
        "somethingNew": {"of": ["next", {"year": 2}]},
        "instanceView": {
            "rdpThumbPrint": "AB12CD34",
            "assignedHost": "/hosts/h1",
            "computerName": "web000007",
            "osName": "ubuntu",
            "osVersion": "24.04",
            "hyperVGeneration": "V2",
            "bootDiagnostics": {
                "serialConsoleLogBlobUri": "https://a.blob/x?sv=1&sig=abc%2Bdef%3D&se=2",
                "status": {"code": "BootDiagnostics/failed", "message": "no account"},
            },
            "maintenanceRedeployStatus": {"lastOperationMessage": "moved at night"},
            "patchStatus": {
                "availablePatchSummary": {"rebootPending": True, "criticalAndSecurityPatchCount": 3}
            },
            "vmHealth": {"status": {"code": "HealthState/unhealthy", "message": "HTTP 500"}},
            "vmAgent": {
                "vmAgentVersion": "2.9.1",
                "extensionHandlers": [
                    {"type": "Microsoft.Azure.Extensions.Script", "typeHandlerVersion": "2.1.10"}
                ],
            },
            "extensions": [
                {"name": "script", "type": "CustomScript", "typeHandlerVersion": "2.1"},
                {"name": "bare"},
            ],
            "statuses": [
                {"code": "PowerState/running", "level": "Info", "displayStatus": "VM running"}
            ],
        },
    },
}


def map_items(*items: Any, messages: bool = True, mapper: Mapper | None = None) -> MappedInstances:
    """A walk of one page, from its bytes on."""
    mapper = mapper or Mapper(messages=messages)
    mapping = mapper.start(WEB_TARGET, TargetMemory())
    for page in decode_instance_page(json.dumps({"value": items}).encode(), scale_set=WEB):
        for _ in mapping.steps(page):
            pass
    return mapping.finish()


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    else:
        yield path, value


def test_everything_that_azure_said_is_there() -> None:
    (found,) = described(map_items(EVERYTHING))
    wanted = dict(leaves(EVERYTHING))
    uri = ".properties.instanceView.bootDiagnostics.serialConsoleLogBlobUri"
    wanted[uri] = f"https://a.blob/x?sv=1&sig={MASK}&se=2"
    assert dict(leaves(found["azure"])) == wanted


def test_the_computed_fields_stand_beside_it() -> None:
    (found,) = described(map_items(EVERYTHING))
    del found["azure"], found["statuses"]
    assert found == {
        "instance_id": "7",
        "instance_name": "web_7",
        "computer_name": "web000007",
        "power_state": "running",
        "provisioning_state": "unknown",
        "health_state": "unhealthy",
        "availability_zone": "2",
        "vm_id": "7a1b",
        "vm_agent_version": "2.9.1",
    }


def statuses(*messages: str) -> dict[str, Any]:
    return {
        "extensions": [
            {
                "name": "script",
                "substatuses": [
                    {"code": "ComponentStatus/StdOut/succeeded", "message": message}
                    for message in messages
                ],
            }
        ]
    }


@pytest.mark.parametrize("length", [1, 256, 257, 500, 1023, 1024])
def test_a_message_of_up_to_a_kilobyte_comes_through_whole(length: int) -> None:
    item = {"instanceId": "0", "properties": {"instanceView": statuses("x" * length)}}
    (found,) = described(map_items(item))
    assert found["statuses"][0]["message"] == "x" * length
    (extension,) = found["azure"]["properties"]["instanceView"]["extensions"]
    assert extension["substatuses"][0]["message"] == "x" * length


@pytest.mark.parametrize("message", ["x" * 1025, "é" * 600, "日" * 5000])
def test_a_longer_message_is_cut_at_a_kilobyte(message: str) -> None:
    item = {"instanceId": "0", "properties": {"instanceView": statuses(message)}}
    (found,) = described(map_items(item))
    cut = found["statuses"][0]["message"]
    assert 1020 <= len(cut.encode()) <= 1024
    assert cut[:-1] == message[: len(cut) - 1]
    assert cut.endswith("…")


def test_what_an_extension_prints_shows_no_secret_and_controls_no_terminal() -> None:
    printed = "export DB_PASSWORD=hunter2\n\x1b[2Jhttps://a/?sig=hunter2\u202e done\r\nBearer hunter2hunter2"
    item = {"instanceId": "0", "properties": {"instanceView": statuses(printed)}}
    (found,) = described(map_items(item))
    text = json.dumps(found)
    assert "hunter2" not in text
    assert "\\u001b" not in text
    assert "\\u202e" not in text
    assert found["statuses"][0]["message"].splitlines()[0] == f"export DB_PASSWORD={MASK}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("adminPassword", "hunter2"),
        ("clientSecret", "hunter2"),
        ("sasToken", "hunter2"),
        ("storageAccountKey", "hunter2"),
        ("connectionString", "hunter2"),
        ("protectedSettings", {"commandToExecute": "hunter2"}),
        ("customData", "aHVudGVyMg== hunter2"),
    ],
)
def test_a_field_that_is_a_secret_by_its_name_is_masked(name: str, value: Any) -> None:
    (found,) = described(map_items({"instanceId": "0", "properties": {"osProfile": {name: value}}}))
    assert found["azure"]["properties"]["osProfile"] == {name: MASK}


def test_a_field_that_only_speaks_of_secrets_is_shown() -> None:
    profile = {"secrets": [], "disablePasswordAuthentication": True, "adminPassword": None}
    (found,) = described(map_items({"instanceId": "0", "properties": {"osProfile": profile}}))
    assert found["azure"]["properties"]["osProfile"] == profile


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "left out before"])
def test_messages_that_are_switched_off_are_nowhere(kept: bool) -> None:  # noqa: FBT001
    mapped = map_items(EVERYTHING, messages=kept)
    (found,) = described(mapped, messages=False)
    text = json.dumps(found)
    for message in ("no account", "moved at night", "HTTP 500"):
        assert message not in text
    assert "HealthState/unhealthy" in text
    assert not any("message" in status for status in found["statuses"])


def test_messages_that_are_switched_off_are_not_kept() -> None:
    awkward = r'with \"quotes\", a \\ and "message":"more'
    item = {"instanceId": "0", "properties": {"instanceView": statuses(awkward, "plain")}}
    mapped = map_items(item, EVERYTHING, messages=False)
    text = json.dumps(described(mapped))
    for message in ("quotes", "more", "plain", "no account", "moved at night", "HTTP 500"):
        assert message not in text
    assert text.count("ComponentStatus/StdOut/succeeded") == 4


def test_instances_are_named_as_they_are_served_and_come_once() -> None:
    store = ItemStore()
    body = (
        b'{"value":[{"instanceId":"a_B"},{"instanceId":"A_b","name":"x"},{"instanceId":"2"},5,{}]}'
    )
    for page in decode_instance_page(body):
        store.add(page)
    chunks = describe(store.finish(), scale_set=WEB, spellings={"a_b": "A_B"}, messages=True)
    found = json.loads(b"".join(chunks))
    assert [one["instance_id"] for one in found] == ["A_B", "2"]


@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_the_array_is_whole_however_many_chunks_it_has(count: int) -> None:
    items = [{**EVERYTHING, "instanceId": str(number), "id": None} for number in range(count)]
    mapped = map_items(*items)
    assert [one["instance_id"] for one in described(mapped)] == [str(n) for n in range(count)]


def test_no_more_is_inflated_than_the_next_piece_needs() -> None:
    store = ItemStore()
    item = {**EVERYTHING, "tags": {"of no use here": "x" * 20_000}}
    body = json.dumps({"value": [{**item, "instanceId": str(n), "id": None} for n in range(500)]})
    for page in decode_instance_page(body.encode()):
        store.add(page)
    stored = store.finish()
    tracemalloc.start()
    try:
        first = next(iter(describe(stored, scale_set=WEB, spellings={}, messages=True)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert first
    assert len(stored) < 400_000
    assert peak < 1_000_000, "ten million bytes are stored"


def test_an_item_of_a_large_page_is_kept_too() -> None:
    items = [{**EVERYTHING, "instanceId": str(number), "id": None} for number in range(2)]
    items[0]["padding"] = "x" * WHOLE_BYTES
    found = described(map_items(*items))
    assert [one["azure"]["tags"] for one in found] == [{"team": "web"}] * 2
    assert len(found[0]["azure"]["padding"].encode()) == 1024


@pytest.mark.parametrize(
    "odd",
    ['{"a":1e999}', '{"a":123456789012345678901234567890}', '"\\ud800"', "[" * 200 + "]" * 200],
    ids=["a number without end", "a large number", "half a character", "a deep list"],
)
def test_a_value_that_cannot_be_shown_never_hides_the_instance(odd: str) -> None:
    body = f'{{"value":[{{"instanceId":"0","odd":{odd}}}]}}'.encode()
    mapping = Mapper().start(WEB_TARGET, TargetMemory())
    for page in decode_instance_page(body):
        for _ in mapping.steps(page):
            pass
    (found,) = described(mapping.finish())
    assert found["instance_id"] == "0"


def test_instances_without_their_text_are_shown_by_what_was_read() -> None:
    (found,) = described(map_instances(instance({"osName": "ubuntu"}, instance_id="3")))
    assert found["azure"]["properties"]["instanceView"]["osName"] == "ubuntu"
    assert SUBSCRIPTION not in json.dumps(found)
