"""Each test: this answer of Azure gives this exposition text."""

from __future__ import annotations

import re
from typing import Any

import pytest

from exporter.metrics.field_families import family_of
from exporter.metrics.mapper import Mapper, TargetMemory
from exporter.model.instance_view import Problem
from support.answers import WEB_TARGET, instance, lines_of, map_instances, text_of


def status(code: str | None, level: str | None = "Info", **more: Any) -> dict[str, Any]:
    return {"code": code, "level": level, **more}


def test_a_power_state_is_a_state_set_with_one_series_per_known_state() -> None:
    mapped = map_instances(instance({"statuses": [status("PowerState/running")]}))
    assert text_of(mapped, "azure_vmss_instance_power_state") == (
        'azure_vmss_instance_power_state{instance_id="0",state="creating"} 0\n'
        'azure_vmss_instance_power_state{instance_id="0",state="starting"} 0\n'
        'azure_vmss_instance_power_state{instance_id="0",state="running"} 1\n'
        'azure_vmss_instance_power_state{instance_id="0",state="stopping"} 0\n'
        'azure_vmss_instance_power_state{instance_id="0",state="stopped"} 0\n'
        'azure_vmss_instance_power_state{instance_id="0",state="deallocating"} 0\n'
        'azure_vmss_instance_power_state{instance_id="0",state="deallocated"} 0\n'
        'azure_vmss_instance_power_state{instance_id="0",state="unknown"} 0\n'
    )


def test_active_state_sets_serve_only_the_state_that_holds() -> None:
    mapped = map_instances(
        instance({"statuses": [status("PowerState/Stopped")]}), mapper=Mapper(state_sets="active")
    )
    assert text_of(mapped, "azure_vmss_instance_power_state") == (
        'azure_vmss_instance_power_state{instance_id="0",state="stopped"} 1\n'
    )


@pytest.mark.parametrize(
    "view",
    [
        None,
        {},
        {"statuses": None},
        {"statuses": []},
        {"statuses": [None]},
        {"statuses": [status(None)]},
        {"statuses": [status("")]},
        {"statuses": [status("PowerState")]},
        {"statuses": [status("PowerState/")]},
        {"statuses": [status("PowerState/hibernated")]},
    ],
)
def test_without_a_known_power_state_an_instance_is_unknown_and_still_counts(view: Any) -> None:
    mapped = map_instances(instance(view), mapper=Mapper(state_sets="active"))
    assert text_of(
        mapped, "azure_vmss_instance_power_state", "azure_vmss_instances_by_power_state"
    ) == (
        'azure_vmss_instance_power_state{instance_id="0",state="unknown"} 1\n'
        'azure_vmss_instances_by_power_state{state="creating"} 0\n'
        'azure_vmss_instances_by_power_state{state="starting"} 0\n'
        'azure_vmss_instances_by_power_state{state="running"} 0\n'
        'azure_vmss_instances_by_power_state{state="stopping"} 0\n'
        'azure_vmss_instances_by_power_state{state="stopped"} 0\n'
        'azure_vmss_instances_by_power_state{state="deallocating"} 0\n'
        'azure_vmss_instances_by_power_state{state="deallocated"} 0\n'
        'azure_vmss_instances_by_power_state{state="unknown"} 1\n'
    )


@pytest.mark.parametrize(
    ("statuses", "fallback", "state"),
    [
        (["ProvisioningState/creating/osProvisioningInProgress"], None, "creating"),
        (["ProvisioningState/succeeded/osProvisioningComplete"], None, "succeeded"),
        (["provisioningstate/UPDATING"], None, "updating"),
        (["ProvisioningState/deleting"], "Succeeded", "deleting"),
        ([], "Succeeded", "succeeded"),
        ([], "Migrating", "migrating"),
        ([], 0, "unknown"),
        ([], None, "unknown"),
        ([], "Pondering", "unknown"),
        (["ProvisioningState/pondering"], "Succeeded", "unknown"),
        (["ProvisioningState/"], "Succeeded", "succeeded"),
        (["ProvisioningState"], "Failed", "failed"),
        (["ProvisioningState/"], 0, "unknown"),
    ],
)
def test_the_provisioning_state_comes_from_the_statuses_else_from_the_properties(
    statuses: list[str], fallback: Any, state: str
) -> None:
    mapped = map_instances(
        instance(
            {"statuses": [status(code) for code in statuses]},
            properties={"provisioningState": fallback},
        ),
        mapper=Mapper(state_sets="active"),
    )
    assert text_of(mapped, "azure_vmss_instance_provisioning_state") == (
        f'azure_vmss_instance_provisioning_state{{instance_id="0",state="{state}"}} 1\n'
    )


@pytest.mark.parametrize(
    ("code", "fallback", "served"),
    [
        ("ProvisioningState/failed/AllocationFailed", None, "allocationfailed"),
        ("ProvisioningState/failed", None, "unspecified"),
        ("ProvisioningState/failed/", None, "unspecified"),
        ("ProvisioningState/Failed/a/b", None, "a/b"),
        (None, "Failed", "unspecified"),
    ],
)
def test_a_failure_is_served_by_its_code(code: str, fallback: Any, served: str) -> None:
    mapped = map_instances(
        instance({"statuses": [status(code, "Error")]}, properties={"provisioningState": fallback})
    )
    assert text_of(mapped, "azure_vmss_instance_provisioning_failure") == (
        f'azure_vmss_instance_provisioning_failure{{instance_id="0",code="{served}"}} 1\n'
    )


def test_no_failure_series_without_a_failure() -> None:
    mapped = map_instances(instance({"statuses": [status("ProvisioningState/succeeded")]}))
    assert "azure_vmss_instance_provisioning_failure" not in mapped.all_lines


def test_beyond_a_hundred_failure_codes_a_set_shows_other_and_known_codes_stay() -> None:
    memory = TargetMemory()
    many = [
        instance(
            {"statuses": [status(f"ProvisioningState/failed/Code{number}")]},
            instance_id=str(number),
        )
        for number in range(102)
    ]
    first = text_of(map_instances(*many, memory=memory), "azure_vmss_instance_provisioning_failure")
    again = text_of(
        map_instances(*reversed(many), memory=memory), "azure_vmss_instance_provisioning_failure"
    )
    assert first.count('code="other"') == 2
    assert sorted(first.splitlines()) == sorted(again.splitlines())


def test_the_spelling_of_an_instance_that_is_gone_is_forgotten() -> None:
    memory = TargetMemory()
    for number in range(3):
        map_instances(instance({}, instance_id=f"vm-{number}"), memory=memory)
        assert memory.spellings == {f"vm-{number}": f"vm-{number}"}
    again = map_instances(instance({}, instance_id="VM-0"), memory=memory)
    assert 'instance_id="VM-0"' in text_of(again, "azure_vmss_instance_power_state")


@pytest.mark.parametrize("number", [99, 100, 101, 250])
def test_gauge_and_counter_know_the_same_codes(number: int) -> None:
    mapper, memory = Mapper(), TargetMemory()
    failed = [
        instance(
            {"statuses": [status(f"ProvisioningState/failed/Code{code}")]}, instance_id=str(code)
        )
        for code in range(number)
    ]
    # One after the other, and then all at once: what the counter has named the gauge names.
    for one in failed:
        map_instances(one, memory=memory, mapper=mapper)
    for instances in (failed, failed[::-1], [*failed, instance({}, instance_id="x")]):
        mapped = map_instances(*instances, memory=memory, mapper=mapper)
        gauge = codes(lines_of(mapped, "azure_vmss_instance_provisioning_failure"))
        counter = codes(
            mapper.counters(WEB_TARGET, memory)[
                "azure_vmss_provisioning_failures_total"
            ].text.decode()
        )
        assert gauge == counter - {"unspecified"}
        assert len(gauge - {"other"}) == min(number, 100)
        assert ("other" in gauge) == (number > 100)


def codes(text: str) -> set[str]:
    return set(re.findall(r'code="([^"]*)"', text))


def test_of_several_statuses_of_one_kind_the_worst_then_the_newest_then_the_first_counts() -> None:
    def code(*statuses: dict[str, Any]) -> str:
        mapped = map_instances(
            instance({"vmAgent": {"statuses": list(statuses)}}),
        )
        return text_of(mapped, "azure_vmss_vm_agent_state")

    early, late = "2024-07-08T07:27:27.913+00:00", "2024-07-08T07:27:28Z"
    ready = status("ProvisioningState/ready", "Info", time=late)
    warned = status("ProvisioningState/warned", "Warning", time=early)
    newer = status("ProvisioningState/newer", "warning", time=late)
    equal = status("ProvisioningState/equal", "WARNING", time=late)
    unlevelled = status("ProvisioningState/unlevelled", None, time=late)
    line = 'azure_vmss_vm_agent_state{{instance_id="0",state="{}"}} 1\n'.format
    assert code(ready, warned) == line("warned")
    assert code(warned, newer) == line("newer")
    assert code(newer, equal) == line("newer")
    assert code(unlevelled, ready) == line("ready")


def test_an_agent_without_a_status_has_its_info_only() -> None:
    mapped = map_instances(instance({"vmAgent": {"vmAgentVersion": "2.7.1"}}))
    agent = {name for name in mapped.all_lines if "vm_agent" in name}
    assert agent == {"azure_vmss_vm_agent_info", "azure_vmss_instances_by_vm_agent_version"}


def test_an_unknown_agent_version_is_unknown_and_its_unavailability_is_its_state() -> None:
    mapped = map_instances(
        instance(
            {
                "vmAgent": {
                    "vmAgentVersion": "Unknown",
                    "statuses": [
                        status(
                            "ProvisioningState/Unavailable",
                            "Warning",
                            time="2024-07-08T07:27:27.9130000+00:00",
                        )
                    ],
                }
            }
        )
    )
    assert text_of(
        mapped,
        "azure_vmss_vm_agent_info",
        "azure_vmss_vm_agent_state",
        "azure_vmss_vm_agent_status_level",
        "azure_vmss_vm_agent_status_timestamp_seconds",
        "azure_vmss_instances_by_vm_agent_version",
        "azure_vmss_instances_by_vm_agent_state",
    ) == (
        'azure_vmss_vm_agent_info{instance_id="0",version="unknown"} 1\n'
        'azure_vmss_vm_agent_state{instance_id="0",state="unavailable"} 1\n'
        'azure_vmss_vm_agent_status_level{instance_id="0"} 1\n'
        'azure_vmss_vm_agent_status_timestamp_seconds{instance_id="0"} 1720423647.913\n'
        'azure_vmss_instances_by_vm_agent_version{version="unknown"} 1\n'
        'azure_vmss_instances_by_vm_agent_state{state="unavailable"} 1\n'
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-07-08T07:27:29.3739913+00:00", "1720423649.373991"),
        ("2024-07-08T07:27:29Z", "1720423649"),
        ("2024-07-08T12:57:29+05:30", "1720423649"),
        ("2024-07-08T00:27:29-07:00", "1720423649"),
        ("2024-07-08T07:27:29", "1720423649"),
        ("2024-07-08T07:27:29.123Z", "1720423649.123"),
    ],
)
def test_a_time_is_read_in_every_form_that_azure_sends(text: str, seconds: str) -> None:
    mapped = map_instances(
        instance({"statuses": [status("ProvisioningState/succeeded", time=text)]})
    )
    assert text_of(mapped, "azure_vmss_instance_status_timestamp_seconds") == (
        "azure_vmss_instance_status_timestamp_seconds"
        f'{{instance_id="0",status="provisioning_state"}} {seconds}\n'
    )


@pytest.mark.parametrize(
    "text", ["status-report-time", "", "2024-07-08", "0001-01-01T00:00:00", "9999-99-99T00:00:00Z"]
)
def test_text_that_is_no_time_gives_no_series(text: str) -> None:
    mapped = map_instances(
        instance({"statuses": [status("ProvisioningState/succeeded", time=text)]})
    )
    assert "azure_vmss_instance_status_timestamp_seconds" not in mapped.all_lines


def test_fields_left_out_count_under_the_family_they_feed() -> None:
    mapping = Mapper().start(WEB_TARGET, TargetMemory())
    mapping.add([], [Problem("properties.instanceView.osName", "wrong type"), Problem("", "no id")])
    assert mapping.finish().mapping_errors == {
        "azure_vmss_instance_info": 1,
        "azure_vmss_instances": 1,
    }
    assert family_of("properties.instanceView.extensions") == "azure_vmss_extension_info"
    assert family_of("properties.instanceView.vmAgent.novelty") == "azure_vmss_vm_agent_info"
    assert family_of("novelty") == "azure_vmss_instances"
    assert family_of("sku.name") == "azure_vmss_instance_info"
    assert family_of("sku.capacity", of_scale_set=True) == "azure_vmss_capacity"
    assert family_of("sku.name", of_scale_set=True) == "azure_vmss_info"
    assert family_of("novelty", of_scale_set=True) == "azure_vmss_info"
