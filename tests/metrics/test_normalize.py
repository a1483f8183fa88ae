"""Where Azure says two things of one kind the worst counts, whichever comes first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest

from exporter.metrics.statuses import timestamp_of, timestamp_text
from support.answers import instance, map_instances, text_of

GOOD = {"code": "ProvisioningState/succeeded", "level": "Info", "time": "2024-07-08T09:00:00Z"}
BAD = {"code": "ProvisioningState/failed/7", "level": "Error", "time": "2024-07-08T07:00:00Z"}
UPDATING = {"code": "ProvisioningState/updating", "level": "Warning"}


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("statuses", list(permutations((GOOD, BAD, UPDATING))))
def test_an_instance_of_which_one_status_says_failed_has_failed(
    statuses: tuple[dict[str, Any], ...],
) -> None:
    mapped = map_instances(instance({"statuses": list(statuses)}))
    failed = 'azure_vmss_instance_provisioning_state{instance_id="0",state="failed"} 1\n'
    assert failed in text_of(mapped, "azure_vmss_instance_provisioning_state")
    assert 'code="7"} 1\n' in text_of(mapped, "azure_vmss_instance_provisioning_failure")
    assert 'status="provisioning_state"} 2\n' in text_of(mapped, "azure_vmss_instance_status_level")
    counted = text_of(mapped, "azure_vmss_instances_by_provisioning_state")
    assert '{state="failed"} 1\n' in counted
    assert '{state="succeeded"} 0\n' in counted
    moment = text_of(mapped, "azure_vmss_instance_status_timestamp_seconds")
    assert moment.endswith(f" {timestamp_text(BAD['time'])}\n"), "time and state of one status"


@pytest.mark.parametrize("statuses", list(permutations((GOOD, BAD, UPDATING))))
def test_an_extension_of_which_one_status_says_failed_has_failed(
    statuses: tuple[dict[str, Any], ...],
) -> None:
    split = [
        {"name": "script", "statuses": list(statuses[:1])},
        {"name": "script", "statuses": list(statuses[1:])},
    ]
    for extensions in (split, [{"name": "script", "statuses": list(statuses)}]):
        mapped = map_instances(instance({"extensions": extensions}))
        assert 'state="failed"} 1\n' in text_of(mapped, "azure_vmss_extension_state")
        assert text_of(mapped, "azure_vmss_extension_status_level").endswith(" 2\n")
        assert text_of(mapped, "azure_vmss_extension_status_code").endswith(" 7\n")
        moment = text_of(mapped, "azure_vmss_extension_status_timestamp_seconds")
        assert moment.endswith(f" {timestamp_text(BAD['time'])}\n")
        counted = text_of(mapped, "azure_vmss_extension_instances")
        assert '{extension="script",level="error"} 1\n' in counted
        assert '{extension="script",level="info"} 0\n' in counted


@pytest.mark.parametrize("statuses", list(permutations((GOOD, BAD, UPDATING))))
def test_a_disk_of_which_one_status_says_failed_has_failed(
    statuses: tuple[dict[str, Any], ...],
) -> None:
    encryption = {"code": "EncryptionState/encrypted", "level": "Error"}
    disk = {"name": "os", "statuses": [encryption, *statuses]}
    mapped = map_instances(instance({"disks": [disk]}))
    assert 'state="failed"} 1\n' in text_of(mapped, "azure_vmss_disk_state")
    assert text_of(mapped, "azure_vmss_disk_status_level").endswith(" 2\n")
    moment = text_of(mapped, "azure_vmss_disk_status_timestamp_seconds")
    assert moment.endswith(f" {timestamp_text(BAD['time'])}\n")
    assert 'state="encrypted"} 1\n' in text_of(mapped, "azure_vmss_disk_encryption_state")


@pytest.mark.parametrize("first", [0, 1])
def test_the_worst_disk_of_an_instance_counts(first: int) -> None:
    disks = [{"name": "a", "statuses": [GOOD]}, {"name": "b", "statuses": [BAD]}]
    mapped = map_instances(instance({"disks": [disks[first], disks[1 - first]]}))
    counted = text_of(mapped, "azure_vmss_disk_instances")
    assert 'level="error"} 1\n' in counted
    assert 'level="info"} 0\n' in counted


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize(
    "text", ["2024-07-08T07:27:29", "2024-07-08T07:27:29.5", "2024-07-08 07:27:29"]
)
def test_a_time_without_an_offset_is_utc_wherever_the_exporter_runs(text: str) -> None:
    assert time.timezone != 0, "or the test says nothing"
    moment = timestamp_of(text)
    assert moment == timestamp_of(f"{text}Z")
    assert moment is not None
    assert int(moment) == 1720423649


@pytest.mark.parametrize("code", [None, "", "/", "ProvisioningState", "ProvisioningState/"])
def test_a_code_without_a_state_is_unknown_wherever_azures_own_word_is_served(
    code: str | None,
) -> None:
    own = {"code": code, "level": "Info"}
    view = {
        "vmAgent": {
            "statuses": [own],
            "extensionHandlers": [{"type": "h", "status": own}],
        },
        "extensions": [{"name": "e", "statuses": [own]}],
        "disks": [{"name": "d", "statuses": [own]}] if code and code.startswith("P") else [],
    }
    mapped = map_instances(instance(view))
    families = ["vm_agent_state", "extension_handler_state", "extension_state"]
    families += ["disk_state"] if view["disks"] else []
    for family in families:
        text = text_of(mapped, f"azure_vmss_{family}")
        assert text.endswith('state="unknown"} 1\n'), family
    assert '{state="unknown"} 1\n' in text_of(mapped, "azure_vmss_instances_by_vm_agent_state")


def test_every_level_that_is_not_known_is_counted_wherever_it_stands() -> None:
    odd = {"code": "HealthState/healthy", "level": "Grave"}
    view = {
        "statuses": [odd],
        "vmHealth": {"status": odd},
        "vmAgent": {
            "statuses": [odd],
            "extensionHandlers": [{"type": "h", "status": odd}],
        },
        "extensions": [{"name": "e", "statuses": [odd], "substatuses": [odd]}],
        "disks": [{"name": "d", "statuses": [odd]}],
    }
    assert map_instances(instance(view)).unknown_codes == 7
    for part in ("statuses", "vmHealth", "vmAgent", "extensions", "disks"):
        assert map_instances(instance({part: view[part]})).unknown_codes in (1, 2), part


def test_the_size_of_the_machine_itself_counts_before_that_of_its_sku_and_the_first_zone() -> None:
    both = instance(
        {},
        sku={"name": "Standard_A1"},
        zones=[None, "", "2", "1"],
        properties={"hardwareProfile": {"vmSize": "Standard_D2"}},
    )
    mapped = map_instances(both)
    assert 'vm_size="Standard_D2"' in text_of(mapped, "azure_vmss_instance_info")
    placement = text_of(mapped, "azure_vmss_instance_placement_info")
    assert 'availability_zone="2"' in placement
    empty = instance({}, sku={"name": "Standard_A1"}, properties={"hardwareProfile": {}})
    assert 'vm_size="Standard_A1"' in text_of(map_instances(empty), "azure_vmss_instance_info")


@pytest.mark.parametrize(
    ("codes", "unsettled"),
    [
        (["ProvisioningState/updating", "PowerState/running"], 1),
        (["ProvisioningState/deleting", "PowerState/running"], 1),
        (["ProvisioningState/creating"], 1),
        (["ProvisioningState/migrating"], 1),
        (["ProvisioningState/succeeded", "PowerState/starting"], 1),
        (["ProvisioningState/succeeded", "PowerState/running"], 0),
        (["ProvisioningState/failed", "PowerState/deallocated"], 0),
        ([], 0),
    ],
)
def test_an_instance_in_a_state_that_should_pass_is_not_settled(
    codes: list[str], unsettled: int
) -> None:
    view = {"statuses": [{"code": code} for code in codes]}
    assert map_instances(instance(view)).unsettled == unsettled
